//! One look at some groups, in as few waves as can be: the groups with what they are attached to, the clusters that this
//! names, and, where only ordinary tags speak of a cluster, the neighbours that may bear it out.
//!
//! Must not: say what a group is (the view does).

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, join3, try_join, try_join3};

use super::Inventory;
use super::clusters::Clusters;
use super::index::Hint;
use super::raw::{Neighbours, RawState, Seen};
use super::snapshot::Unread;
use crate::cluster::membership::Rank;
use crate::cluster::names::{self, Named};
use crate::cluster::register::Register;
use crate::model::error::CloudError;
use crate::model::facts::{Cluster, GroupFacts, Instance, Instances, Interface, Selector};
use crate::model::group::Evidence;
use crate::model::member::Members;

impl Inventory {
    /// The groups, what they are attached to, and the clusters that these name. Clusters named before are asked for beside
    /// EC2, so that a warm function has all in one wave.
    pub(super) async fn see(
        &self,
        ids: &[String],
        attachment: Option<&str>,
        recalled: BTreeMap<String, Members>,
    ) -> Result<Seen, CloudError> {
        let mut hint = self.hint(ids);
        for (cluster, member) in recalled.values().flatten() {
            hint.named.entry(cluster.clone()).or_default().extend(member.node_groups.iter().cloned());
        }
        let mut clusters = Clusters::default();
        let (read, ()) =
            join(self.raw(ids, attachment, &hint.neighbours), clusters.ask(self.eks.as_ref(), &hint.named)).await;
        let (mut raw, mut unread) = read?;
        raw.recalled = recalled;
        let mut noted = |what: &str, source| unread.push((None, Unread { what: what.to_owned(), source }));
        match self.named(&raw, &hint).await {
            Ok(mut named) => {
                self.plan(&mut named, &raw, &hint);
                clusters.ask(self.eks.as_ref(), &named).await;
            }
            Err(error) => noted("which of the clusters in tags there are", error),
        }
        match self.clusters_of_control_planes(&raw, &clusters.known(&raw)).await {
            Ok(named) => clusters.ask(self.eks.as_ref(), &named).await,
            Err(error) => noted("which clusters there are in the VPC", error),
        }
        let known = clusters.known(&raw);
        if let Err(error) = self.corroborate(&mut raw, &known).await {
            noted("what connects the group with its cluster", error);
        }
        clusters.ask_for_node_groups(self.eks.as_ref(), self.claims_of_unattached(&raw, &known)).await;
        let known = clusters.known(&raw);
        if clusters.unread.is_empty() && unread.is_empty() {
            let register = Register::of(&known);
            let view = self.view(&raw, &register);
            self.learn(&view, &raw, &view.memberships());
        }
        for (name, source) in clusters.unread {
            let what = format!("cluster `{name}`");
            unread.push((Some(name), Unread { what, source }));
        }
        Ok(Seen { raw, clusters: known, unread })
    }

    /// What was asked for about these groups before, and what the policy says of them.
    fn hint(&self, ids: &[String]) -> Hint {
        let mut hint = self.index.hint(ids);
        for entry in self.configured.iter().filter(|entry| ids.contains(&entry.id)) {
            hint.named.entry(entry.cluster.clone()).or_default();
        }
        hint
    }

    async fn raw(
        &self,
        ids: &[String],
        attachment: Option<&str>,
        neighbours: &BTreeSet<String>,
    ) -> Result<(RawState, Vec<(Option<String>, Unread)>), CloudError> {
        let selector = Selector::Ids(ids.to_vec());
        let rules = async { self.ec2.rules(ids).await.map(|rules| (rules, self.clock.now())) };
        let witnesses = Instances::Witnesses(ids.to_vec());
        let of_groups = try_join3(self.ec2.groups(&selector), rules, self.ec2.interfaces(&selector));
        let neighbours = self.neighbours(if neighbours.is_empty() { &[] } else { ids }, neighbours);
        let around = try_join3(self.ec2.instances(&witnesses), self.attached(attachment), neighbours);
        let (facts, ranges, associations) =
            join3(try_join(of_groups, around), self.ec2.vpc_ranges(), self.ec2.associations(&selector)).await;
        let ((groups, (rules, rules_at), interfaces), (instances, attached, neighbours)) = facts?;
        let mut raw = RawState { groups, rules, rules_at, is_complete: interfaces.is_complete, ..RawState::default() };
        raw.attach(interfaces.found, instances);
        raw.attach(attached.0, attached.1);
        raw.add_neighbours(neighbours);
        let unread = raw.surround(ranges, associations).into_iter().map(|unread| (None, unread)).collect();
        Ok((raw, unread))
    }

    /// The attachment itself: it may be one of thousands.
    async fn attached(&self, attachment: Option<&str>) -> Result<(Vec<Interface>, Vec<Instance>), CloudError> {
        let Some(attachment) = attachment else { return Ok((Vec::new(), Vec::new())) };
        let instances = Instances::Ids(vec![attachment.to_owned()]);
        let instances =
            async { if attachment.starts_with("i-") { self.ec2.instances(&instances).await } else { Ok(Vec::new()) } };
        try_join(self.ec2.interfaces_of(attachment), instances).await
    }

