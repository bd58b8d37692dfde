//! A notice as plain text: e-mail, and whatever else shows text as it is. What matters fits one screen; the details stand
//! below a line.

use std::fmt::Write as _;

use super::{Code, Notice};
use crate::model::text::capital;

/// Between what matters and the details. No mail client takes it for the beginning of a signature.
const LINE: &str = "----------------------------------------";

/// The body. The subject stands apart.
pub fn text(notice: &Notice) -> String {
    let mut out = format!("{}.\n", capital(&notice.headline));
    for code in &notice.urgent {
        write_code(&mut out, code);
    }
    out.push('\n');
    for (name, what) in &notice.facts {
        let _ = writeln!(out, "{name:<8} {what}");
    }
    out.push_str("\nWhat to do next\n");
    for (number, step) in notice.steps.iter().enumerate() {
        let _ = writeln!(out, "  {}. {step}", number + 1);
    }
    if !(notice.sections.is_empty() && notice.code.is_empty() && notice.links.is_empty()) {
        let _ = writeln!(out, "\n{LINE}\nDetails");
        if !notice.more.is_empty() {
            out.push('\n');
        }
    }
    for (name, what) in &notice.more {
        let _ = writeln!(out, "{name:<9} {what}");
    }
    for section in &notice.sections {
        let _ = writeln!(out, "\n{}\n  {}", section.title, section.status);
        for line in &section.lines {
            let _ = writeln!(out, "  {line}");
        }
    }
    if let Some(rest) = &notice.rest {
        let _ = writeln!(out, "\n{rest}");
    }
    for code in &notice.code {
        write_code(&mut out, code);
    }
    for link in &notice.links {
        let _ = writeln!(out, "\n{}: {}", link.title, link.url);
    }
    out
}

fn write_code(out: &mut String, code: &Code) {
    let _ = writeln!(out, "\n{}", code.title);
    if !code.text.is_empty() {
        out.push('\n');
    }
    for line in code.text.lines() {
        let _ = writeln!(out, "    {line}");
    }
}
