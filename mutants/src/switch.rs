//! A file with its faults, each behind a switch: `crate::fault(7)` says whether it is on.
//!
//! The text is kept as it is, and each switch stands beside what it changes, so an error of the compiler leads to its fault.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{LineColumn, Span};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, BinOp, Expr, ExprBinary, ExprStruct, ExprUnary, Member};

use crate::Fault;

/// The text with its faults; and those that could be put behind a switch.
pub fn switched(text: &str, faults: &[(usize, &Fault)]) -> (String, BTreeSet<usize>) {
    let mut faults_at: BTreeMap<(&str, usize), Vec<(usize, &Fault)>> = BTreeMap::new();
    let lines: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut file = File { text, lines, faults_at: BTreeMap::new(), edits: Vec::new(), depth: 0, done: BTreeSet::new() };
    for (number, fault) in faults {
        let at = file.at(fault.span.start.line, fault.span.start.column - 1);
        faults_at.entry((&fault.genre, at)).or_default().push((*number, fault));
        if fault.genre == "FnValue" {
            let new = &fault.replacement;
            file.edit(at..at, Order::Before, format!("if crate::fault({number}) {{ return {new}; }} "));
            file.done.insert(*number);
        }
    }
    file.faults_at = faults_at;
    if let Ok(parsed) = syn::parse_file(text) {
        file.visit_file(&parsed);
    }
    let done = std::mem::take(&mut file.done);
    (file.edited(), done)
}

/// What comes first where several edits meet: the end of what is inside before the end of what is around it, then the
/// beginning of what is around before that of what is inside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    After,
    Before,
    Instead,
}

struct Edit {
    range: std::ops::Range<usize>,
    order: Order,
    depth: i32,
    text: String,
}

struct File<'f> {
    text: &'f str,
    lines: Vec<usize>,
    /// By genre and place.
    faults_at: BTreeMap<(&'f str, usize), Vec<(usize, &'f Fault)>>,
    edits: Vec<Edit>,
    depth: i32,
    done: BTreeSet<usize>,
}

impl<'f> File<'f> {
    /// The byte at a line, from 1, and a column, from 0.
    fn at(&self, line: usize, column: usize) -> usize {
        let start = self.lines[line - 1];
        self.text[start..].char_indices().nth(column).map_or(self.text.len(), |(at, _)| start + at)
    }

    fn range(&self, span: Span) -> std::ops::Range<usize> {
        let at = |place: LineColumn| self.at(place.line, place.column);
        at(span.start())..at(span.end())
    }

    fn edit(&mut self, range: std::ops::Range<usize>, order: Order, text: String) {
        self.edits.push(Edit { range, order, depth: self.depth, text });
    }

    fn around(&mut self, range: &std::ops::Range<usize>, before: String, after: String) {
        self.edit(range.start..range.start, Order::Before, before);
        self.edit(range.end..range.end, Order::After, after);
    }

    /// The faults of that genre there, which can be switched.
    fn take(&mut self, genre: &'f str, at: usize) -> Vec<(usize, &'f Fault)> {
        let found = self.faults_at.remove(&(genre, at)).unwrap_or_default();
        self.done.extend(found.iter().map(|(number, _)| number));
        found
    }

    fn edited(mut self) -> String {
        let depth = |edit: &Edit| if edit.order == Order::After { -edit.depth } else { edit.depth };
        self.edits.sort_by_key(|edit| (edit.range.start, edit.order, depth(edit)));
        let (mut out, mut done) = (String::new(), 0);
        for edit in &self.edits {
            out += &self.text[done..edit.range.start];
            out += &edit.text;
            done = edit.range.end;
        }
        out + &self.text[done..]
    }
}

/// `if crate::fault(1) { l - r } else if crate::fault(2) { l / r } else `
fn branches(faults: &[(usize, &Fault)], is: impl Fn(&str) -> String) -> String {
    let branch =
        |(number, fault): &(usize, &Fault)| format!("if crate::fault({number}) {{ {} }} else ", is(&fault.replacement));
    faults.iter().map(branch).collect()
}

