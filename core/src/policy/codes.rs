//! Every code of a diagnostic, permanent: what tools filter by. Their pages are `docs/diagnostics.md`.
//!
//! Must not: say what a code means; its page does.

use crate::policy::diagnostic::Level::{self, Error, Warning};

/// How a code can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Kebab-case.
    pub name: &'static str,
    /// Of a code that is a warning in one policy and an error in another, the milder.
    pub level: Level,
    /// A file can accept the warning, since it is about something that the file names.
    pub can_be_accepted: bool,
}

/// All of them, in the order of the alphabet.
pub const CODES: [Code; 67] = [
    warning("allows-critical"),
    error("bad-account"),
    error("bad-arn"),
    error("bad-cidr"),
    error("bad-date"),
    error("bad-glob"),
    error("bad-icmp"),
    error("bad-id"),
    error("bad-name"),
    error("bad-network"),
    error("bad-peer"),
    error("bad-port"),
    error("bad-port-count"),
    error("bad-region"),
    error("bad-requirement"),
    error("bad-resource-id"),
    error("bad-time"),
    remark("cut-text"),
    error("duplicate-entry"),
    error("duplicate-id"),
    error("duplicate-key"),
    error("empty"),
    warning("expired"),
    warning("far-expiry"),
    error("host-bits"),
    warning("idle-exception"),
    error("look-alike"),
    error("missing-key"),
    error("network-cycle"),
    remark("no-effect"),
    warning("no-expiry"),
    remark("nothing-accepted"),
    warning("opens-to-world"),
    warning("otherwise-milder"),
    error("placeholder"),
    error("ports-without-protocol"),
    error("protocol-has-no-ports"),
    error("reserved-name"),
    error("revoke-of-requirement"),
    error("several-rules"),
    error("severity-of-allow"),
    warning("shadowed"),
    warning("takes-requirement"),
    error("too-large"),
    remark("too-many-problems"),
    error("unknown-author"),
    error("unknown-aws-list"),
    error("unknown-clause"),
    error("unknown-direction"),
    error("unknown-key"),
    error("unknown-mode"),
    error("unknown-network"),
    error("unknown-policy"),
    error("unknown-prefix-list"),
    error("unknown-protocol"),
    error("unknown-role"),
    error("unknown-severity"),
    error("unknown-verdict"),
    error("unknown-version"),
    error("unknown-warning"),
    warning("unused-network"),
    warning("weakens-inherited"),
    warning("whole-rule"),
    warning("wide-clients"),
    error("wrong-direction"),
    error("wrong-type"),
    error("yaml"),
];

const fn error(name: &'static str) -> Code {
    Code { name, level: Error, can_be_accepted: false }
}

const fn warning(name: &'static str) -> Code {
    Code { name, level: Warning, can_be_accepted: true }
}

/// A warning about the text itself, which is mended rather than accepted.
const fn remark(name: &'static str) -> Code {
    Code { name, level: Warning, can_be_accepted: false }
}

/// The code of that name.
pub fn find(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|code| code.name == name)
}

/// The names of the warnings that a file can accept.
pub fn acceptable() -> Vec<&'static str> {
    CODES.iter().filter(|code| code.can_be_accepted).map(|code| code.name).collect()
}