    /// What the groups and their attachments name, to be asked for. Where ordinary tags name too many, the groups that EKS
    /// made in the VPCs say which clusters there are.
    async fn named(&self, raw: &RawState, hint: &Hint) -> Result<Named, CloudError> {
        let mut found = names::names(&raw.groups, &raw.interfaces, &raw.instances);
        if found.is_crowded() {
            let of_interfaces = raw.interfaces.iter().map(|interface| &interface.vpc);
            let vpcs: BTreeSet<&String> = raw.groups.iter().map(|group| &group.vpc).chain(of_interfaces).collect();
            let cluster_groups = self.ec2.cluster_groups(&vpcs.into_iter().cloned().collect::<Vec<_>>()).await?;
            let none = Register::default();
            let view = self.view(raw, &none);
            let neighbours = raw.groups.iter().flat_map(|group| view.neighbours_of(&group.id)).collect();
            found.prefer(&cluster_groups, &neighbours);
        }
        let names: BTreeSet<String> = found.to_ask().chain(hint.named.keys()).cloned().collect();
        let mut named = names::node_groups(&raw.groups, &raw.instances, &names);
        for name in names {
            named.entry(name).or_default();
        }
        Ok(named)
    }

    /// Adds the node groups whose launch templates name a group, where no node says as much.
    fn plan(&self, named: &mut Named, raw: &RawState, hint: &Hint) {
        let none = Register::default();
        let view = self.view(raw, &none);
        for (cluster, node_groups) in &hint.planned {
            if raw.groups.iter().any(|group| !view.is_on_a_node(&group.id, cluster)) {
                named.entry(cluster.clone()).or_default().extend(node_groups.iter().cloned());
            }
        }
    }

    /// The clusters of the VPC, for groups on what may be a control plane and is none of the clusters' that are known: who
    /// may write its description can make it name another one.
    async fn clusters_of_control_planes(&self, raw: &RawState, clusters: &[Cluster]) -> Result<Named, CloudError> {
        let clusters = Register::of(clusters);
        let view = self.view(raw, &clusters);
        let is_open = |group: &&GroupFacts| view.membership(group).rank < Rank::Proven;
        let open: BTreeSet<&String> = raw.groups.iter().filter(is_open).map(|group| &group.id).collect();
        let planes = raw.interfaces.iter().filter(|interface| names::may_be_control_plane(interface));
        let planes = planes.filter(|interface| interface.groups.iter().any(|group| open.contains(group)));
        let vpcs: BTreeSet<&String> = planes.map(|interface| &interface.vpc).collect();
        if vpcs.is_empty() {
            return Ok(Named::new());
        }
        let cluster_groups = self.ec2.cluster_groups(&vpcs.into_iter().cloned().collect::<Vec<_>>()).await?;
        Ok(names::clusters_of(&cluster_groups))
    }

    /// Looks at the neighbours of groups that only ordinary tags say something of.
    async fn corroborate(&self, raw: &mut RawState, clusters: &[Cluster]) -> Result<(), CloudError> {
        let clusters = Register::of(clusters);
        // Whom they let in is known already; who lets them in has to be asked.
        for _ in 0..2 {
            let view = self.view(raw, &clusters);
            let is_claimed = |group: &&GroupFacts| {
                let found = view.membership(group);
                let is_attached = found.roles.iter().any(|known| known.evidence == Evidence::Attachment);
                found.rank == Rank::Claimed && is_attached && found.strong_roles().is_empty()
            };
            let claimed: Vec<String> = raw.groups.iter().filter(is_claimed).map(|group| group.id.clone()).collect();
            let neighbours: BTreeSet<String> = claimed.iter().flat_map(|id| view.neighbours_of(id)).collect();
            let new: BTreeSet<String> = neighbours.difference(&raw.neighbours).cloned().collect();
            let unasked: Vec<String> = claimed.into_iter().filter(|id| !raw.let_in_by.contains_key(id)).collect();
            if unasked.is_empty() && new.is_empty() {
                return Ok(());
            }
            let more = self.neighbours(&unasked, &new).await?;
            raw.add_neighbours(more);
        }
        Ok(())
    }

    /// The clusters that ordinary tags claim groups for that are attached to nothing: they may be of launch templates whose
    /// node groups have no nodes yet.
    fn claims_of_unattached(&self, raw: &RawState, clusters: &[Cluster]) -> BTreeSet<String> {
        let clusters = Register::of(clusters);
        let view = self.view(raw, &clusters);
        let claims = raw.groups.iter().filter(|group| view.is_unattached(group)).map(|group| view.membership(group));
        claims.filter(|found| found.strong_roles().is_empty()).flat_map(|found| found.clusters).collect()
    }

    /// Who lets these groups in, and instances that show whose these neighbours are.
    async fn neighbours(&self, groups: &[String], neighbours: &BTreeSet<String>) -> Result<Neighbours, CloudError> {
        let letting_in = async { if groups.is_empty() { Ok(Vec::new()) } else { self.ec2.letting_in(groups).await } };
        let proofs = Instances::Proofs(neighbours.iter().cloned().collect());
        let instances =
            async { if neighbours.is_empty() { Ok(Vec::new()) } else { self.ec2.instances(&proofs).await } };
        let (letting_in, instances) = try_join(letting_in, instances).await?;
        Ok(Neighbours { let_in: groups.to_vec(), letting_in, looked_at: neighbours.clone(), instances })
    }
}
