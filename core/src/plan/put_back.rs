//! Putting back: what a rule that was edited in place was known as, and what a revoke of it would lose.
//!
//! Must not: decide whether it may become that again (the plan does), do it, or take anything for former content but what
//! the baseline holds for that very rule.

use crate::model::baseline::KnownRule;
use crate::model::rule::Rule;
use crate::plan::standing::{Memory, is_equal};
use crate::report::notice::rule_in_words;

/// What a rule was known as that is gone or something else now. `live`: the rules of its group.
pub fn known_as<'m>(memory: &'m Memory, id: &str, live: &[Rule]) -> Option<&'m Rule> {
    let known = &in_baseline(memory, id)?.rule;
    (!live.iter().any(|rule| rule.id == known.id && is_equal(known, rule))).then_some(known)
}

fn in_baseline<'m>(memory: &'m Memory, id: &str) -> Option<&'m KnownRule> {
    let Memory::Read(remembered) = memory else { return None };
    remembered.baseline.as_ref()?.rules.get(id)
}

/// What a rule was known as before somebody edited it in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// In full, under the same id.
    pub rule: Rule,
    /// Why it is not put back to that; none: it is.
    pub lost_because: Option<String>,
}

impl Former {
    /// Of a rule that was edited in place. `lost_because`: why it must not be what it is given again.
    pub(super) fn of(rule: &Rule, memory: &Memory, lost_because: impl Fn(&Rule) -> Option<String>) -> Option<Self> {
        let known = &in_baseline(memory, &rule.id)?.rule;
        // A rule keeps its id and its direction for life. What says otherwise is not about this rule.
        let is_it = known.id == rule.id && known.direction == rule.direction && !is_equal(known, rule);
        is_it.then(|| Self { rule: known.clone(), lost_because: lost_because(known) })
    }

    /// What a revoke takes with it.
    pub fn lost(&self) -> String {
        let why = self.lost_because.as_ref().map(|why| format!("; it was not put back, because {why}"));
        format!("lost is what the rule was before it was edited: {}{}", self.in_words(), why.unwrap_or_default())
    }

    /// Without the id, which is that of the rule.
    pub fn in_words(&self) -> String {
        rule_in_words(&Rule { id: String::new(), ..self.rule.clone() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::baseline::{Baseline, Context, Remembered};
    use crate::model::rule::{Direction, Packets, Peer};

    fn rule(id: &str, port: u16) -> Rule {
        let peer = Peer::cidr("203.0.113.0/24").unwrap();
        Rule { id: id.to_owned(), ..Rule::new(Direction::Ingress, Packets::Tcp(port, port), peer) }
    }

    fn known() -> Memory {
        let (context, mark, author) = (Context::default(), None, None);
        let known = KnownRule { rule: rule("sgr-1", 443), context, mark, author, missed: 0 };
        let rules = BTreeMap::from([("sgr-1".to_owned(), known)]);
        Memory::Read(Remembered { baseline: Some(Baseline { rules, ..Baseline::default() }), ..Remembered::default() })
    }

    #[test]
    fn a_rule_was_known_as_something_where_it_is_gone_or_something_else_now() {
        let known = known();
        for (sentence, id, live, expected) in [
            ("it is gone", "sgr-1", vec![], true),
            ("only others are there", "sgr-1", vec![rule("sgr-2", 443)], true),
            ("it was edited", "sgr-1", vec![rule("sgr-1", 22)], true),
            ("it is there as it was", "sgr-1", vec![rule("sgr-2", 22), rule("sgr-1", 443)], false),
            ("nobody knew it", "sgr-2", vec![rule("sgr-2", 22)], false),
        ] {
            let found = known_as(&known, id, &live);
            assert_eq!(found, expected.then(|| rule("sgr-1", 443)).as_ref(), "{sentence}");
        }
        assert_eq!(known_as(&Memory::None, "sgr-1", &[]), None);
    }

    #[test]
    fn former_content_is_said_without_the_id_of_the_rule_that_has_it() {
        let former = Former::of(&rule("sgr-1", 22), &known(), |_| None).unwrap();
        assert_eq!(former.in_words(), "TCP 443 from 203.0.113.0/24");
    }
}
