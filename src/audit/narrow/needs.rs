//! What a cluster depends on, and what of it nothing but forbidden rules lets in.
//!
//! Must not: say who of them is proven to be there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::audit::report::{Audit, AuditedGroup, AuditedLocation};
use crate::audit::saved::facts::Facts;
use crate::cluster::topology::{GroupSet, Of, Topology};
use crate::inventory::Inventory;
use crate::model::error::chain;
use crate::model::group::{Group, NODE_PORTS, Role};
use crate::model::region::Traffic;
use crate::model::rule::{Direction, Packets, Rule};
use crate::model::text::plain;
use crate::policy::model::{InterfacesOf, PeerTerm, Policy, Requirement, Severity, Verdict};
use crate::policy::requirement::{CutOff, cut_off};

/// Load balancers of one cluster that are proposed one by one.
const MAX_LOAD_BALANCERS: usize = 8;

/// One location.
pub(super) struct Here<'a> {
    pub(super) facts: &'a Arc<Facts>,
    pub(super) policy: &'a Policy,
    pub(super) audit: &'a Audit,
    pub(super) found: &'a AuditedLocation,
    /// By group, where it stands among those that were found.
    pub(super) at: HashMap<&'a str, usize>,
    /// By cluster, its groups that load balancers are proven to have.
    pub(super) balancers: HashMap<&'a str, Vec<&'a String>>,
}

/// What a cluster depends on.
#[derive(Default)]
pub(super) struct Needs {
    /// On interfaces of its control plane or of a node.
    pub(super) attached: GroupSet,
    /// Everything that has to come in.
    pub(super) traffic: Traffic,
    /// What would not, without the forbidden rules.
    pub(super) cut: Vec<Cut>,
    /// By group, the positions of those whose interfaces have it.
    pub(super) cut_at: HashMap<String, Vec<usize>>,
    pub(super) notes: Vec<String>,
}

/// Somebody who would not come in.
pub(super) struct Cut {
    pub(super) from: GroupSet,
    pub(super) traffic: Traffic,
    pub(super) id: String,
    pub(super) reason: String,
}

/// The rules of a group that the policy forbids.
pub(super) fn forbidden(audited: &AuditedGroup) -> impl Iterator<Item = &Rule> {
    audited.rules.iter().filter(|rule| rule.judged.verdict == Verdict::Revoke).map(|rule| &rule.judged.rule)
}

impl<'a> Here<'a> {
    /// Ready to be asked cluster by cluster.
    pub(super) fn new(facts: &'a Arc<Facts>, policy: &'a Policy, audit: &'a Audit, found: &'a AuditedLocation) -> Self {
        let groups = found.groups.iter().map(|audited| &audited.group);
        let at = groups.clone().enumerate().map(|(at, group)| (group.id.as_str(), at)).collect();
        let is_proven = |group: &&Group| {
            let has_role = group.roles.iter().any(|known| known.role == Role::LoadBalancer && known.strong);
            has_role && !group.is_unattached
        };
        let mut balancers: HashMap<&str, Vec<&String>> = HashMap::new();
        for group in groups.filter(is_proven) {
            for cluster in &group.clusters {
                balancers.entry(cluster).or_default().push(&group.id);
            }
        }
        Self { facts, policy, audit, found, at, balancers }
    }

    /// What a cluster depends on, and what of it nothing but forbidden rules lets in.
    pub(super) async fn needs(&self, inventory: &Inventory, cluster: &str) -> Needs {
        let mut topology = match inventory.topology(cluster, &Of::All, BTreeMap::new()).await {
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
        let (mut cut, mut cut_at) = (Vec::new(), HashMap::<String, Vec<usize>>::new());
        for CutOff { requirement, groups, from, missing: traffic } in cut_off(&all, &topology) {
            for group in groups {
                cut_at.entry(group).or_default().push(cut.len());
            }
            cut.push(Cut { from, traffic, id: requirement.id.clone(), reason: requirement.reason.clone() });
        }
        Needs {
            cut,
            cut_at,
            attached: topology.nodes.iter().flatten().chain(&topology.control_plane).cloned().collect(),
            traffic: Traffic::union(all.iter().map(|requirement| requirement.traffic.clone())),
            notes,
        }
    }

    /// As it would be without any forbidden rule.
    fn close(&self, topology: &mut Topology) {
        for (group, rules) in &mut topology.rules {
            let audited = self.at.get(group.as_str()).and_then(|at| self.found.groups.get(*at));
            rules.retain(|rule| !audited.into_iter().flat_map(forbidden).any(|going| going == rule));
        }
    }

    /// What no policy requires, since a cluster need not have any: its load balancers send to its `NodePorts`.
    fn load_balancers(&self, cluster: &str) -> (Vec<Requirement>, Vec<String>) {
        let known = self.facts.cluster(&self.found.location, cluster);
        let (from, to) = known.and_then(|cluster| cluster.node_ports).unwrap_or(NODE_PORTS);
        let traffic = Traffic::union([Packets::Tcp(from, to), Packets::Udp(from, to)].map(Traffic::from));
        let ids = self.balancers.get(cluster).map(Vec::as_slice).unwrap_or_default();
        let requirement = |id: &&String| Requirement {
            id: "load-balancer-to-node-ports".to_owned(),
            interfaces_of: InterfacesOf::Node,
            direction: Direction::Ingress,
            traffic: traffic.clone(),
            peers: vec![PeerTerm::Group((*id).clone())],
            severity: Severity::High,
            reason: "load balancers send to NodePorts of nodes".to_owned(),
        };
        let all = ids.iter().take(MAX_LOAD_BALANCERS).map(requirement).collect();
        let rest = ids.len().saturating_sub(MAX_LOAD_BALANCERS);
        let note = format!("{rest} more groups of load balancers may send to NodePorts; add those that do");
        (all, (rest > 0).then_some(note).into_iter().collect())
    }
}
