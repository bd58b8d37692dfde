//! What a cluster lives on, and what of it nothing but forbidden rules lets in.
//!
//! Must not: say who of them is proven to be there.

use std::sync::Arc;

use crate::audit::saved::facts::Facts;
use crate::cluster::topology::{GroupSet, Of, Topology};
use crate::guard::inventory::Inventory;
use crate::model::error::chain;
use crate::model::group::{NODE_PORTS, Role};
use crate::model::region::Traffic;
use crate::model::rule::{Direction, Packets, Rule};
use crate::model::text::plain;
use crate::policy::model::{InterfacesOf, PeerTerm, Policy, Requirement, Severity, Verdict};
use crate::policy::requirement::cut_off;
use crate::report::audit::{Audit, AuditedGroup, AuditedLocation};

/// Load balancers of one cluster that are proposed one by one.
const MAX_LOAD_BALANCERS: usize = 8;

/// One location.
pub(super) struct Here<'a> {
    pub(super) facts: &'a Arc<Facts>,
    pub(super) policy: &'a Policy,
    pub(super) audit: &'a Audit,
    pub(super) found: &'a AuditedLocation,
}

/// What a cluster lives on.
#[derive(Default)]
pub(super) struct Needs {
    /// On interfaces of its control plane or of a node.
    pub(super) attached: GroupSet,
    /// Everything that has to come in.
    pub(super) traffic: Traffic,
    /// What would not, without the forbidden rules.
    pub(super) cut: Vec<Cut>,
    pub(super) notes: Vec<String>,
}

/// Somebody who would not come in.
pub(super) struct Cut {
    pub(super) groups: GroupSet,
    pub(super) from: GroupSet,
    pub(super) traffic: Traffic,
    pub(super) id: String,
    pub(super) reason: String,
}

/// The rules of a group that the policy forbids.
pub(super) fn forbidden(audited: &AuditedGroup) -> impl Iterator<Item = &Rule> {
    audited.rules.iter().filter(|rule| rule.judged.verdict == Verdict::Revoke).map(|rule| &rule.judged.rule)
}

impl Here<'_> {
    /// What a cluster lives on, and what of it nothing but forbidden rules lets in.
    pub(super) async fn needs(&self, inventory: &Inventory, cluster: &str) -> Needs {
        let mut topology = match inventory.topology(cluster, &Of::All).await {
            Ok(Some(topology)) => topology,
            Ok(None) => return Needs::default(),
            Err(error) => {
                let note = format!("what cluster `{}` needs could not be looked at: {}", plain(cluster), chain(&error));
                return Needs { notes: vec![note], ..Needs::default() };
            }
        };
        self.close(&mut topology);
        let (beside, notes) = self.load_balancers(cluster);
        let incoming = |requirement: &&Requirement| requirement.direction == Direction::Ingress;
        let all: Vec<Requirement> = self.policy.requirements.iter().filter(incoming).cloned().chain(beside).collect();
        let cut = cut_off(&all, &topology).into_iter().map(|cut| Cut {
            groups: cut.groups,
            from: cut.from,
            traffic: cut.missing,
            id: cut.requirement.id.clone(),
            reason: cut.requirement.reason.clone(),
        });
        Needs {
            cut: cut.collect(),
            attached: topology.nodes.iter().flatten().chain(&topology.control_plane).cloned().collect(),
            traffic: Traffic::union(all.iter().map(|requirement| requirement.traffic.clone())),
            notes,
        }
    }

    /// As it would be without any forbidden rule.
    fn close(&self, topology: &mut Topology) {
        for audited in &self.found.groups {
            if let Some(rules) = topology.rules.get_mut(&audited.group.id) {
                rules.retain(|rule| !forbidden(audited).any(|going| going == rule));
            }
        }
    }

    /// What no policy requires, since a cluster need not have any: its load balancers send to its `NodePorts`.
    fn load_balancers(&self, cluster: &str) -> (Vec<Requirement>, Vec<String>) {
        let known = self.facts.cluster(&self.found.location, cluster);
        let (from, to) = known.and_then(|cluster| cluster.node_ports).unwrap_or(NODE_PORTS);
        let traffic = Traffic::union([Packets::Tcp(from, to), Packets::Udp(from, to)].map(Traffic::from));
        let is_one = |audited: &&AuditedGroup| {
            let group = &audited.group;
            let is_proven = group.roles.iter().any(|known| known.role == Role::LoadBalancer && known.strong);
            is_proven && !group.is_unattached && group.clusters.contains(cluster)
        };
        let ids: Vec<&String> = self.found.groups.iter().filter(is_one).map(|audited| &audited.group.id).collect();
        let requirement = |id: &String| Requirement {
            id: "load-balancer-to-node-ports".to_owned(),
            interfaces_of: InterfacesOf::Node,
            direction: Direction::Ingress,
            traffic: traffic.clone(),
            peers: vec![PeerTerm::Group(id.clone())],
            severity: Severity::High,
            reason: "load balancers send to NodePorts of nodes".to_owned(),
        };
        let all = ids.iter().take(MAX_LOAD_BALANCERS).map(|id| requirement(id)).collect();
        let rest = ids.len().saturating_sub(MAX_LOAD_BALANCERS);
        let note = format!("{rest} more groups of load balancers may send to NodePorts; add those that do");
        (all, (rest > 0).then_some(note).into_iter().collect())
    }
}
