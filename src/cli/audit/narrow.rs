//! `audit --narrow` for people: group by group what would go, what would have to be open first, and the commands for both.
//!
//! Must not: show text of others raw.

use std::fmt::Write as _;

use super::text::{after_id, shown};
use crate::audit::report::narrow::{NOT_KNOWN, Narrowing};
use crate::cli::style::Style;
use crate::model::rule::Rule;
use crate::model::text::{lines, plain};
use crate::policy::model::Verdict;
use crate::report::notice::redo::{TAKE_OFF, explained};
use crate::report::notice::rule_in_words;

pub(super) fn written(narrowed: &[Narrowing], style: Style) -> String {
    let mut out = format!("\n{}\n", style.bold("In place of what is forbidden: proposals, nothing was changed"));
    if narrowed.is_empty() {
        out.push_str("  no rule for addresses is forbidden\n");
    }
    if !narrowed.is_empty() {
        let _ = writeln!(out, "  {NOT_KNOWN}");
    }
    for narrowing in narrowed {
        of_group(narrowing, &mut out);
    }
    out
}

fn of_group(narrowing: &Narrowing, out: &mut String) {
    let Narrowing { account, region, clusters, group, close, open, commands, terraform, notes, .. } = narrowing;
    let clusters: Vec<String> = clusters.iter().map(|name| plain(name)).collect();
    let _ = writeln!(
        out,
        "\n  {}{} of {}  (account {}, {})",
        plain(&group.id),
        after_id(group.name.as_deref()),
        clusters.join(", "),
        plain(account),
        plain(region)
    );
    let mut line = |text: &str| {
        out.push_str(format!("    {text}").trim_end());
        out.push('\n');
    };
    for rule in close {
        line(&format!("instead of {}", words(rule)));
    }
    for opening in open {
        let name = after_id(opening.name.as_deref());
        let judged = if opening.verdict == Verdict::Report { " (the policy reports it)" } else { "" };
        line(&format!("open {}{name}{judged}: {}", words(&opening.rule), shown(&opening.reason)));
    }
    for note in notes {
        line(&format!("- {}", shown(note)));
    }
    let (opening, closing): (Vec<&String>, Vec<&String>) =
        commands.iter().partition(|command| command.starts_with("aws ec2 authorize-"));
    for (title, commands) in [
        (explained(&format!("First this opens what is needed {TAKE_OFF}")), opening),
        ("Then this closes what is forbidden:".to_owned(), closing),
    ] {
        if !commands.is_empty() {
            line(&title);
        }
        for command in commands {
            line(&format!("  {}", lines(command, false)));
        }
    }
    if let Some(terraform) = terraform {
        line("Where Terraform writes the group, this opens it there; take the forbidden rules out of it, too:");
        for text in terraform.lines() {
            line(&format!("  {}", lines(text, false)));
        }
    }
}

fn words(rule: &Rule) -> String {
    shown(&rule_in_words(rule))
}
