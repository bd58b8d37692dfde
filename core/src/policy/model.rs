//! What a policy is, once read: an ordered list of clauses over regions, and what they say.
//!
//! Must not: read files (`policy::file` does) or decide (`policy::judge` does).

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{Timestamp, tz::Offset};
use wildmatch::WildMatch;

use crate::model::group::{AwsList, ConfiguredGroup, Group, Role};
pub use crate::model::mode::Mode;
use crate::model::region::{Addresses, Traffic};
use crate::model::rule::Direction;
use crate::model::{text, words};
use crate::policy::globs;

words! {
    /// What a policy says of a rule. Ordered from mild to severe: the worst portion decides.
    pub enum Verdict {
        /// Fine.
        Allow = "allow",
        /// People are notified.
        Report = "report",
        /// The rule is removed and people are notified.
        Revoke = "revoke",
    }
}

words! {
    /// How bad it is. Ordered from mild to severe.
    pub enum Severity {
        /// For the next tidying-up.
        Low = "low",
        /// Look at it this week.
        Medium = "medium",
        /// Look at it today.
        High = "high",
        /// Look at it now.
        Critical = "critical",
    }
}

/// A policy, valid by construction: read it with `policy::file`.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `standard`, `strict`, `none`, or the file's name without its folder.
    pub name: String,
    /// SHA-256 over the texts it was made of, lower-case hex.
    pub hash: String,
    /// Principals whose marked single-port rules get `Clause::for_controller`. ARNs, compared whole.
    pub controllers: BTreeSet<String>,
    /// Membership that discovery can't see.
    pub groups: Vec<ConfiguredGroup>,
    /// Per-cluster settings, first match wins.
    pub clusters: Vec<ClusterSetting>,
    /// In reading order: exceptions, the file's own clauses, the inherited ones.
    pub clauses: Vec<Clause>,
    /// What must stay open: the file's own, then the inherited ones.
    pub requirements: Vec<Requirement>,
    /// How bad a public endpoint of the API is that is open to a great many; `None`: fine.
    pub public_endpoint: Option<Severity>,
    /// The `clients` network: who may use `NodePorts`.
    pub clients: Vec<PeerTerm>,
    /// The named networks of the file, as far as they are blocks: what people call these addresses.
    pub networks: Vec<(String, Addresses)>,
    /// What a portion gets that nothing covers.
    pub otherwise: Verdict,
    /// An exception without an end is an error, here and in the policies that extend this one.
    pub exceptions_need_date: bool,
}

impl Policy {
    /// The mode of a group, and what set it where that made a difference: its own entry, else the strictest mode of its
    /// clusters, since joining a second one must never make the guard milder. A cluster of which no setting speaks allows
    /// every mode.
    pub fn mode_of(&self, group: &Group) -> (Mode, Option<String>) {
        let setting = |name: &str| self.clusters.iter().find(|setting| WildMatch::new(&setting.name).matches(name));
        let of_cluster = |name: &String| setting(name).and_then(|setting| setting.mode).unwrap_or(Mode::Enforce);
        let entries = self.groups.iter().filter(|entry| entry.id == group.id);
        let own = entries.filter_map(|entry| entry.mode).max();
        let modes: Vec<(&String, Mode)> = group.clusters.iter().map(|name| (name, of_cluster(name))).collect();
        let mode = own.or(modes.iter().map(|(_, mode)| *mode).max()).unwrap_or(Mode::Enforce);
        if mode == Mode::Enforce && modes.iter().all(|(_, of_cluster)| *of_cluster == mode) {
            return (mode, None);
        }
        let whose = if own.is_some() {
            format!("group `{}` (in `groups`)", group.id)
        } else {
            let decided = modes.iter().filter(|(_, of_cluster)| *of_cluster == mode);
            let names: Vec<String> = decided.map(|(name, _)| format!("`{name}`")).collect();
            format!("cluster{} {}", if names.len() == 1 { "" } else { "s" }, text::and(&names))
        };
        (mode, Some(format!("the policy sets the mode of {whose} to `{}`", mode.word())))
    }

    /// The globs over names of clusters that it has.
    pub fn cluster_globs(&self) -> impl Iterator<Item = &str> {
        let limits =
            self.clauses.iter().flat_map(|clause| clause.limits.cluster.iter().chain(&clause.limits.not_clusters));
        limits.chain(self.clusters.iter().map(|setting| &setting.name)).map(String::as_str)
    }

    /// What is in force in one cluster: without the clauses and settings of others.
    #[must_use]
    pub fn in_cluster(&self, name: &str) -> Self {
        let clauses = self.clauses.iter().filter(|clause| clause.limits.holds_in(Some(name))).cloned();
        let setting = self.clusters.iter().find(|setting| WildMatch::new(&setting.name).matches(name));
        Self { clauses: clauses.collect(), clusters: setting.cloned().into_iter().collect(), ..self.clone() }
    }
}

