//! A problem of a policy file: where, what is wrong, what to write instead; for tools (JSON) and for people (as compilers
//! show it).
//!
//! Owns: the shape of a diagnostic and its rendering. Must not: know the policy language.

use std::fmt;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level as Title, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::model::text;
use crate::policy::texts;

/// Longer lines are named, not shown: nobody reads them, and a hostile file has one line.
const MAX_LINE_LEN: usize = 2_000;

/// A position in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct At {
    /// First byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

/// Whether the policy can be used in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It can, but probably does not say what was meant.
    Warning,
    /// It can't.
    Error,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Level,
    /// Kebab-case, permanent: what tools filter by.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The offending text.
    pub at: At,
    /// What to write instead.
    pub help: Option<String>,
    /// A second position that matters, as the first use of an id.
    pub also: Option<Also>,
    /// The id, name or key that it is about: what `accepted` names. Only warnings have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// The second position of a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Also {
    /// What it is to the problem.
    pub label: String,
    /// Where.
    pub at: At,
    /// The built-in policy it is in; `None`: the same file.
    pub policy: Option<&'static str>,
}

impl Diagnostic {
    /// Of what makes a file useless.
    pub fn error(code: &'static str, at: At, message: impl Into<String>) -> Self {
        Self { severity: Level::Error, code, message: message.into(), at, help: None, also: None, about: None }
    }

    pub(crate) fn warning(code: &'static str, at: At, message: impl Into<String>) -> Self {
        Self { severity: Level::Warning, ..Self::error(code, at, message) }
    }

    pub(crate) fn about(self, about: impl Into<String>) -> Self {
        Self { about: Some(about.into()), ..self }
    }

    /// With what to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(crate) fn also(self, label: &str, at: At, policy: Option<&'static str>) -> Self {
        Self { also: Some(Also { label: label.to_owned(), at, policy }), ..self }
    }

    /// As a compiler would show it: what, where, the line with the position underlined, what to do.
    pub fn render(&self, name: &str, text: &str, colours: bool) -> String {
        let title = match self.severity {
            Level::Error => Title::ERROR,
            Level::Warning => Title::WARNING,
        };
        let mut group = Group::with_title(title.primary_title(self.message.as_str()).id(self.code));
        group = group.element(shown(name, text, self.at, AnnotationKind::Primary, None));
        if let Some(also) = &self.also {
            let (name, text) = match also.policy {
                Some(policy) => (policy, texts::text(policy).unwrap_or_default()),
                None => (name, text),
            };
            group = group.element(shown(name, text, also.at, AnnotationKind::Context, Some(&also.label)));
        }
        if let Some(help) = &self.help {
            group = group.element(Title::HELP.message(help.as_str()));
        }
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        // Lines of the file are shown as they stand, and they go to logs and terminals.
        text::lines(&renderer.render(&[group]), colours)
    }
}

/// Only the line of the position goes to the renderer, so the cost of a diagnostic does not grow with the file.
fn shown<'a>(name: &'a str, text: &'a str, at: At, kind: AnnotationKind, label: Option<&'a str>) -> Element<'a> {
    let before = text.get(..at.start).unwrap_or_default();
    let first = before.rfind('\n').map_or(0, |newline| newline + 1);
    let rest = text.get(first..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    if line.is_empty() || line.len() > MAX_LINE_LEN {
        return Origin::path(name).line(at.line).char_column(at.column).into();
    }
    let span = (at.start - first).min(line.len())..(at.end.saturating_sub(first)).min(line.len());
    let annotation: Annotation<'a> = kind.span(span).label(label);
    Snippet::source(line).path(name).line_start(at.line).annotation(annotation).into()
}

/// Every problem in turn, then how many there are.
pub fn render(name: &str, text: &str, diagnostics: &[Diagnostic], colours: bool) -> String {
    let mut rendered: Vec<String> = diagnostics.iter().map(|problem| problem.render(name, text, colours)).collect();
    let count = |level, one: &str| {
        let many = diagnostics.iter().filter(|problem| problem.severity == level).count();
        (many > 0).then(|| text::count(many, one))
    };
    let counts: Vec<String> =
        [count(Level::Error, "error"), count(Level::Warning, "warning")].into_iter().flatten().collect();
    if !counts.is_empty() {
        rendered.push(text::lines(&format!("{name}: {}", counts.join(", ")), false));
    }
    rendered.join("\n\n")
}

/// A policy file with at least one error. Displays as its rendered problems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// The file, as it was named to us.
    pub name: String,
    /// What it holds.
    #[serde(skip)]
    pub text: String,
    /// Every problem, in the order of the text; warnings too.
    pub diagnostics: Vec<Diagnostic>,
}

impl Rejected {
    /// Every problem as compilers show them.
    pub fn render(&self, colours: bool) -> String {
        render(&self.name, &self.text, &self.diagnostics, colours)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Rejected {}
