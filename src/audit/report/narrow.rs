//! What could stand in place of forbidden rules: who of the cluster needs the traffic, as commands and for Terraform.
//!
//! Must not: open anything (each command that would has `--dry-run`), or decide who needs what (the audit does).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::{AuditFinding, Place};
use crate::model::rule::{Packets, Peer, Rule};
use crate::model::text::is_harmless;
use crate::policy::model::Verdict;
use crate::report::notice::redo;
use crate::report::record::GroupRecord;

/// Openings that are written out; a group takes 60 rules unless somebody had its quota raised.
const MAX_OPENED: usize = 50;

/// What nobody wrote down, so that nothing is proposed for it.
pub const NOT_KNOWN: &str = "who else comes in by these rules is not known: people and networks of your own, load \
                             balancers without a group, whoever calls pods. Allow those by a clause or an exception of the \
                             policy, and with rules as narrow as they are";

/// A group with forbidden rules for addresses, and what could stand in their place.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Narrowing {
    /// Of the location.
    pub account: String,
    /// Of the location.
    pub region: String,
    /// The group's clusters.
    pub clusters: Vec<String>,
    /// The group.
    pub group: GroupRecord,
    /// The fingerprints of the findings about these rules.
    pub findings: Vec<String>,
    /// The rules that would go.
    pub close: Vec<Rule>,
    /// What would have to be open by other rules first; empty: nothing that is known to need it.
    pub open: Vec<Opening>,
    /// In this order: what opens, with `--dry-run`, then what closes.
    pub commands: Vec<String>,
    /// What opens, as resources of Terraform; null where nothing has to be opened.
    pub terraform: Option<String>,
    /// What a person should know first.
    pub notes: Vec<String>,
}

/// A rule that does not exist, for somebody who is really there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Opening {
    /// Without an id.
    pub rule: Rule,
    /// What the peer group is called. Text from outside.
    pub name: Option<String>,
    /// The requirements that are met by it.
    pub needed_for: Vec<String>,
    /// What needs it, for people.
    pub reason: String,
    /// What the policy says of it; never `revoke`.
    pub verdict: Verdict,
}

impl Narrowing {
    /// Of the findings about one group's rules. `is_there`: the group exists already, so that commands can name it.
    pub fn of(
        place: Place<'_>,
        findings: &[&AuditFinding],
        mut open: Vec<Opening>,
        notes: Vec<String>,
        is_there: bool,
    ) -> Option<Self> {
        let group = place.group?;
        let (account, region) = (place.location.account.clone(), place.location.region.clone());
        let rest = open.len().saturating_sub(MAX_OPENED);
        open.truncate(MAX_OPENED);
        let mut commands = Vec::new();
        let rules: Vec<Rule> = open.iter().map(|opening| opening.rule.clone()).filter(|_| is_there).collect();
        if !rules.is_empty() {
            commands.push(redo::authorize(&region, &group.id, &rules));
        }
        let (closing, advice): (Vec<&AuditFinding>, Vec<&AuditFinding>) =
            findings.iter().copied().partition(|found| found.is_fixed_by_command());
        commands.extend(closing.iter().filter_map(|found| found.fix.clone()));
        let mut notes = notes;
        notes.extend(advice.iter().filter_map(|found| found.fix.clone()));
        if rest > 0 {
            notes.push(format!(
                "{rest} more rules would be needed, more than a group takes: name a range or fewer groups"
            ));
        }
        Some(Self {
            account,
            region,
            clusters: place.clusters.iter().cloned().collect(),
            terraform: (!rules.is_empty()).then(|| terraform(&group.id, &rules)),
            group: GroupRecord::from(group),
            findings: findings.iter().map(|found| found.fingerprint.clone()).collect(),
            close: findings.iter().filter_map(|found| found.rule.clone()).collect(),
            open,
            commands,
            notes,
        })
    }
}

/// A resource for each rule. What writes the forbidden ones is somewhere in the reader's own files.
fn terraform(group: &str, rules: &[Rule]) -> String {
    let mut names = BTreeSet::new();
    let resource = |rule: &Rule| {
        let mut name = name(group, rule);
        // What is no letter is the same in a name.
        while !names.insert(name.clone()) {
            name.push('_');
        }
        let (field, peer) = match &rule.peer {
            Peer::Cidr(net) if net.addr().is_ipv4() => ("cidr_ipv4", net.to_string()),
            Peer::Cidr(net) => ("cidr_ipv6", net.to_string()),
            Peer::PrefixList(id) => ("prefix_list_id", id.clone()),
            Peer::Group { id, owner: None } => ("referenced_security_group_id", id.clone()),
            Peer::Group { id, owner: Some(owner) } => ("referenced_security_group_id", format!("{owner}/{id}")),
        };
        let mut lines = vec![("security_group_id", hcl(group)), (field, hcl(&peer))];
        lines.push(("ip_protocol", hcl(&rule.packets.protocol())));
        if let Some((from, to)) = rule.packets.ec2_ports() {
            lines.extend([("from_port", from.to_string()), ("to_port", to.to_string())]);
        }
        lines.extend(rule.description.as_ref().map(|text| ("description", hcl(text))));
        let widest = lines.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
        let lines: Vec<String> = lines.iter().map(|(key, value)| format!("  {key:<widest$} = {value}\n")).collect();
        format!("resource \"aws_vpc_security_group_ingress_rule\" \"{name}\" {{\n{}}}\n", lines.concat())
    };
    rules.iter().map(resource).collect::<Vec<_>>().join("\n")
}

