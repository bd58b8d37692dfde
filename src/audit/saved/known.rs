//! Groups and prefix lists, as far as they are known.

use crate::model::facts::GroupFacts;
use crate::model::group::UnreadableRule;
use crate::model::region::Addresses;
use crate::model::rule::Rule;

/// A group of which the rules are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownGroup {
    pub(crate) facts: GroupFacts,
    pub(crate) rules: Vec<Rule>,
    pub(crate) unreadable: Vec<UnreadableRule>,
}

/// A prefix list, as far as it was saved.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownList {
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) state: String,
    /// `None`: its entries were not saved.
    pub(crate) entries: Option<Addresses>,
}
