//! Evidence, over random worlds: whoever may write ordinary tags gains nothing by them.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use eks_sg_guard::cluster::membership::{Facts, Membership, Proven, membership};
use eks_sg_guard::cluster::register::Register;
use eks_sg_guard::event::Named;
use eks_sg_guard::model::facts::{Cluster, GroupFacts, Instance, Interface, Tags};
use eks_sg_guard::model::group::Group;
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::plan::modes::Modes;
use eks_sg_guard::plan::standing::{Led, Memory};
use eks_sg_guard::plan::{Intent, PlanContext, plan};
use eks_sg_guard::policy::builtin;
use eks_sg_guard::policy::model::{ClusterSetting, Mode, Policy};
use jiff::Timestamp;
use proptest::prelude::*;

const ACCOUNT: &str = "111122223333";
const GROUP: &str = "sg-0aa";
/// `dev` is only reported on.
const CLUSTERS: [&str; 2] = ["dev", "prod"];
const ORDINARY: [&str; 3] = ["kubernetes.io/cluster/", "eks:cluster-name", "karpenter.sh/discovery"];

/// What the group is attached to, and what connects it with clusters.
#[derive(Clone, Debug)]
struct World {
    group: Tags,
    /// Tags of each instance.
    instances: Vec<Tags>,
    /// Tags of each branch interface.
    branches: Vec<Tags>,
    balancers: usize,
    lets_in: BTreeSet<String>,
    let_in_by: BTreeSet<String>,
    beside: BTreeSet<String>,
}

fn group_of(cluster: &str) -> String {
    format!("sg-0{}", if cluster == "dev" { "d1" } else { "e1" })
}

fn clusters() -> Vec<Cluster> {
    let cluster = |name: &&str| Cluster {
        name: (*name).to_owned(),
        vpc: "vpc-1".to_owned(),
        cluster_group: Some(group_of(name)),
        ..Cluster::default()
    };
    CLUSTERS.iter().map(cluster).collect()
}

impl World {
    fn membership(&self) -> Membership {
        let mut groups = vec![GROUP.to_owned()];
        groups.extend(self.beside.iter().cloned());
        let interface = |kind: &str, tags: &Tags| Interface {
            vpc: "vpc-1".into(),
            owner: ACCOUNT.into(),
            groups: groups.clone(),
            kind: kind.into(),
            tags: tags.clone(),
            ..Interface::default()
        };
        let branches = self.branches.iter().map(|tags| interface("branch", tags));
        let balancers = (0..self.balancers).map(|_| interface("network_load_balancer", &Tags::new()));
        let of_instances = self
            .instances
            .iter()
            .enumerate()
            .map(|(n, _)| Interface { instance: Some(format!("i-{n}")), ..interface("interface", &Tags::new()) });
        let interfaces: Vec<Interface> = branches.chain(balancers).chain(of_instances).collect();
        let instance = |(n, tags): (usize, &Tags)| Instance {
            id: format!("i-{n}"),
            vpc: "vpc-1".into(),
            groups: groups.clone(),
            tags: tags.clone(),
            ..Instance::default()
        };
        let instances: Vec<Instance> = self.instances.iter().enumerate().map(instance).collect();
        let peer = |id: &String| Rule {
            peer: Peer::Group { id: id.clone(), owner: None },
            ..rule(Packets::Tcp(10250, 10250))
        };
        let rules: Vec<Rule> = self.lets_in.iter().map(peer).collect();
        membership(Facts {
            account: ACCOUNT,
            clusters: &Register::of(&clusters()),
            configured: &[],
            group: &GroupFacts {
                id: GROUP.into(),
                vpc: "vpc-1".into(),
                tags: self.group.clone(),
                ..GroupFacts::default()
            },
            rules: &rules.iter().collect::<Vec<_>>(),
            let_in_by: &self.let_in_by,
            proven: &Proven::new(),
            interfaces: &interfaces.iter().collect::<Vec<_>>(),
            is_complete: true,
            instances: &instances.iter().collect::<Vec<_>>(),
            recalled: &BTreeMap::new(),
            now: Timestamp::UNIX_EPOCH,
        })
    }

