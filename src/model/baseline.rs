//! What is remembered of the rules of groups: the baseline, by which a rule that is seen again is known and every other one
//! is new.
//!
//! Owns: the values, as they are kept and read. Must not: decide what is new (the guard's `standing` does) or keep them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::group::{Group, Role};
use crate::model::region::Addresses;
use crate::model::rule::Rule;

/// What a group was when its rules were judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The clusters that anything called it a group of; none: it was another's.
    pub clusters: BTreeSet<String>,
    /// It was a load balancer's and nothing else.
    pub only_load_balancer: bool,
    /// It was attached to something that is no cluster's.
    pub is_shared: bool,
}

impl From<&Group> for Context {
    fn from(group: &Group) -> Self {
        Self {
            clusters: group.clusters.clone(),
            only_load_balancer: group.role_set() == BTreeSet::from([Role::LoadBalancer]),
            is_shared: group.is_shared,
        }
    }
}

/// What a known rule waits for, if anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It should be closed, and entered because the guard only reported then.
    Reporting,
    /// Nothing better than ordinary tags said whose the group was, by what tied it to whom.
    Claimed(BTreeSet<String>),
}

/// A rule in full, with what its group was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRule {
    /// As it was known.
    pub rule: Rule,
    /// What its group was then.
    pub context: Context,
    /// Why it is not simply known.
    pub mark: Option<Mark>,
}

/// The known rules of a group, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// By `sgr-…`.
    pub rules: BTreeMap<String, KnownRule>,
}

/// What is remembered of one group, as far as it says which of its rules are new.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    /// When the guard began in the account and region.
    pub began: Option<Timestamp>,
    /// When every group of the VPC was last looked at.
    pub looked_at: Option<Timestamp>,
    /// Whether that look saw this group.
    pub was_there: bool,
    /// Its known rules. `None`: there is no such item.
    pub baseline: Option<Baseline>,
    /// The entries of prefix lists as they were known, by `pl-…`.
    pub lists: BTreeMap<String, Addresses>,
}