/// A chain with a `let` in it takes no `||`, and cannot be wrapped.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'a> Visit<'a> for File<'_> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        self.depth += 1;
        visit::visit_expr(self, expr);
        self.depth -= 1;
    }

    fn visit_expr_binary(&mut self, binary: &'a ExprBinary) {
        let (left, op, right) =
            (self.range(binary.left.span()), self.range(binary.op.span()), self.range(binary.right.span()));
        let whole = left.start..right.end;
        let sign = &self.text[op.clone()];
        let is_assigned = sign.ends_with('=') && !matches!(sign, "==" | "!=" | "<=" | ">=");
        let is_chain = has_let(&binary.left) || has_let(&binary.right);
        let faults = if is_chain { Vec::new() } else { self.take("BinaryOperator", op.start) };
        let of = |sign: &str| format!("l_ {} r_", if is_assigned { sign.trim_end_matches('=') } else { sign });
        let chosen = format!("{}{{ {} }}", branches(&faults, of), of(sign));
        match (&binary.op, faults.first()) {
            (_, None) => {}
            (BinOp::And(_) | BinOp::Or(_), Some((number, _))) => {
                let not = if matches!(binary.op, BinOp::And(_)) { "" } else { "!" };
                self.around(&whole, "({ let l_ = (".to_owned(), " } else { l_ } })".to_owned());
                self.edit(op, Order::Instead, format!("); if {not}(l_ ^ crate::fault({number})) {{ "));
            }
            (BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_), _) => {
                self.around(&whole, "(match (&(".to_owned(), format!(")) {{ (l_, r_) => {chosen} }})"));
                self.edit(op, Order::Instead, "), &(".to_owned());
            }
            _ if is_assigned => {
                let place = &self.text[left];
                self.edit(op, Order::Instead, format!("= match ({place}, ("));
                self.edit(whole.end..whole.end, Order::After, format!(")) {{ (l_, r_) => {chosen} }}"));
            }
            _ => {
                self.around(&whole, "(match ((".to_owned(), format!(")) {{ (l_, r_) => {chosen} }})"));
                self.edit(op, Order::Instead, "), (".to_owned());
            }
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'a ExprUnary) {
        let op = self.range(unary.op.span());
        if let Some((number, _)) = self.take("UnaryOperator", op.start).first() {
            let (sign, end) = (&self.text[op.clone()], self.range(unary.expr.span()).end);
            let after = format!(") {{ v_ => if crate::fault({number}) {{ v_ }} else {{ {sign}v_ }} }})");
            self.edit(op, Order::Instead, "(match (".to_owned());
            self.edit(end..end, Order::After, after);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'a Arm) {
        let at = self.range(arm.span()).start;
        let deleted = self.take("MatchArm", at).first().map(|(number, _)| format!("!crate::fault({number})"));
        let guard = arm.guard.as_ref().map(|(_, guard)| (has_let(guard), self.range(guard.span())));
        match (guard, deleted) {
            (None, Some(is_there)) => {
                let end = self.range(arm.pat.span()).end;
                self.edit(end..end, Order::After, format!(" if {is_there}"));
            }
            (Some((true, range)), Some(is_there)) => {
                self.edit(range.start..range.start, Order::Before, format!("{is_there} && "));
            }
            (Some((false, range)), deleted) => {
                let faults = self.take("MatchArmGuard", range.start);
                let is_there = deleted.map(|is_there| format!("{is_there} && ")).unwrap_or_default();
                if !faults.is_empty() || !is_there.is_empty() {
                    let before = format!("{is_there}({}{{ ", branches(&faults, str::to_owned));
                    self.around(&range, before, " })".to_owned());
                }
            }
            _ => {}
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, whole: &'a ExprStruct) {
        for field in whole.fields.iter().filter(|field| field.colon_token.is_some()) {
            let (Some(rest), Member::Named(name)) = (&whole.rest, &field.member) else { continue };
            let rest = &self.text[self.range(rest.span())];
            let kind = &self.text[self.range(whole.path.span())];
            let other =
                if rest.contains("Default::default") { format!("<{kind}>::default()") } else { format!("({rest})") };
            let at = self.range(field.span()).start;
            if let Some((number, _)) = self.take("StructField", at).first() {
                let value = self.range(field.expr.span());
                self.around(
                    &value,
                    format!("if crate::fault({number}) {{ {other}.{name} }} else {{ "),
                    " }".to_owned(),
                );
            }
        }
        visit::visit_expr_struct(self, whole);
    }
}
