//! A notice as plain text: e-mail, and whatever else shows text as it is.

use std::fmt::Write as _;

use super::Notice;
use crate::model::text::capital;

/// The body. The subject stands apart.
pub fn text(notice: &Notice) -> String {
    let mut out = format!("{}.\n", capital(&notice.headline));
    out.push('\n');
    for (name, what) in &notice.facts {
        let _ = writeln!(out, "{name:<8} {what}");
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
    out.push_str("\nWhat to do next\n");
    for step in &notice.steps {
        let _ = writeln!(out, "  - {step}");
    }
    for code in &notice.code {
        let _ = writeln!(out, "\n{}\n", code.title);
        for line in code.text.lines() {
            let _ = writeln!(out, "    {line}");
        }
    }
    if let Some(link) = &notice.link {
        let _ = writeln!(out, "\nThe group in the console: {link}");
    }
    out
}
