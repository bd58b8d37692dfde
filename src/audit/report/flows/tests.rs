use super::*;
use crate::audit::report::{AuditedRule, Fate};
use crate::model::group::{Evidence, Group, RoleEvidence};
use crate::model::ids::Location;
use crate::model::rule::Packets;
use crate::policy::builtin;
use crate::policy::controller::Author;
use crate::policy::judge::judge;
use crate::report::outcome::Action;

fn audited(id: &str, role: Role, rules: &[(Packets, &str)]) -> AuditedGroup {
    let rule = |(packets, peer): &(Packets, &str)| {
        let peer = if peer.starts_with("sg-") {
            Peer::Group { id: (*peer).to_owned(), owner: None }
        } else {
            Peer::cidr(peer).unwrap()
        };
        Rule::new(Direction::Ingress, *packets, peer)
    };
    let group = Group {
        id: id.to_owned(),
        clusters: ["prod".to_owned()].into(),
        roles: vec![RoleEvidence { role, evidence: Evidence::Attachment, strong: true }],
        rules: rules.iter().map(rule).collect(),
        ..Group::default()
    };
    let location = Location::default();
    let policy = builtin::policy("standard").unwrap();
    let judged = judge(policy, &group, &location, jiff::Timestamp::UNIX_EPOCH, |_| Author::Unknown);
    let rule = |judged| AuditedRule { judged, fate: Fate::Report, action: Action::None, detail: None };
    AuditedGroup { origin: None, rules: judged.into_iter().map(rule).collect(), group }
}

fn drawn(groups: &[AuditedGroup]) -> Picture {
    picture(
        "prod",
        &groups.iter().collect::<Vec<_>>(),
        &[("office".to_owned(), "203.0.113.0/24".parse::<ipnet::IpNet>().into_iter().collect())],
    )
}

fn told(picture: &Picture) -> Vec<String> {
    let name = |at: usize| &picture.nodes[at].name;
    let edges = picture.edges.iter();
    edges
        .map(|edge| format!("{} -> {}: {} {}", name(edge.from), name(edge.to), edge.verdict.word(), edge.ports))
        .collect()
}

#[test]
fn a_forbidden_group_stands_alone_and_the_others_of_its_role_are_one() {
    let https = [(Packets::Tcp(443, 443), "0.0.0.0/0")];
    let mut groups: Vec<AuditedGroup> =
        (0..60).map(|n| audited(&format!("sg-b{n:02}"), Role::LoadBalancer, &https)).collect();
    groups.extend(
        (0..26).map(|n| audited(&format!("sg-a{n:02}"), Role::Node, &[(Packets::Tcp(8080, 8080), "10.0.0.0/8")])),
    );
    groups.push(audited("sg-open", Role::Node, &[(Packets::Tcp(10250, 10250), "0.0.0.0/0")]));
    let picture = drawn(&groups);
    let names: Vec<&str> = picture.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["everybody", "private networks", "60 load balancers", "sg-open", "26 node groups"]);
    assert_eq!(
        told(&picture),
        [
            "everybody -> 60 load balancers: allow tcp 443",
            "everybody -> sg-open: revoke tcp 10250",
            "private networks -> 26 node groups: allow tcp 8080",
        ]
    );
    assert_eq!(picture.edges[0].rules, 60);
}

#[test]
fn a_thousand_groups_are_some_twenty_nodes() {
    let rules = [
        (Packets::Tcp(10250, 10250), "0.0.0.0/0"),
        (Packets::Tcp(22, 22), "203.0.113.7/32"),
        (Packets::Tcp(22, 22), "198.51.100.7/32"),
        (Packets::All, "sg-elsewhere"),
        (Packets::All, "10.0.0.0/8"),
    ];
    let roles = [Role::Cluster, Role::ControlPlane, Role::Node, Role::RemoteAccess, Role::Pod, Role::LoadBalancer];
    let groups = (0..1000).map(|n| audited(&format!("sg-{n:04}"), roles[n % 6], &rules[n % 5..]));
    let picture = drawn(&groups.collect::<Vec<_>>());
    assert!(picture.nodes.len() <= 26, "{:#?}", picture.nodes);
    assert!(picture.nodes.iter().any(|node| node.name == "office"));
    assert!(picture.nodes.is_sorted_by_key(|node| node.column), "the same order in every picture");
}