/// Settings of the clusters whose name matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSetting {
    /// A glob: `*` and `?`.
    pub name: String,
    /// Free text for people.
    pub environment: Option<String>,
    /// At most this mode. `None`: the environment variable decides.
    pub mode: Option<Mode>,
}

/// One line of the policy.
#[derive(Clone, Debug)]
pub struct Clause {
    /// Kebab-case, permanent.
    pub id: String,
    /// Who wrote it.
    pub origin: Origin,
    /// It speaks of groups that have any of these.
    pub roles: BTreeSet<Role>,
    /// It speaks only of groups that have no role but `roles`.
    pub only: bool,
    /// Ingress or egress.
    pub direction: Direction,
    /// Protocols and ports.
    pub traffic: Traffic,
    /// Sources or destinations: any of them.
    pub peers: Vec<PeerTerm>,
    /// What it says.
    pub verdict: Verdict,
    /// How bad it is. `None` for `allow`.
    pub severity: Option<Severity>,
    /// Severity of a rule that opens more than one port, where it differs.
    pub severity_of_ranges: Option<Severity>,
    /// Severity of a rule that opens more than `Packets::FEW_HUNDRED` ports, where it differs.
    pub severity_of_broad: Option<Severity>,
    /// It speaks only of rules that open so many ports.
    pub width: Width,
    /// Verdict on a rule that covers the clause's ports by the way, without meaning them, where it differs.
    pub in_passing: Option<Verdict>,
    /// Verdict on a controller's own single-port rule, where it differs.
    pub for_controller: Option<Verdict>,
    /// Severity of such a rule, where it differs.
    pub severity_for_controller: Option<Severity>,
    /// Still revokes in a group that is attached to a load balancer too. Without it `revoke` is `report` there.
    pub beside_load_balancer: bool,
    /// Why, for people.
    pub reason: String,
    /// Where it holds, and until when. Clauses are limited to clusters alone.
    pub limits: Limits,
}

/// How many ports a rule opens, of those that a clause speaks of. Any number where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Width {
    /// More than these.
    pub more_than: Option<u32>,
    /// These, or fewer.
    pub at_most: Option<u32>,
}

impl Width {
    /// Whether a rule of so many ports is one of them.
    pub fn holds(self, ports: u32) -> bool {
        self.more_than.is_none_or(|fewer| ports > fewer) && self.at_most.is_none_or(|most| ports <= most)
    }

    /// Whether each width of the other one is one of these.
    pub(crate) fn covers(self, other: Self) -> bool {
        let lowest = |width: Self| width.more_than.unwrap_or(0);
        let highest = |width: Self| width.at_most.unwrap_or(u32::MAX);
        lowest(self) <= lowest(other) && highest(other) <= highest(self)
    }
}

words! {
    /// Who wrote a clause.
    pub enum Origin {
        /// An `exceptions` entry of the user's file.
        Exception = "exception",
        /// A `clauses` entry of the user's file.
        User = "user",
        /// A built-in policy.
        BuiltIn = "built-in",
    }
}

/// Where and until when a clause holds. Nothing said: everywhere, for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Who answers for it.
    pub owner: Option<String>,
    /// Last day it holds, to its end in UTC.
    pub expires: Option<Date>,
    /// `sg-…`.
    pub group: Option<String>,
    /// A glob over the cluster's name.
    pub cluster: Option<String>,
    /// Globs over names of clusters in which it does not hold.
    pub not_clusters: Vec<String>,
    /// Twelve digits.
    pub account: Option<String>,
    /// `us-east-1`, …
    pub region: Option<String>,
}

impl Limits {
    /// Whether it still holds: the whole last day counts, in UTC.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|last| Offset::UTC.to_datetime(now).date() <= last)
    }

    /// Whether it holds in the cluster of this name. `None`: of a group that belongs to no cluster.
    pub fn holds_in(&self, cluster: Option<&str>) -> bool {
        let is = |glob: &String| cluster.is_some_and(|name| WildMatch::new(glob).matches(name));
        self.cluster.as_ref().is_none_or(is) && !self.not_clusters.iter().any(is)
    }

    /// Whether these clusters are surely among the other's.
    pub(crate) fn clusters_are_within(&self, wider: &Self) -> bool {
        let same = self.cluster == wider.cluster && self.not_clusters == wider.not_clusters;
        same || wider.cluster.as_deref().is_none_or(globs::is_universal) && wider.not_clusters.is_empty()
    }
}

/// One term of `from` or `to`.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerTerm {
    /// These addresses (a CIDR or a named network of CIDRs).
    Addresses(Addresses),
    /// `pl-…`: that list, by identity.
    PrefixList(String),
    /// `sg-…`: that group, by identity.
    Group(String),
    /// An AWS-owned list, by identity.
    Aws(AwsList),
    /// RFC 1918, 100.64.0.0/10, link-local, unique local, the VPC's ranges, the cluster's remote networks.
    Private,
    /// Every other address.
    Internet,
    /// The internet part of a rule that alone, or with other small ones, lets in a great many addresses.
    WideInternet,
    /// The VPC's ranges.
    Vpc,
    /// Every address, list and group.
    Anywhere,
    /// The group itself.
    Itself,
    /// A group with strong evidence for the same cluster.
    SameCluster,
    /// Such a group of that role.
    Role(Role),
    /// Every other group.
    OtherGroup,
    /// Of these, a group of another account.
    OtherAccountGroup,
}

