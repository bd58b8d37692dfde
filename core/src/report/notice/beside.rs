//! What an interface keeps when a group is taken off it: the groups beside that one, and whether a node stays one by them.
//!
//! Must not: say of a group what the record does not have.

use super::words::of_roles;
use super::{in_words, plain_word};
use crate::model::group::{Attachment, Beside, Role};
use crate::model::text::{and, first_few};
use crate::report::record::{GroupRecord, Record};

/// Groups that are said in words; an interface has at most sixteen.
const MAX_NAMED: usize = 5;

/// A group to take off the interface that a call put it on.
pub(super) struct Off<'r> {
    /// The interface.
    pub(super) interface: &'r str,
    /// The ids of the groups that stay on it.
    pub(super) others: Vec<&'r str>,
    /// What is left on it, and what it loses, in sentences without the last stop.
    pub(super) kept: String,
    /// Whether what is left is known to keep it in its cluster.
    pub(super) stays_in_cluster: bool,
}

/// What is taken off what, if that is known and something else stays on it.
pub(super) fn off(record: &Record) -> Option<Off<'_>> {
    let group = record.group.as_ref()?;
    let to = group.attachment.as_ref()?;
    let others: Vec<&str> = to.groups.iter().filter(|id| **id != group.id).map(String::as_str).collect();
    let interface = to.interface.as_deref().filter(|_| !others.is_empty())?;
    let (kept, stays_in_cluster) = kept(record, group, to, &others);
    Some(Off { interface, others, kept, stays_in_cluster })
}

fn kept(record: &Record, group: &GroupRecord, to: &Attachment, others: &[&str]) -> (String, bool) {
    let known = |id: &str| to.beside.iter().find(|other| other.id == id);
    let words = others.iter().map(|id| one(id, known(id))).collect();
    let words = first_few(words, MAX_NAMED, |rest| format!("{rest} more"));
    let it = if to.instance.is_some() { "The node" } else { "The interface" };
    let alone = super::called(group);
    let is_of_cluster =
        |other: &&Beside| other.is_given_by_eks() && other.clusters.iter().any(|name| record.clusters.contains(name));
    let cluster = in_words(&super::cluster(record));
    let stays = others.iter().filter_map(|id| known(id)).any(|other| is_of_cluster(&other));
    let then = if stays {
        format!("so it stays in {cluster}, and loses only what {alone} alone lets in")
    } else {
        format!("and loses what {alone} alone lets in; whether it can work in {cluster} without that is not known")
    };
    (format!("{it} keeps {}, {then}", and(&words)), stays)
}

/// `prod-node (sg-…, used by nodes)`.
fn one(id: &str, known: Option<&Beside>) -> String {
    let is_cluster_group = |other: &Beside| other.roles.iter().any(|known| known.role == Role::Cluster);
    let what = match known {
        None => "not known to the guard".to_owned(),
        Some(other) if is_cluster_group(other) => "the cluster security group".to_owned(),
        Some(other) => of_roles(&other.roles).unwrap_or_else(|| "used by no cluster that the guard knows".to_owned()),
    };
    match called(id, known) {
        name if name == id => format!("{id} ({what})"),
        name => format!("{name} ({id}, {what})"),
    }
}

fn called<'a>(id: &'a str, known: Option<&'a Beside>) -> &'a str {
    known.and_then(|other| other.name.as_deref()).and_then(plain_word).unwrap_or(id)
}
