//! A resource of a plan: what it is before and after, and which of its values are known only after apply.
//!
//! Must not: say what a value means.

use serde_json::Value;

/// A resource, before and after.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    /// `module.eks.aws_security_group.node[0]`
    pub(crate) address: String,
    /// `module.eks`; empty at the top.
    pub(crate) module: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Null where it is gone before, or after.
    pub(crate) before: Value,
    pub(crate) after: Value,
    /// `true` where a value is known only after apply.
    pub(crate) unknown: Value,
}

impl Resource {
    /// A value that will be known: `None` where there is none, and where it is known only after apply.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.after.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Whether something of this value is known only after apply.
    pub(crate) fn is_unknown(&self, key: &str) -> bool {
        self.unknown.get(key).is_some_and(holds_true)
    }

    /// The first block of this name.
    pub(crate) fn block(&self, name: &str) -> Option<&Value> {
        self.after.get(name).and_then(|blocks| blocks.get(0))
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.after.is_null()
    }
}

/// Whether there is `true` in it.
pub(crate) fn holds_true(value: &Value) -> bool {
    match value {
        Value::Bool(is) => *is,
        Value::Array(items) => items.iter().any(holds_true),
        Value::Object(items) => items.values().any(holds_true),
        _ => false,
    }
}