/// `sg-…_tcp_10250_from_sg-…`
fn name(group: &str, rule: &Rule) -> String {
    let ports = match rule.packets {
        Packets::Tcp(from, to) | Packets::Udp(from, to) if from == to => format!("_{from}"),
        packets => packets.ec2_ports().map(|(from, to)| format!("_{from}_{to}")).unwrap_or_default(),
    };
    let protocol = if rule.packets == Packets::All { "all".to_owned() } else { rule.packets.protocol() };
    let name = format!("{group}_{protocol}{ports}_from_{}", rule.peer);
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    name.chars().map(letter).collect()
}

/// A string of Terraform's language, in which no text of others means anything.
fn hcl(text: &str) -> String {
    let mut out = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // `${` and `%{` begin a template; anywhere else the two characters are themselves, and two of them are two.
            // <https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences>
            '$' | '%' if rest.peek() == Some(&'{') => out.extend([c, c]),
            c if is_harmless(c) => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::Direction;

    fn rule(packets: Packets, peer: &str) -> Rule {
        Rule::new(Direction::Ingress, packets, Peer::Group { id: peer.to_owned(), owner: None })
    }

    #[test]
    fn each_rule_is_a_resource_of_its_own() {
        let rules = [
            Rule { description: Some("needed".to_owned()), ..rule(Packets::Tcp(10250, 10250), "sg-0b") },
            rule(Packets::All, "sg-0b"),
        ];
        assert_eq!(
            terraform("sg-0a", &rules),
            "resource \"aws_vpc_security_group_ingress_rule\" \"sg-0a_tcp_10250_from_sg-0b\" {\n\
             \x20 security_group_id            = \"sg-0a\"\n\
             \x20 referenced_security_group_id = \"sg-0b\"\n\
             \x20 ip_protocol                  = \"tcp\"\n\
             \x20 from_port                    = 10250\n\
             \x20 to_port                      = 10250\n\
             \x20 description                  = \"needed\"\n\
             }\n\n\
             resource \"aws_vpc_security_group_ingress_rule\" \"sg-0a_all_from_sg-0b\" {\n\
             \x20 security_group_id            = \"sg-0a\"\n\
             \x20 referenced_security_group_id = \"sg-0b\"\n\
             \x20 ip_protocol                  = \"-1\"\n\
             }\n"
        );
    }

    #[test]
    fn text_of_others_is_text_in_terraform_too() {
        let hostile = "sg-\"}\nresource \"x\" ${file(\"/etc/passwd\")} %{if true}\u{202e}\\";
        let written = terraform(hostile, &[rule(Packets::Tcp(1, 2), hostile), rule(Packets::Tcp(1, 2), "sg-?")]);
        assert_eq!(written.matches("\nresource \"aws_vpc").count(), 1, "{written}");
        assert_eq!(written.lines().filter(|line| line.starts_with("resource")).count(), 2, "{written}");
        assert!(!written.contains(" ${") && written.contains("$${file(\\\"/etc/passwd\\\")}"), "{written}");
        assert!(!written.contains(" %{") && !written.contains('\u{202e}'), "{written}");
        assert_eq!(hcl("\u{1f600}$5\u{1b}"), "\"\u{1f600}$5\\U0000001b\"");
    }

    /// As Terraform 1.11 reads it: each text comes out as it went in.
    #[test]
    fn only_what_begins_a_template_is_doubled() {
        for (text, written) in [
            ("costs $5, 50%", "costs $5, 50%"),
            ("$ % $$ %%", "$ % $$ %%"),
            ("${a} %{b}", "$${a} %%{b}"),
            ("$${a} %%{b}", "$$${a} %%%{b}"),
            ("%${a} $%{b}", "%$${a} $%%{b}"),
            ("$\"{a}$", "$\\\"{a}$"),
        ] {
            assert_eq!(hcl(text), format!("\"{written}\""), "{text}");
        }
    }
}
