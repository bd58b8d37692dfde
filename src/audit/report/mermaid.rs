//! An audit as a Mermaid flowchart: the merged picture of each cluster, within the limits of Mermaid itself, which a diagram
//! cannot raise.
//!
//! Ids are numbers and labels are quoted, so that no name can end a label or be a keyword.

use std::fmt::Write as _;

use super::Audit;
use super::flows::{Column, pictures};
use crate::model::text::plain;
use crate::policy::model::Verdict;

/// Mermaid's own limits are 500 edges and 50,000 characters.
const MAX_EDGES: usize = 400;
const MAX_LEN: usize = 50_000;

/// The diagram; `None` where it would be too large.
pub fn written(audit: &Audit) -> Option<String> {
    let mut out = "flowchart LR\n".to_owned();
    let (mut number, mut edges) = (0, Vec::new());
    let mut styles: Vec<(Verdict, Vec<String>)> = Vec::new();
    for location in &audit.locations {
        for (at, (picture, _)) in pictures(audit, location).iter().enumerate() {
            let place = format!("{} ({}, {})", picture.cluster, location.location.account, location.location.region);
            let _ = writeln!(out, "  subgraph c{number}_{at}[\"{}\"]", label(&place));
            let first = number;
            for node in &picture.nodes {
                let id = format!("n{number}");
                number += 1;
                let text = format!("{}<br/>{}", label(&node.name), label(&node.about));
                let shape = if node.column == Column::Outside { ("([\"", "\"])") } else { ("[\"", "\"]") };
                let _ = writeln!(out, "    {id}{}{text}{}", shape.0, shape.1);
                match styles.iter_mut().find(|(verdict, _)| *verdict == node.worst) {
                    Some((_, ids)) => ids.push(id),
                    None => styles.push((node.worst, vec![id])),
                }
            }
            out.push_str("  end\n");
            for edge in &picture.edges {
                let (from, to) = (first + edge.from, first + edge.to);
                let arrow = match edge.verdict {
                    Verdict::Allow => "-->",
                    Verdict::Report => "-.->",
                    Verdict::Revoke => "==>",
                };
                let word =
                    if edge.verdict == Verdict::Allow { String::new() } else { format!("{}: ", edge.verdict.word()) };
                edges.push(edge.verdict);
                let _ = writeln!(out, "  n{from} {arrow}|\"{word}{}\"| n{to}", label(&edge.ports));
            }
        }
    }
    for (verdict, colour) in [(Verdict::Report, "#b45309"), (Verdict::Revoke, "#b91c1c")] {
        let links: Vec<String> =
            edges.iter().enumerate().filter(|(_, found)| **found == verdict).map(|(at, _)| at.to_string()).collect();
        if !links.is_empty() {
            let _ = writeln!(out, "  linkStyle {} stroke:{colour},color:{colour}", links.join(","));
        }
        if let Some((_, ids)) = styles.iter().find(|(worst, _)| *worst == verdict) {
            let _ = writeln!(out, "  classDef {} stroke:{colour},stroke-width:2px", verdict.word());
            let _ = writeln!(out, "  class {} {}", ids.join(","), verdict.word());
        }
    }
    (edges.len() <= MAX_EDGES && out.len() <= MAX_LEN).then_some(out)
}

/// Text as Mermaid shows it and never reads it.
fn label(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text).chars() {
        match c {
            c if c.is_alphanumeric() || " .,:;/()_-+'*!?=…".contains(c) => out.push(c),
            c => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_nowhere_but_at_its_end() {
        assert_eq!(label("prod-node (a), b/c"), "prod-node (a), b/c");
        assert_eq!(label("\"]; end <script>`#{}"), "#34;#93;; end #60;script#62;#96;#35;#123;#125;");
    }
}
