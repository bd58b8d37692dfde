//! Ids of AWS: which texts are one, and where a thing lives.

/// An account and a region of it: what one guard looks after.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Twelve digits.
    pub account: String,
    /// `us-east-1`, …
    pub region: String,
}

impl Location {
    /// A location, as it is written.
    pub fn new(account: impl Into<String>, region: impl Into<String>) -> Self {
        Self { account: account.into(), region: region.into() }
    }
}

/// The account and the region, each in backticks.
impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "account `{}`, region `{}`", self.account, self.region)
    }
}
