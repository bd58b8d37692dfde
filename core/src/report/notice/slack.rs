//! A notice as Slack's Block Kit, for an incoming webhook. What is said of the world stands in `plain_text`, which formats
//! nothing; only our own words and code are `mrkdwn`.
//! <https://docs.slack.dev/reference/block-kit/blocks>

use serde::Serialize;

use super::{Code, Link, Notice, Section};
use crate::model::text::{self, CUT};

/// Characters of a header.
const MAX_HEADER_LEN: usize = 150;
/// Characters of a section.
const MAX_SECTION_LEN: usize = 3000;
/// Characters of a button.
const MAX_BUTTON_LEN: usize = 75;
/// Buttons of a message.
const MAX_BUTTONS: usize = 5;
/// Characters of the commands that come first, and of those that come last.
const MAX_URGENT_LEN: usize = 2800;
const MAX_CODE_LEN: usize = 2000;
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
    Header {
        text: Text,
    },
    Section {
        text: Text,
    },
    Divider {},
    /// Buttons that open pages: an incoming webhook has nobody who would answer to any other.
    Actions {
        elements: Vec<Button>,
    },
}

#[derive(Serialize)]
struct Button {
    r#type: &'static str,
    text: Text,
    url: String,
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
            Self::Divider {} => 0,
            Self::Actions { elements } => elements.iter().map(|button| of(&button.text) + length(&button.url)).sum(),
        }
    }
}

/// The JSON to post.
pub fn json(notice: &Notice) -> String {
    let facts: Vec<String> = notice.facts.iter().map(|(name, what)| format!("{name}: {what}")).collect();
    let steps = notice.steps.iter().enumerate().map(|(number, step)| format!("{}. {step}", number + 1));
    let steps: Vec<String> = steps.collect();
    let mut blocks = vec![
        Block::Header { text: Text::plain(&notice.subject, MAX_HEADER_LEN) },
        Block::section(&format!("{}.", text::capital(&notice.headline))),
    ];
    blocks.extend(code_blocks(&notice.urgent, MAX_URGENT_LEN));
    blocks.extend((!facts.is_empty()).then(|| Block::section(&facts.join("\n"))));
    blocks.push(Block::section(&format!("What to do next\n{}", steps.join("\n"))));
    let buttons = notice.links.iter().take(MAX_BUTTONS).filter(|link| link.url.len() <= MAX_SECTION_LEN);
    let buttons: Vec<Button> = buttons.map(button).collect();
    blocks.extend((!buttons.is_empty()).then_some(Block::Actions { elements: buttons }));
    blocks.push(Block::Divider {});
    let more: Vec<String> = notice.more.iter().map(|(name, what)| format!("{name}: {what}")).collect();
    blocks.extend((!more.is_empty()).then(|| Block::section(&more.join("\n"))));
    let tail: Vec<Block> = notice.rest.iter().map(|rest| Block::section(rest)).collect();
    let tail: Vec<Block> = tail.into_iter().chain(code_blocks(&notice.code, MAX_CODE_LEN)).collect();
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

fn button(link: &Link) -> Button {
    Button { r#type: "button", text: Text::plain(&link.title, MAX_BUTTON_LEN), url: link.url.clone() }
}

/// What is to copy, as far as there is room. Half a command is worse than none, and so is one that became another.
fn code_blocks(code: &[Code], room: usize) -> Vec<Block> {
    let mut used = 0;
    let mut left = 0;
    let mut blocks = Vec::new();
    for Code { title, text } in code {
        if text.contains('`') {
            left += 1;
            continue;
        }
        let block = if text.is_empty() {
            Block::section(title)
        } else {
            let fence = format!("{}\n```{}```", unformatted(title), escaped(text, usize::MAX));
            Block::mrkdwn(fence)
        };
        if used + block.length() <= room {
            used += block.length();
            blocks.push(block);
        } else {
            left += 1;
        }
    }
    let more = |left: usize| format!("{} too long for here: see the e-mail.", text::count(left, "command"));
    blocks.extend((left > 0).then(|| Block::section(&more(left))));
    blocks
}

/// A title where Slack formats: without what it would obey.
fn unformatted(title: &str) -> String {
    escaped(&title.replace(['`', '*', '_', '~'], "'"), MAX_SECTION_LEN / 2)
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