impl PeerTerm {
    /// The terms that are a word and nothing more.
    pub const PLAIN: [(&'static str, Self); 9] = [
        ("private", Self::Private),
        ("internet", Self::Internet),
        ("wide-internet", Self::WideInternet),
        ("vpc", Self::Vpc),
        ("anywhere", Self::Anywhere),
        ("self", Self::Itself),
        ("same-cluster", Self::SameCluster),
        ("other-group", Self::OtherGroup),
        ("other-account-group", Self::OtherAccountGroup),
    ];
    /// What stands before the word of a role.
    pub const OF_ROLE: &'static str = "role:";

    /// The term as the language writes it. `None`: addresses and ids, which are written as what they are.
    pub fn word(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Role(role) => Some(format!("{}{}", Self::OF_ROLE, role.word()).into()),
            Self::Aws(list) => Some(list.word().into()),
            plain => Self::PLAIN.iter().find(|(_, term)| term == plain).map(|(word, _)| (*word).into()),
        }
    }

    /// The term that a word means.
    pub fn from_word(word: &str) -> Option<Self> {
        let plain = || Self::PLAIN.iter().find(|(known, _)| *known == word).map(|(_, term)| term.clone());
        let role = || word.strip_prefix(Self::OF_ROLE).and_then(Role::from_word).map(Self::Role);
        plain().or_else(role).or_else(|| AwsList::from_word(word).map(Self::Aws))
    }

    /// Every word.
    pub fn words() -> impl Iterator<Item = Cow<'static, str>> {
        let plain = Self::PLAIN.map(|(_, term)| term).into_iter();
        let all = plain.chain(Role::ALL.map(Self::Role)).chain(AwsList::ALL.map(Self::Aws));
        all.filter_map(|term| term.word())
    }

    /// Whether the word names groups of the cluster. Only a user's clause that does may revoke a rule among them.
    pub fn names_cluster_groups(&self) -> bool {
        matches!(self, Self::Group(_) | Self::Itself | Self::SameCluster | Self::Role(_))
    }
}

/// What the addresses or the group of a rule are to the group that has the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerClass {
    /// Public addresses.
    Internet,
    /// Private ones, the ranges of the VPC among them.
    Private,
    /// The group itself.
    Itself,
    /// Another group of its cluster.
    SameCluster,
    /// Any other group.
    OtherGroup,
    /// A prefix list that could not be read.
    Unreadable,
    /// An AWS-owned list, by identity.
    Aws(AwsList),
}

impl PeerClass {
    const PLAIN: [(&'static str, Self); 6] = [
        ("internet", Self::Internet),
        ("private", Self::Private),
        ("self", Self::Itself),
        ("same-cluster", Self::SameCluster),
        ("other-group", Self::OtherGroup),
        ("unreadable", Self::Unreadable),
    ];

    /// The word of the record and the command line. AWS-owned lists have that of the policy language.
    pub fn word(self) -> &'static str {
        match self {
            Self::Aws(list) => list.word(),
            plain => Self::PLAIN.iter().find(|(_, class)| *class == plain).map_or("", |(word, _)| word),
        }
    }

    /// Every class.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.map(|(_, class)| class).into_iter().chain(AwsList::ALL.map(Self::Aws))
    }
}

/// A region that must stay open.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// Kebab-case, permanent.
    pub id: String,
    /// Whose interfaces must let it through.
    pub interfaces_of: InterfacesOf,
    /// Into them or out of them.
    pub direction: Direction,
    /// Protocols and ports, all of them.
    pub traffic: Traffic,
    /// The other side. Each port must be open to one of these; `role:node` means every node.
    pub peers: Vec<PeerTerm>,
    /// How bad it is when it is not met.
    pub severity: Severity,
    /// What needs it, for people.
    pub reason: String,
}

impl Requirement {
    /// The kinds of other side, for machines: `control-plane`, `node`, `group`, `addresses`; several with commas.
    pub fn peer_class(&self) -> String {
        let class = |word: &PeerTerm| match word {
            PeerTerm::Role(Role::Node) => "node",
            PeerTerm::Role(_) => "control-plane",
            PeerTerm::Group(_) => "group",
            _ => "addresses",
        };
        let mut classes: Vec<&str> = self.peers.iter().map(class).collect();
        classes.dedup();
        classes.join(",")
    }
}

words! {
    /// Whose interfaces a requirement is about.
    pub enum InterfacesOf {
        /// The interfaces that EKS puts into the VPC.
        ControlPlane = "control-plane",
        /// The primary interface of each node.
        Node = "node",
    }
}
