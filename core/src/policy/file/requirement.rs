//! `requirements`: entries become `Requirement`s.

use crate::model::group::Role;
use crate::model::rule::Direction;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::file::clause::{HELP_REASON, REGION, Reader};
use crate::policy::file::fields::{Fields, choice, items};
use crate::policy::model::{InterfacesOf, Limits, PeerTerm, Requirement, Severity};
use crate::policy::tree::Node;

pub(super) const OF_REQUIREMENTS: [&str; 3] = ["role", "severity", "reason"];

/// What is missing breaks a cluster.
const DEFAULT_SEVERITY: Severity = Severity::High;
const HELP_ROLE: &str = "add `role: node` or `role: control-plane`: whose interfaces must let it through";

impl<'t> Reader<'t> {
    pub(super) fn requirements(&mut self, node: &'t Node) -> Vec<Requirement> {
        let entries = items(node, "requirements", &mut self.problems);
        entries.into_iter().filter_map(|entry| self.requirement(entry)).collect()
    }

    fn requirement(&mut self, node: &'t Node) -> Option<Requirement> {
        let known: Vec<&str> = REGION.into_iter().chain(OF_REQUIREMENTS).collect();
        let mut fields = Fields::read(node, "requirement", &known, &mut self.problems)?;
        // Everything is read before anything is given up: all problems of an entry in one run.
        let id = self.id(&mut fields, &Limits::default());
        let region = self.region(&fields);
        let problems = &mut self.problems;
        let interfaces_of = fields.need("role", HELP_ROLE, problems).and_then(|node| {
            choice(node, "role", "role with interfaces of its own", "unknown-role", &InterfacesOf::WORDS, problems)
        });
        let severity = fields.choice("severity", "severity", "unknown-severity", &Severity::WORDS, problems);
        let reason = fields.need("reason", HELP_REASON, problems).and_then(|_| fields.text("reason", problems));

        let ((id, _), (direction, traffic, peers)) = (id?, region?);
        let is_side = |word: &PeerTerm| match word {
            PeerTerm::Role(role) => matches!(role, Role::Cluster | Role::ControlPlane | Role::Node),
            word => matches!(word, PeerTerm::Addresses(_) | PeerTerm::Group(_) | PeerTerm::Vpc | PeerTerm::Anywhere),
        };
        if !peers.iter().all(is_side) {
            let key = if direction == Direction::Ingress { "from" } else { "to" };
            let at = fields.get(key).map_or(fields.at, |node| node.at);
            let message = format!("the `{key}` of the {} has a word that only clauses have", fields.what);
            let help = "write `role:control-plane`, `role:node`, a group as `sg-…`, CIDR blocks, networks of them, `vpc` \
                        or `anywhere`";
            self.problems.add(Diagnostic::error("bad-requirement", at, message).help(help));
            return None;
        }
        let severity = severity.unwrap_or(DEFAULT_SEVERITY);
        Some(Requirement { id, interfaces_of: interfaces_of?, direction, traffic, peers, severity, reason: reason? })
    }
}
