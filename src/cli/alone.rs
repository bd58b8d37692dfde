//! `policy diff` without rules: what two policies say of every kind of group and peer, judged as the function judges.
//!
//! One rule for each kind of peer, open to all traffic, so that every clause gets its portion; a rule of one address beside
//! one of all, since many clauses tell them apart. Must not: say that nothing changes where it looked at nothing; what it
//! cannot try (limits to a group, an account, a region) is compared as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::compare::{ComparedPart, Judged, Way, compare, peers, side_for_tools, sides, traffic_for_tools};
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::cli::style::{Style, traffic};
use crate::cli::widths::{self, Kind};
use crate::model::group::{AwsList, Evidence, Group, PeerGroup, PrefixList, Role, RoleEvidence};
use crate::model::ids::Location;
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::{Direction, Packets, Peer, Rule};
use crate::model::text::{count, plain};
use crate::policy::controller::Author;
use crate::policy::globs;
use crate::policy::judge::judge;
use crate::policy::model::{Clause, Mode, Origin, PeerTerm, Policy, Severity, Verdict};

const OWN: &str = "sg-00000000000000000";
const OTHER: &str = "sg-0ffffffffffffffff";
const UNREADABLE: &str = "pl-0ffffffffffffffff";
/// One public address and one of another family; documentation ranges count as internet.
const NARROW: [&str; 2] = ["192.0.2.222/32", "2001:db8:ffff:ffff::222/128"];
const WIDE: [&str; 2] = ["0.0.0.0/0", "::/0"];
/// Named sources that are tried one by one.
const MAX_NAMED: usize = 50;

/// A part of what the policies say that differs.
struct Difference {
    way: Way,
    direction: Direction,
    part: ComparedPart,
    /// A rule of a great many addresses, or of few.
    width: Option<&'static str>,
    /// Rules of which numbers of ports.
    kinds: BTreeSet<Kind>,
    roles: BTreeSet<Role>,
    clusters: BTreeSet<String>,
}

impl Difference {
    /// Whether they are the same but for the clusters.
    fn is_same_elsewhere(&self, other: &Self) -> bool {
        (self.direction, self.width, &self.part, &self.kinds, &self.roles)
            == (other.direction, other.width, &other.part, &other.kinds, &other.roles)
    }
}

/// What is new, gone or set otherwise, by name.
struct Written {
    what: &'static str,
    name: String,
    change: String,
}

/// All that was tried.
struct Tried {
    kinds: BTreeSet<Kind>,
    clusters: Vec<String>,
}

pub(super) fn run(
    policies: [&Policy; 2],
    format: Format,
    style: Style,
    now: Timestamp,
) -> anyhow::Result<CommandOutput> {
    let differences = differences(policies, now);
    let written = written(policies);
    let tried = Tried { kinds: widths::kinds(policies), clusters: clusters(policies) };
    let exit = if differences.is_empty() && written.is_empty() { Exit::Clean } else { Exit::Findings };
    match format {
        Format::Text => Ok(CommandOutput::new(in_words(policies, &tried, &differences, &written, style), exit)),
        Format::Json => {
            CommandOutput::answer("policy diff", &for_tools(policies, &tried, &differences, &written), exit)
        }
    }
}

fn differences(policies: [&Policy; 2], now: Timestamp) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    let location = Location::new("111122223333", "us-east-1");
    let rules = rules(policies);
    let by_kind = by_kind(policies);
    for cluster in clusters(policies) {
        let mut here: Vec<Difference> = Vec::new();
        for roles in kinds() {
            let group = group(&roles, &cluster, &rules, policies);
            let mut parts: Vec<(&Rule, ComparedPart, BTreeSet<Kind>)> = Vec::new();
            for (kinds, [before, after]) in &by_kind {
                let [old, new] = [before, after].map(|policy| judge(policy, &group, &location, now, |_| Author::Other));
                for ((old, new), rule) in old.iter().zip(&new).zip(&rules) {
                    let side = |policy, finding| Judged { policy, group: &group, finding };
                    let changed = compare(side(before, old), side(after, new)).map(|(_, parts)| parts);
                    for part in changed.unwrap_or_default() {
                        match parts.iter_mut().find(|(of, known, _)| *of == rule && *known == part) {
                            Some((.., known)) => known.extend(kinds),
                            None => parts.push((rule, part, kinds.clone())),
                        }
                    }
                }
            }
            for (rule, part, kinds) in parts {
                add(&mut here, rule, part, kinds, &roles, &cluster);
            }
        }
        for difference in here {
            match found.iter_mut().find(|known| known.is_same_elsewhere(&difference)) {
                Some(known) => known.clusters.extend(difference.clusters),
                None => found.push(difference),
            }
        }
    }
    found.sort_by_key(|difference| difference.way == Way::Milder);
    found
}

