//! Why a call to AWS did not do what was asked, and how causes are written: one line, outermost first, joined by colons.

use std::error::Error;

/// Why a call to AWS did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The group does not exist (any more).
    #[error("the security group is gone")]
    GroupGone(#[source] Cause),
    /// A rule id does not exist (any more).
    #[error("a rule is gone")]
    RuleGone(#[source] Cause),
    /// A prefix list does not exist, or is not shared with us (any more).
    #[error("the prefix list is gone")]
    ListGone(#[source] Cause),
    /// A prefix list is being made, modified or restored, so nobody can say what it holds.
    #[error("the prefix list is being changed (`{state}`), so what it holds is not known for now")]
    ListChanging {
        /// Its state, as EC2 names it.
        state: String,
    },
    /// We lack the right; the text says what to grant.
    #[error("not allowed to call `{action}`; grant it to the function's role, or look for a policy that denies it")]
    Denied {
        /// IAM action, such as `ec2:RevokeSecurityGroupIngress`.
        action: String,
        /// What AWS said.
        #[source]
        source: Cause,
    },
    /// Somebody between us and AWS keeps the call back.
    #[error("it was not done: {0}")]
    Withheld(String),
    /// EC2 does not take what a rule was to become: another rule is that already, or what it refers to is gone.
    #[error("EC2 does not take that content")]
    NotTaken(#[source] Cause),
    /// AWS answered that it did not do it now, a throttle for example, at each of the SDK's own retries. Of changes alone.
    #[error("`{action}` was not done")]
    NotDone {
        /// IAM action.
        action: String,
        /// What AWS said.
        #[source]
        source: Cause,
    },
    /// Anything else, after the SDK's own retries. A change may have been made.
    #[error("`{action}` failed")]
    Failed {
        /// IAM action.
        action: String,
        /// What happened, with its own causes.
        #[source]
        source: Cause,
    },
}

/// A cause from below a port.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The message of an error with all its causes, on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.replace(['\n', '\r'], " ")
}
