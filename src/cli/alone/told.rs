//! The differences of two policies in words, and for tools.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::differences::Difference;
use super::written::Written;
use crate::cli::compare::{Way, peers, side_for_tools, sides, traffic_for_tools};
use crate::cli::style::{Style, traffic};
use crate::cli::widths::{self, Kind};
use crate::model::group::Role;
use crate::model::region::Traffic;
use crate::model::rule::Direction;
use crate::model::text::{count, plain};
use crate::policy::model::Policy;

/// All that was tried.
pub(super) struct Tried {
    pub(super) kinds: BTreeSet<Kind>,
    pub(super) clusters: Vec<String>,
}

pub(super) fn in_words(
    [old, new]: [&Policy; 2],
    tried: &Tried,
    differences: &[Difference],
    written: &[Written],
    style: Style,
) -> String {
    let mut out = format!("Policy `{}` -> `{}`, compared without rules\n", plain(&old.name), plain(&new.name));
    let mut last = None;
    for difference in differences {
        if last != Some(difference.way) {
            let word = difference.way.word();
            let heading = if difference.way == Way::Milder { style.good(word) } else { style.bad(word) };
            let _ = writeln!(out, "\n{heading}");
            last = Some(difference.way);
        }
        let Difference { direction, part, width, .. } = difference;
        let way = if *direction == Direction::Ingress { "from" } else { "to" };
        let width = width.map(|width| format!(" ({width})")).unwrap_or_default();
        let what = traffic(&part.traffic, &Traffic::all());
        let _ = writeln!(out, "  {what} {way} {}{width}", peers(part));
        let _ = writeln!(out, "      {}", sides(part));
        let _ = writeln!(out, "      {}", scope(difference, tried));
    }
    if !written.is_empty() {
        out.push_str("\nwritten\n");
    }
    for Written { what, name, change } in written {
        let _ = writeln!(out, "  {what} `{}`: {change}", plain(name));
    }
    let many = |way| differences.iter().filter(|difference| difference.way == way).count();
    let (stricter, milder) = (many(Way::Stricter), many(Way::Milder));
    let _ = match differences.len() {
        0 => writeln!(out, "\nno decision differs"),
        all => writeln!(out, "\n{}: {stricter} stricter, {milder} milder", count(all, "difference")),
    };
    out
}

/// In which groups, and of which clusters where not of all.
pub(super) fn scope(difference: &Difference, tried: &Tried) -> String {
    let roles = if difference.roles.len() == Role::ALL.len() {
        "groups of every role".to_owned()
    } else {
        format!("groups with role {}", difference.roles.iter().map(|role| role.word()).collect::<Vec<_>>().join(", "))
    };
    let rules = widths::words(&difference.kinds, &tried.kinds);
    let which = rules.map(|rules| format!("{rules}, in ")).unwrap_or_default();
    let (with, without): (Vec<&String>, Vec<&String>) =
        tried.clusters.iter().partition(|name| difference.clusters.contains(*name));
    let listed = |names: Vec<&String>| names.into_iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    let is_other = |names: &[&String]| names.first().copied() == tried.clusters.first();
    let clusters = match (without.is_empty(), is_other(&with)) {
        (true, _) => String::new(),
        (_, true) => format!(", but not of clusters such as {}", listed(without)),
        _ => format!(", of clusters such as {}", listed(with)),
    };
    format!("{which}{roles}{clusters}")
}

pub(super) fn for_tools(
    [old, new]: [&Policy; 2],
    tried: &Tried,
    differences: &[Difference],
    written: &[Written],
) -> Value {
    let difference = |difference: &Difference| {
        let Difference { way, direction, part, width, kinds, roles, clusters } = difference;
        json!({
            "way": way.word(), "direction": direction, "roles": roles, "clusters": clusters,
            "traffic": traffic_for_tools(&part.traffic), "peer_class": part.peer_class.word(),
            "addresses": part.addresses, "width": width,
            "rules": widths::words(kinds, &tried.kinds),
            "old": side_for_tools(&part.old), "new": side_for_tools(&part.new),
        })
    };
    let text = |Written { what, name, change }: &Written| json!({"what": what, "name": name, "change": change});
    json!({
        "old": {"policy": old.name, "policy_hash": old.hash},
        "new": {"policy": new.name, "policy_hash": new.hash},
        "differences": differences.iter().map(difference).collect::<Vec<_>>(),
        "written": written.iter().map(text).collect::<Vec<_>>(),
    })
}