/// The policies for each kind of rule; kinds of which they say the same together.
fn by_kind(policies: [&Policy; 2]) -> Vec<(BTreeSet<Kind>, [Policy; 2])> {
    let mut found: BTreeMap<String, (BTreeSet<Kind>, [Policy; 2])> = BTreeMap::new();
    for kind in widths::kinds(policies) {
        let here = policies.map(|policy| widths::policy_for(policy, kind));
        let says = |policy: &Policy| {
            let clauses = policy.clauses.iter();
            clauses
                .map(|one| (one.id.clone(), one.limits.cluster.clone(), one.verdict, one.severity))
                .collect::<Vec<_>>()
        };
        let key = format!("{:?}", here.each_ref().map(says));
        found.entry(key).or_insert_with(|| (BTreeSet::new(), here)).0.insert(kind);
    }
    found.into_values().collect()
}

fn add(
    found: &mut Vec<Difference>,
    rule: &Rule,
    part: ComparedPart,
    kinds: BTreeSet<Kind>,
    roles: &BTreeSet<Role>,
    cluster: &str,
) {
    let width = match &rule.peer {
        Peer::Cidr(net) => Some(if net.prefix_len() == 0 { "a great many addresses" } else { "few addresses" }),
        _ => None,
    };
    let is_same = |known: &&mut Difference| {
        known.part == part
            && known.direction == rule.direction
            && known.kinds == kinds
            && (known.width == width || known.roles != *roles)
    };
    match found.iter_mut().find(is_same) {
        Some(known) => {
            known.roles.extend(roles);
            if known.width != width {
                known.width = None;
            }
        }
        None => found.push(Difference {
            way: Way::of(part.old.decision, part.new.decision),
            direction: rule.direction,
            part,
            width,
            kinds,
            roles: roles.clone(),
            clusters: [cluster.to_owned()].into(),
        }),
    }
}

/// Groups of one role each, and one that is attached to nodes and load balancers.
fn kinds() -> Vec<BTreeSet<Role>> {
    let alone = Role::ALL.map(|role| BTreeSet::from([role])).into_iter();
    alone.chain([BTreeSet::from([Role::Node, Role::LoadBalancer])]).collect()
}

/// A name for each set of clauses and `groups` that can be in force together; the first fits no pattern of the policies.
fn clusters(policies: [&Policy; 2]) -> Vec<String> {
    let entries = || policies.into_iter().flat_map(|policy| &policy.groups);
    let globs = policies.into_iter().flat_map(Policy::cluster_globs);
    let (named, other) = globs::samples(globs.chain(entries().map(|entry| entry.cluster.as_str())));
    let mut seen = BTreeSet::new();
    let in_force = |name: &String| {
        let clauses = policies.into_iter().flat_map(|policy| &policy.clauses);
        let clauses = clauses.map(|clause| clause.limits.holds_in(Some(name)));
        clauses.chain(entries().map(|entry| entry.cluster == *name)).collect::<Vec<_>>()
    };
    [other].into_iter().chain(named).filter(|name| seen.insert(in_force(name))).take(MAX_NAMED).collect()
}

fn same_cluster(role: Role) -> String {
    let at = Role::ALL.iter().position(|known| *known == role).unwrap_or_default();
    format!("sg-0000000000000001{at}")
}

fn list(list: AwsList) -> String {
    let at = AwsList::ALL.iter().position(|known| *known == list).unwrap_or_default();
    format!("pl-0000000000000001{at}")
}