    /// How much is done about each of some rules that somebody opened to the world; more is worse for whoever opened it.
    fn done(&self, policy: &Policy) -> Vec<u8> {
        let Membership { clusters, roles, .. } = self.membership();
        let ports = [(10250, 10250), (22, 22), (443, 443), (0, 65535)];
        let rules: Vec<Rule> = ports.into_iter().map(|(from, to)| rule(Packets::Tcp(from, to))).collect();
        if roles.is_empty() {
            return vec![0; rules.len()];
        }
        let group = Group { id: GROUP.into(), clusters, roles, rules, ..Group::default() };
        let context = PlanContext {
            policy,
            location: &Location::new(ACCOUNT, "eu-west-1"),
            now: Timestamp::UNIX_EPOCH,
            modes: Modes::new(Mode::Enforce, Mode::Enforce),
            actor: None,
            named: &Named::Everything,
            led: Led::Named,
            memory: &Memory::None,
        };
        let steps = plan(context, &group).into_iter();
        let done = |intent: Intent| match intent {
            Intent::None => 0,
            Intent::Report(_) => 1,
            Intent::WouldRevoke(_) => 2,
            Intent::Refuse(_) | Intent::Postpone(_) => 3,
            Intent::Revoke | Intent::PutBack => 4,
        };
        steps.map(|step| done(step.intent)).collect()
    }

    /// Everything that carries tags.
    fn tagged(&mut self) -> Vec<&mut Tags> {
        std::iter::once(&mut self.group).chain(&mut self.instances).chain(&mut self.branches).collect()
    }
}

fn rule(packets: Packets) -> Rule {
    Rule {
        id: "sgr-1".into(),
        direction: Direction::Ingress,
        packets,
        peer: Peer::cidr("0.0.0.0/0").unwrap(),
        description: None,
        tags: BTreeMap::new(),
    }
}

fn ordinary_tag() -> impl Strategy<Value = (String, String)> {
    (prop::sample::select(&ORDINARY[..]), prop::sample::select(&CLUSTERS[..])).prop_map(|(key, cluster)| match key {
        "kubernetes.io/cluster/" => (format!("{key}{cluster}"), "owned".to_owned()),
        key => (key.to_owned(), cluster.to_owned()),
    })
}

fn tags() -> impl Strategy<Value = Tags> {
    let by_aws = prop::option::weighted(0.3, prop::sample::select(&CLUSTERS[..]));
    (prop::collection::btree_map("k", "v", 0..1), prop::collection::vec(ordinary_tag(), 0..3), by_aws).prop_map(
        |(mut tags, ordinary, by_aws)| {
            tags.extend(ordinary);
            tags.extend(by_aws.map(|name| ("aws:eks:cluster-name".to_owned(), name.to_owned())));
            tags
        },
    )
}

fn cluster_groups() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(prop::sample::select(&CLUSTERS[..]).prop_map(group_of), 0..=2)
}

fn world() -> impl Strategy<Value = World> {
    let attached = || prop::collection::vec(tags(), 0..3);
    let groups = (cluster_groups(), cluster_groups(), cluster_groups());
    (prop::collection::vec(ordinary_tag(), 0..2), attached(), attached(), 0..2_usize, groups).prop_map(
        |(group, instances, branches, balancers, (lets_in, let_in_by, beside))| World {
            group: group.into_iter().collect(),
            instances,
            branches,
            balancers,
            lets_in,
            let_in_by,
            beside,
        },
    )
}

/// `dev` is only reported on, and has an exception.
fn policy() -> Policy {
    let mut policy = builtin::policy("standard").unwrap().clone();
    let dev = ClusterSetting { name: "dev".into(), environment: None, mode: Some(Mode::Report) };
    policy.clusters = vec![dev];
    policy
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_an_ordinary_tag_makes_nothing_milder(
        world in world(),
        (key, value) in ordinary_tag(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut tagged = world.clone();
        let mut places = tagged.tagged();
        let at = at.index(places.len());
        // Writing over a tag is another thing: it removes one.
        places[at].entry(key).or_insert(value);
        let policy = policy();
        for (before, after) in world.done(&policy).into_iter().zip(tagged.done(&policy)) {
            prop_assert!(after >= before, "{before} became {after}: {tagged:?}");
        }
    }

    #[test]
    fn removing_an_ordinary_tag_or_a_rule_frees_no_proven_group(world in world(), at in any::<prop::sample::Index>()) {
        let is_proven = world.instances.iter().any(|tags| tags.contains_key("aws:eks:cluster-name"));
        let mut stripped = world.clone();
        let mut places = stripped.tagged();
        let at = at.index(places.len());
        places[at].retain(|key, _| key.starts_with("aws:"));
        stripped.lets_in.clear();
        let policy = policy();
        for (before, after) in world.done(&policy).into_iter().zip(stripped.done(&policy)) {
            prop_assert!(!is_proven || after >= before, "{before} became {after}: {stripped:?}");
        }
    }
}
