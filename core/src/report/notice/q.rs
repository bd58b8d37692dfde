//! A notice as a custom notification of Amazon Q Developer in chat applications. A message that does not match its schema is
//! dropped without an error, so this one is complete and bounded.
//! <https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{Code, Notice, Section};
use crate::model::text;

/// The documentation gives no lengths; these keep a message within what Slack shows of one.
const MAX_DESCRIPTION_LEN: usize = 6000;
const MAX_STEP_LEN: usize = 500;
const MAX_STEPS: usize = 8;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Custom<'n> {
    version: &'static str,
    source: &'static str,
    content: Content,
    metadata: Metadata<'n>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    text_type: &'static str,
    title: String,
    description: String,
    next_steps: Vec<String>,
    keywords: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'n> {
    thread_id: String,
    summary: String,
    event_type: &'static str,
    related_resources: Vec<&'n str>,
    additional_context: BTreeMap<&'static str, String>,
}

/// The JSON of the notification. `attributes` are those of the message.
pub fn json(notice: &Notice, attributes: &[(&'static str, String)]) -> String {
    let of = |name: &str| attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let custom = Custom {
        version: "1.0",
        source: "custom",
        content: Content {
            text_type: "client-markdown",
            title: shown(&notice.subject),
            description: description(notice),
            next_steps: notice.steps.iter().take(MAX_STEPS).map(|step| cut(&shown(step), MAX_STEP_LEN)).collect(),
            keywords: ["severity", "outcome", "cluster"].into_iter().filter_map(of).map(shown).collect(),
        },
        metadata: Metadata {
            thread_id: shown(&notice.thread),
            summary: shown(&notice.subject),
            event_type: "eks-sg-guard",
            related_resources: Some(notice.thread.as_str())
                .filter(|thread| thread.starts_with("arn:"))
                .into_iter()
                .collect(),
            additional_context: attributes.iter().map(|(name, value)| (*name, shown(value))).collect(),
        },
    };
    serde_json::to_string(&custom).unwrap_or_default()
}

/// The whole in code fences: what stands in one is not formatted, whatever it says. Whole findings are left out at the end.
fn description(notice: &Notice) -> String {
    let mut out = format!("```\n{}.\n```", shown(&text::capital(&notice.headline)));
    out.push_str(&code_blocks(&notice.urgent, MAX_DESCRIPTION_LEN / 2));
    if !notice.facts.is_empty() {
        out.push_str("\n```\n");
        for (name, what) in &notice.facts {
            let _ = writeln!(out, "{name:<8} {}", shown(what));
        }
        out.push_str("```");
    }
    if !notice.more.is_empty() {
        out.push_str("\n```\n");
        for (name, what) in &notice.more {
            let _ = writeln!(out, "{name:<9} {}", shown(what));
        }
        out.push_str("```");
    }
    let tail = tail(notice, MAX_DESCRIPTION_LEN.saturating_sub(chars(&out)) / 2);
    let mut left = 0;
    for section in &notice.sections {
        let text = fenced(section);
        let fits = left == 0 && chars(&out) + chars(&text) + chars(&tail) + 80 < MAX_DESCRIPTION_LEN;
        if fits { out.push_str(&text) } else { left += 1 }
    }
    if left > 0 {
        let _ = write!(out, "\n… and {left} more, in the record and by e-mail.");
    }
    out.push_str(&tail);
    cut(&out, MAX_DESCRIPTION_LEN)
}

fn fenced(section: &Section) -> String {
    let mut out = format!("\n```\n{}\n  {}\n", shown(&section.title), shown(&section.status));
    for line in &section.lines {
        let _ = writeln!(out, "  {}", shown(line));
    }
    out.push_str("```");
    out
}

fn tail(notice: &Notice, room: usize) -> String {
    let mut out = String::new();
    if let Some(rest) = &notice.rest {
        let _ = write!(out, "\n{}", shown(rest));
    }
    for link in &notice.links {
        let _ = write!(out, "\n{}: {}", link.title, link.url);
    }
    let code = code_blocks(&notice.code, room.saturating_sub(chars(&out)));
    code + &out
}

/// What is to copy, as far as there is room. Half a command is worse than none, and so is one that became another.
fn code_blocks(code: &[Code], room: usize) -> String {
    let mut out = String::new();
    let mut left = 0;
    for Code { title, text } in code {
        if shown(text) != *text {
            left += 1;
            continue;
        }
        let title = shown(title).replace(['*', '_', '~'], "'");
        let text = if text.is_empty() { format!("\n{title}") } else { format!("\n{title}\n```\n{text}\n```") };
        if chars(&out) + chars(&text) <= room { out.push_str(&text) } else { left += 1 }
    }
    if left > 0 {
        let _ = write!(out, "\n{} that cannot stand here: see the e-mail.", text::count(left, "command"));
    }
    out
}

/// Without what chats obey even in code: mentions and links in angle brackets, and the end of the fence; nor what makes a
/// link of two brackets outside of it.
fn shown(text: &str) -> String {
    text.replace('<', "‹").replace('>', "›").replace('`', "'").replace("](", "] (")
}

fn cut(text: &str, most: usize) -> String {
    if chars(text) <= most { text.to_owned() } else { text::cut(text, most.saturating_sub(chars(text::CUT) + 1)) }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}