fn rules(policies: [&Policy; 2]) -> Vec<Rule> {
    let group = |id: &str| Peer::Group { id: id.to_owned(), owner: None };
    let mut peers: Vec<Peer> = WIDE.iter().chain(&NARROW).filter_map(|block| Peer::cidr(block).ok()).collect();
    let foreign = Peer::Group { id: OTHER.to_owned(), owner: Some("444455556666".to_owned()) };
    peers.extend([group(OWN), group(OTHER), foreign, Peer::PrefixList(UNREADABLE.to_owned())]);
    peers.extend(Role::ALL.map(|role| group(&same_cluster(role))));
    peers.extend(AwsList::ALL.map(|of| Peer::PrefixList(list(of))));
    let terms = policies.into_iter().flat_map(|policy| &policy.clauses).flat_map(|clause| &clause.peers);
    let mut named = Vec::new();
    for term in terms {
        let peer = match term {
            PeerTerm::Group(id) => Some(group(id)),
            PeerTerm::PrefixList(id) => Some(Peer::PrefixList(id.clone())),
            PeerTerm::Addresses(addresses) => {
                // One address of it.
                let first = addresses.blocks().into_iter().next();
                first.and_then(|block| Peer::cidr(&block.network().to_string()).ok())
            }
            _ => None,
        };
        named.extend(peer.filter(|peer| !peers.contains(peer) && !named.contains(peer)));
    }
    peers.extend(named.into_iter().take(MAX_NAMED));
    let rule = |direction, peer: &Peer| {
        let (id, peer) = (String::new(), peer.clone());
        Rule { id, direction, packets: Packets::All, peer, description: None, tags: BTreeMap::new() }
    };
    [Direction::Ingress, Direction::Egress].iter().flat_map(|way| peers.iter().map(|peer| rule(*way, peer))).collect()
}

fn group(roles: &BTreeSet<Role>, cluster: &str, rules: &[Rule], policies: [&Policy; 2]) -> Group {
    let strong = |role: &Role| RoleEvidence { role: *role, evidence: Evidence::Configured, strong: true };
    let peer = |role: Role| {
        (same_cluster(role), PeerGroup { same_cluster: true, roles: [role].into(), ..PeerGroup::default() })
    };
    let mut peers: BTreeMap<String, PeerGroup> = Role::ALL.map(peer).into();
    for entry in policies.into_iter().flat_map(|policy| &policy.groups).filter(|entry| entry.cluster == cluster) {
        let peer = peers.entry(entry.id.clone()).or_default();
        peer.same_cluster = true;
        peer.roles.insert(entry.role);
    }
    Group {
        id: OWN.to_owned(),
        clusters: [cluster.to_owned()].into(),
        roles: roles.iter().map(strong).collect(),
        rules: rules.to_vec(),
        vpc_ranges: Addresses::default(),
        peers,
        prefix_lists: AwsList::ALL.map(|of| (list(of), PrefixList::Aws(of))).into(),
        ..Group::default()
    }
}

/// What differs in the text alone: ids that come and go, and settings.
fn written([old, new]: [&Policy; 2]) -> Vec<Written> {
    let mut found = Vec::new();
    let is_exception = |clause: &&Clause| clause.origin == Origin::Exception;
    let named = |policy: &Policy, exceptions: bool| -> BTreeMap<String, String> {
        let clauses = policy.clauses.iter().filter(|clause| is_exception(clause) == exceptions);
        // An exception counts as it is written, since its limits are not tried; a clause by what it decides.
        clauses
            .map(|clause| (clause.id.clone(), if exceptions { format!("{clause:?}") } else { String::new() }))
            .collect()
    };
    let requirements = |policy: &Policy| -> BTreeMap<String, String> {
        policy.requirements.iter().map(|one| (one.id.clone(), format!("{one:?}"))).collect()
    };
    let mode = |mode: Option<Mode>| mode.map_or("none", Mode::word);
    let modes = |policy: &Policy| -> BTreeMap<String, String> {
        policy.clusters.iter().map(|setting| (setting.name.clone(), mode(setting.mode).to_owned())).collect()
    };
    let controllers = |policy: &Policy| policy.controllers.iter().map(|arn| (arn.clone(), String::new())).collect();
    let groups = |policy: &Policy| {
        let name = |group: &crate::model::group::ConfiguredGroup| {
            (format!("{} as {} of {}", group.id, group.role.word(), group.cluster), mode(group.mode).to_owned())
        };
        policy.groups.iter().map(name).collect::<BTreeMap<_, _>>()
    };
    compare_names("clause", &named(old, false), &named(new, false), &mut found);
    compare_names("exception", &named(old, true), &named(new, true), &mut found);
    compare_names("requirement", &requirements(old), &requirements(new), &mut found);
    compare_names("cluster", &modes(old), &modes(new), &mut found);
    compare_names("controller", &controllers(old), &controllers(new), &mut found);
    compare_names("group", &groups(old), &groups(new), &mut found);
    let endpoint = |policy: &Policy| policy.public_endpoint.map_or(Verdict::Allow.word(), Severity::word).to_owned();
    let flag = |policy: &Policy| policy.exceptions_need_date.to_string();
    for (name, before, after) in [
        ("otherwise", old.otherwise.word().to_owned(), new.otherwise.word().to_owned()),
        ("public_endpoint", endpoint(old), endpoint(new)),
        ("exceptions_need_date", flag(old), flag(new)),
    ] {
        if before != after {
            found.push(Written { what: "setting", name: name.to_owned(), change: format!("{before} -> {after}") });
        }
    }
    found
}

