//! The prefix list of a rule, as a record has it.
//!
//! Must not: read a list.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A prefix list of a customer, as it was when the rule that names it was judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRecord {
    /// `pl-…`.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// What it holds, as the fewest blocks; the first of them.
    pub entries: Vec<IpNet>,
    /// How many blocks there are in all.
    pub count: usize,
    /// What of that came since the rule was known; the first of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gained: Vec<IpNet>,
}

impl ListRecord {
    /// Blocks that a record has of one list.
    const MAX_BLOCKS: usize = 20;

    /// The list of this id, with all blocks that it holds and those that came.
    pub fn new(id: &str, name: Option<String>, blocks: &[IpNet], gained: &[IpNet]) -> Self {
        let some = |blocks: &[IpNet]| {
            // The widest matter most.
            let mut blocks = blocks.to_vec();
            blocks.sort_by_key(IpNet::prefix_len);
            blocks.truncate(Self::MAX_BLOCKS);
            blocks
        };
        Self { id: id.to_owned(), name, entries: some(blocks), count: blocks.len(), gained: some(gained) }
    }

    /// Whether `entries` are all that it holds.
    pub fn is_whole(&self) -> bool {
        self.entries.len() == self.count
    }
}
