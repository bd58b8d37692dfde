//! Two set-ups as EKS and its most used tool leave them: what a policy must not break.
//!
//! Must not: know policies. Ids, names and addresses are made up.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::topology::{GroupSet, Topology};
use crate::model::group::{Evidence, Group, PeerGroup, Role, RoleEvidence};
use crate::model::region::Addresses;
use crate::model::rule::{Direction, Packets, Peer, Rule};

const OWN: &str = "sg-00000000000000001";
const CONTROL_PLANE: &str = "sg-00000000000000002";
const NODES: &str = "sg-00000000000000003";

/// Groups of one cluster with their rules, and which of them are attached together.
pub(super) struct SetUp {
    pub(super) groups: Vec<Group>,
    pub(super) topology: Topology,
}

/// Of EKS alone: one group for the control plane and the nodes. Of terraform-aws-eks: groups of their own for both.
pub(super) fn set_ups(cluster: &str) -> [SetUp; 2] {
    let all = || vec![inside(OWN, Packets::All)];
    let alone = set_up(cluster, &[(OWN, &[Role::Cluster, Role::Node], all())], &[OWN], &[OWN]);
    let from_control_plane = [(443, 443), (4443, 4443), (6443, 6443), (8443, 8443), (9443, 9443), (10250, 10250)];
    let mut nodes: Vec<Rule> =
        from_control_plane.into_iter().map(|(from, to)| inside(CONTROL_PLANE, Packets::Tcp(from, to))).collect();
    let among_nodes = [Packets::Tcp(53, 53), Packets::Udp(53, 53), Packets::Tcp(1025, 65535)];
    nodes.extend(among_nodes.map(|packets| inside(NODES, packets)));
    let apart = [
        (OWN, &[Role::Cluster][..], all()),
        (CONTROL_PLANE, &[Role::ControlPlane], vec![inside(NODES, Packets::Tcp(443, 443))]),
        (NODES, &[Role::Node], nodes),
    ];
    [alone, set_up(cluster, &apart, &[OWN, CONTROL_PLANE], &[NODES])]
}

fn set_up(cluster: &str, written: &[(&str, &[Role], Vec<Rule>)], control_plane: &[&str], nodes: &[&str]) -> SetUp {
    let peers: BTreeMap<String, PeerGroup> = written
        .iter()
        .map(|(id, roles, _)| {
            (
                (*id).to_owned(),
                PeerGroup { same_cluster: true, roles: roles.iter().copied().collect(), ..PeerGroup::default() },
            )
        })
        .collect();
    let vpc_ranges: Addresses = "10.0.0.0/16".parse().ok().into_iter().collect();
    let group = |(id, roles, ingress): &(&str, &[Role], Vec<Rule>)| Group {
        id: (*id).to_owned(),
        clusters: [cluster.to_owned()].into(),
        roles: roles
            .iter()
            .map(|role| RoleEvidence { role: *role, evidence: Evidence::Configured, strong: true })
            .collect(),
        rules: ingress.iter().cloned().chain(out()).collect(),
        vpc_ranges: vpc_ranges.clone(),
        peers: peers.clone(),
        ..Group::default()
    };
    let groups: Vec<Group> = written.iter().map(group).collect();
    let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<GroupSet>();
    let topology = Topology {
        cluster: cluster.to_owned(),
        control_plane: set(control_plane),
        nodes: BTreeSet::from([set(nodes)]),
        rules: groups.iter().map(|group| (group.id.clone(), group.rules.clone())).collect(),
        vpc_ranges: vpc_ranges.clone(),
        ..Topology::default()
    };
    SetUp { groups, topology }
}

/// From a group.
fn inside(group: &str, packets: Packets) -> Rule {
    Rule::new(Direction::Ingress, packets, Peer::Group { id: group.to_owned(), owner: None })
}

/// Everything to everybody.
fn out() -> impl Iterator<Item = Rule> {
    let peers = ["0.0.0.0/0", "::/0"].into_iter().filter_map(|block| Peer::cidr(block).ok());
    peers.map(|peer| Rule::new(Direction::Egress, Packets::All, peer))
}
