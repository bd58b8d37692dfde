//! What brings events to the guard, as it was read: CloudTrail's trails, and the guard's own event rule.
//!
//! Must not: say whether they suffice (`policy::sight` does).

/// What was read, or why it could not be.
pub type Read<T> = Result<T, String>;

/// A trail that is shown in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// Its ARN: the same in all regions that show it.
    pub arn: String,
    /// Where it was made, and where alone its calls are recorded.
    pub home_region: String,
    /// Whether it logs what happens in any region.
    pub is_multi_region: bool,
    /// Whether it logs at all, for now.
    pub is_logging: Read<bool>,
    /// What it logs.
    pub selectors: Read<Selectors>,
}

/// What a trail logs: whatever one of them selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selectors {
    /// Nobody said, so all management events.
    Default,
    /// The older kind.
    Basic(Vec<BasicSelector>),
    /// The newer kind, each of them conditions that all have to hold.
    Advanced(Vec<Vec<FieldSelector>>),
}

/// A selector of the older kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicSelector {
    /// Whether management events are in it.
    pub has_management_events: bool,
    /// `All`, `ReadOnly` or `WriteOnly`.
    pub read_write: String,
    /// Services whose management events are left out: `kms.amazonaws.com`.
    pub excluded_sources: Vec<String>,
}

/// A condition on a field of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// `eventCategory`, `readOnly`, …
    pub field: String,
    /// One of these has to fit, if there are any.
    pub any_of: Vec<Pattern>,
    /// None of these may fit.
    pub none_of: Vec<Pattern>,
}

/// What the text of a field is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// It is this.
    Is(String),
    /// It begins so.
    Begins(String),
    /// It ends so.
    Ends(String),
}

impl Pattern {
    /// Whether this text fits.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Is(whole) => text == whole,
            Self::Begins(start) => text.starts_with(start.as_str()),
            Self::Ends(end) => text.ends_with(end.as_str()),
        }
    }
}

/// Where the events of the guard's own rule go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// To the guard.
    Delivers,
    /// Nowhere: it is switched off.
    Disabled,
    /// Somewhere else: the guard is none of its targets.
    Elsewhere,
    /// Nowhere: there is no such rule.
    Gone,
}
