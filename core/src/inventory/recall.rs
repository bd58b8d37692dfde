//! What a look says for later ones, and a look that knows what earlier ones said.
//!
//! Must not: keep anything (the state does) or say what a group is (membership does).

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;
use super::{Inventory, Looked, names_it};
use crate::cluster::membership::{Membership, Rank};
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, GroupFacts};
use crate::model::group::{Evidence, Role};
use crate::model::member::{Member, Members};

impl Inventory {
    /// These groups, of which the state says what they were: their clusters are asked for although nothing names them, and
    /// what they were within a day counts.
    ///
    /// # Errors
    /// As [`Inventory::read`].
    pub async fn read_recalled(&self, recalled: BTreeMap<String, Members>) -> Result<Looked, CloudError> {
        let ids: Vec<String> = recalled.keys().cloned().collect();
        Ok(self.looked(self.see(&ids, None, recalled).await?))
    }
}

impl View<'_> {
    /// What this group was found to be by this look, and by no earlier one.
    pub(super) fn members(&self, group: &GroupFacts, found: &Membership) -> Members {
        if found.rank == Rank::Claimed {
            return Members::new();
        }
        let is_recalled = |evidence| evidence == Evidence::State;
        if !found.roles.is_empty() && found.roles.iter().all(|known| is_recalled(known.evidence)) {
            return Members::new();
        }
        // A load balancer's group is immune, which only what it is now may make it; what EKS names is asked for anyway.
        let lasts = |role: Role, evidence| role != Role::LoadBalancer && evidence == Evidence::Attachment;
        let known = found.roles.iter().filter(|known| known.strong && lasts(known.role, known.evidence));
        let roles: BTreeSet<Role> = known.map(|known| known.role).collect();
        let attachments: BTreeSet<String> = self.attachments(group).collect();
        let member = |cluster: &Cluster| Member {
            created_at: cluster.created_at,
            node_groups: cluster
                .node_groups
                .iter()
                .filter(|nodes| names_it(nodes, &group.id))
                .map(|nodes| nodes.name.clone())
                .collect(),
            is_whole: self.is_sweep(),
            roles: roles.clone(),
            attachments: attachments.clone(),
            is_proven: found.rank == Rank::Proven,
            since: self.at(),
            at: self.at(),
        };
        self.named(&found.clusters).map(|cluster| (cluster.name.clone(), member(cluster))).collect()
    }
}
