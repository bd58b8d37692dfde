//! A notice as Slack's Block Kit, for an incoming webhook. What is said of the world stands in `plain_text`, which formats
//! nothing; only our own words and code are `mrkdwn`.
//! <https://docs.slack.dev/reference/block-kit/blocks>

use serde::Serialize;

use super::{Notice, Section};
use crate::model::text::{self, CUT};

/// Characters of a header.
const MAX_HEADER_LEN: usize = 150;
/// Characters of a section.
const MAX_SECTION_LEN: usize = 3000;
/// Blocks of a message; Slack takes 50.
const MAX_BLOCKS: usize = 45;
/// Characters of all blocks. Slack documents no limit and refuses a little more than 11,000.
const MAX_MESSAGE_LEN: usize = 7500;

#[derive(Serialize)]
struct Post {
    /// What a push notification shows.
    text: String,
    blocks: Vec<Block>,
    /// Links are not unfolded into pictures.
    unfurl_links: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Block {
    Header { text: Text },
    Section { text: Text },
    Context { elements: Vec<Text> },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Text {
    PlainText { text: String, emoji: bool },
    Mrkdwn { text: String, verbatim: bool },
}

impl Text {
    /// Formats nothing, makes no links, and shows `:smile:` as it is written.
    fn plain(text: &str, most: usize) -> Self {
        Self::PlainText { text: escaped(text, most), emoji: false }
    }
}

impl Block {
    fn section(text: &str) -> Self {
        Self::Section { text: Text::plain(text, MAX_SECTION_LEN) }
    }

    fn mrkdwn(text: String) -> Self {
        Self::Section { text: Text::Mrkdwn { text, verbatim: true } }
    }

    fn length(&self) -> usize {
        let of = |text: &Text| match text {
            Text::PlainText { text, .. } | Text::Mrkdwn { text, .. } => length(text),
        };
        match self {
            Self::Header { text } | Self::Section { text } => of(text),
            Self::Context { elements } => elements.iter().map(of).sum(),
        }
    }
}

/// The JSON to post.
pub fn json(notice: &Notice) -> String {
    let facts: Vec<String> = notice.facts.iter().map(|(name, what)| format!("{name}: {what}")).collect();
    let mut blocks = vec![
        Block::Header { text: Text::plain(&notice.subject, MAX_HEADER_LEN) },
        Block::section(&format!("{}.\n{}", text::capital(&notice.headline), facts.join("\n"))),
    ];
    let tail = tail(notice);
    let room = MAX_MESSAGE_LEN.saturating_sub(tail.iter().chain(&blocks).map(Block::length).sum::<usize>() + 100);
    let mut used = 0;
    let mut left = 0;
    for section in &notice.sections {
        let block = Block::section(&text(section));
        used += block.length();
        if left == 0 && used <= room && blocks.len() + tail.len() < MAX_BLOCKS {
            blocks.push(block);
        } else {
            left += 1;
        }
    }
    if left > 0 {
        blocks.push(Block::section(&format!("… and {left} more, in the record and by e-mail.")));
    }
    blocks.extend(tail);
    let post = Post { text: escaped(&notice.subject, MAX_HEADER_LEN), blocks, unfurl_links: false };
    serde_json::to_string(&post).unwrap_or_default()
}

fn text(section: &Section) -> String {
    let lines = [&section.title, &section.status].into_iter().chain(&section.lines);
    lines.map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn tail(notice: &Notice) -> Vec<Block> {
    let mut blocks: Vec<Block> = notice.rest.iter().map(|rest| Block::section(rest)).collect();
    let steps: Vec<String> = notice.steps.iter().map(|step| format!("• {step}")).collect();
    blocks.push(Block::section(&format!("What to do next\n{}", steps.join("\n"))));
    for code in &notice.code {
        let fenced = format!("{}\n```{}```", code.title, escaped(&code.text.replace('`', "'"), usize::MAX));
        // Half a command is worse than none.
        if length(&fenced) <= MAX_SECTION_LEN / 2 {
            blocks.push(Block::mrkdwn(fenced));
        }
    }
    if let Some(link) = &notice.link {
        let text = format!("<{}|The group in the console>", escaped(link, usize::MAX));
        blocks.push(Block::Context { elements: vec![Text::Mrkdwn { text, verbatim: true }] });
    }
    blocks
}

/// `&`, `<` and `>` as entities, and no others; cut between them.
fn escaped(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut end = 0;
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
        let used = length(&out);
        if used > most {
            out.truncate(end);
            out.push_str(CUT);
            return out;
        }
        if used <= most.saturating_sub(length(CUT)) {
            end = out.len();
        }
    }
    out
}

/// As Slack's clients count: UTF-16 units.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}