fn compare_names(
    what: &'static str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    found: &mut Vec<Written>,
) {
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let change = match (old.get(name), new.get(name)) {
            (None, Some(_)) => "new".to_owned(),
            (Some(_), None) => "gone".to_owned(),
            // Short values are told, others are only known to differ.
            (Some(before), Some(after)) if before != after && after.len() < 20 => format!("{before} -> {after}"),
            (Some(before), Some(after)) if before != after => "changed".to_owned(),
            _ => continue,
        };
        found.push(Written { what, name: name.clone(), change });
    }
}

fn in_words(
    [old, new]: [&Policy; 2],
    tried: &Tried,
    differences: &[Difference],
    written: &[Written],
    style: Style,
) -> String {
    let mut out = format!("Policy `{}` -> `{}`, compared without rules\n", plain(&old.name), plain(&new.name));
    let mut last = None;
    for difference in differences {
        if last != Some(difference.way) {
            let word = difference.way.word();
            let heading = if difference.way == Way::Milder { style.good(word) } else { style.bad(word) };
            let _ = writeln!(out, "\n{heading}");
            last = Some(difference.way);
        }
        let Difference { direction, part, width, .. } = difference;
        let way = if *direction == Direction::Ingress { "from" } else { "to" };
        let width = width.map(|width| format!(" ({width})")).unwrap_or_default();
        let what = traffic(&part.traffic, &Traffic::all());
        let _ = writeln!(out, "  {what} {way} {}{width}", peers(part));
        let _ = writeln!(out, "      {}", sides(part));
        let _ = writeln!(out, "      {}", scope(difference, tried));
    }
    if !written.is_empty() {
        out.push_str("\nwritten\n");
    }
    for Written { what, name, change } in written {
        let _ = writeln!(out, "  {what} `{}`: {change}", plain(name));
    }
    let many = |way| differences.iter().filter(|difference| difference.way == way).count();
    let (stricter, milder) = (many(Way::Stricter), many(Way::Milder));
    let _ = match differences.len() {
        0 => writeln!(out, "\nno decision differs"),
        all => writeln!(out, "\n{}: {stricter} stricter, {milder} milder", count(all, "difference")),
    };
    out
}

/// In which groups, and of which clusters where not of all.
fn scope(difference: &Difference, tried: &Tried) -> String {
    let roles = if difference.roles.len() == Role::ALL.len() {
        "groups of every role".to_owned()
    } else {
        format!("groups with role {}", difference.roles.iter().map(|role| role.word()).collect::<Vec<_>>().join(", "))
    };
    let rules = widths::words(&difference.kinds, &tried.kinds);
    let which = rules.map(|rules| format!("{rules}, in ")).unwrap_or_default();
    let (with, without): (Vec<&String>, Vec<&String>) =
        tried.clusters.iter().partition(|name| difference.clusters.contains(*name));
    let listed = |names: Vec<&String>| names.into_iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    let is_other = |names: &[&String]| names.first().copied() == tried.clusters.first();
    let clusters = match (without.is_empty(), is_other(&with)) {
        (true, _) => String::new(),
        (_, true) => format!(", but not of clusters such as {}", listed(without)),
        _ => format!(", of clusters such as {}", listed(with)),
    };
    format!("{which}{roles}{clusters}")
}

fn for_tools([old, new]: [&Policy; 2], tried: &Tried, differences: &[Difference], written: &[Written]) -> Value {
    let difference = |difference: &Difference| {
        let Difference { way, direction, part, width, kinds, roles, clusters } = difference;
        json!({
            "way": way.word(), "direction": direction, "roles": roles, "clusters": clusters,
            "traffic": traffic_for_tools(&part.traffic), "peer_class": part.peer_class.word(),
            "addresses": part.addresses, "width": width,
            "rules": widths::words(kinds, &tried.kinds),
            "old": side_for_tools(&part.old), "new": side_for_tools(&part.new),
        })
    };
    let text = |Written { what, name, change }: &Written| json!({"what": what, "name": name, "change": change});
    json!({
        "old": {"policy": old.name, "policy_hash": old.hash},
        "new": {"policy": new.name, "policy_hash": new.hash},
        "differences": differences.iter().map(difference).collect::<Vec<_>>(),
        "written": written.iter().map(text).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::policy::file;

    /// What differs between two files, as `ports: old -> new; where`.
    fn told(old: &str, new: &str) -> Vec<String> {
        let [old, new] = [old, new].map(|text| {
            file::load("p.yaml", &format!("version: 1\nextends: none\n{text}"), date(2026, 6, 15)).unwrap().policy
        });
        let policies = [&old, &new];
        let tried = Tried { kinds: widths::kinds(policies), clusters: clusters(policies) };
        let all = differences(policies, Timestamp::UNIX_EPOCH);
        let line = |one: &Difference| {
            let verdict = |side: &crate::cli::compare::Side| side.decision.0.word();
            format!("{} -> {}; {}", verdict(&one.part.old), verdict(&one.part.new), scope(one, &tried))
        };
        let mut lines: Vec<String> = all.iter().map(line).collect();
        lines.dedup();
        lines
    }

    fn clause(keys: &str) -> String {
        let fixed = "id: c, roles: pod, protocol: tcp, ports: 8080, from: [\"aws:s3\"], severity: high, reason: r";
        format!("clauses: [{{{fixed}, {keys}}}]\n")
    }

    #[test]
    fn what_is_said_of_some_rules_is_compared_for_them() {
        for (keys, rules) in [
            ("at_most_ports: 16", "allow -> revoke; rules of at most 16 ports, in "),
            ("at_most_ports: 1", "allow -> revoke; rules of 1 port, in "),
            ("more_than_ports: 16", "allow -> revoke; rules of 17 ports or more, in "),
            ("more_than_ports: 16, at_most_ports: 40", "allow -> revoke; rules of 17 to 40 ports, in "),
        ] {
            let found = told("", &clause(&format!("verdict: revoke, {keys}")));
            assert_eq!(found, [format!("{rules}groups with role pod")], "{keys}");
        }
        let revoke = clause("verdict: revoke");
        for (keys, expected) in [
            ("in_passing: allow", "revoke -> allow; rules of 257 to 32767 ports, in groups with role pod"),
            ("for_controller: allow", "revoke -> allow; a controller's own rules, in groups with role pod"),
            ("severity_of_broad: low", "revoke -> revoke; rules of 257 ports or more, in groups with role pod"),
            ("severity_of_ranges: low", "revoke -> revoke; rules of 2 ports or more, in groups with role pod"),
        ] {
            assert_eq!(told(&revoke, &clause(&format!("verdict: revoke, {keys}"))), [expected], "{keys}");
        }
    }

    #[test]
    fn what_differs_in_some_clusters_is_told_of_these() {
        for (keys, clusters) in [
            ("cluster: \"prod-*\"", ", of clusters such as prod-"),
            ("except_cluster: dev", ", but not of clusters such as dev"),
            ("cluster: \"p*\", except_cluster: p", ", of clusters such as px"),
            ("cluster: \"*\"", ""),
        ] {
            let found = told("", &clause(&format!("verdict: revoke, {keys}")));
            assert_eq!(found, [format!("allow -> revoke; groups with role pod{clusters}")], "{keys}");
        }
    }
}
