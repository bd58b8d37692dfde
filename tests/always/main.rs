//! What must be true whatever comes: properties of the core's readers and writers, held here for what the repository has
//! anyway, and by `make fuzz` (`fuzz/`) for what nobody thought of.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests: a panic is a failed test")]

#[path = "../answers/mod.rs"]
mod answers;
mod event;
#[path = "../limits/mod.rs"]
mod limits;
#[path = "../meaning/mod.rs"]
mod meaning;
mod notice;
mod policy;
mod queue;
#[path = "../read_back/mod.rs"]
mod read_back;
mod seeds;
#[path = "../situations/mod.rs"]
mod situations;
mod state;

use std::fs;
use std::path::Path;

use crate::seeds::Seeds;

/// Holds the property of a target for all its seeds. Where `FUZZ_SEEDS` names a folder, it gets them for `make fuzz`.
fn hold(target: &str, seeds: Seeds, holds: fn(&[u8])) {
    assert!(!seeds.is_empty());
    for seed in &seeds {
        holds(seed);
    }
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).unwrap();
        let write = |(n, seed): (usize, Vec<u8>)| fs::write(folder.join(n.to_string()), seed).unwrap();
        seeds.into_iter().enumerate().for_each(write);
    }
}

#[test]
fn any_bytes_are_an_event_or_are_refused_in_words() {
    hold("event", seeds::events(), event::holds);
}

#[test]
fn any_text_in_the_queue_is_a_message_or_is_refused_in_words() {
    hold("queue", seeds::messages(), queue::holds);
}

#[test]
fn any_text_is_a_policy_that_says_the_same_when_written_out_or_is_refused_with_the_place() {
    hold("policy", seeds::policies(), policy::holds);
}

#[test]
fn any_item_that_is_understood_is_written_as_it_was_read() {
    hold("state", seeds::items(), state::holds);
}

#[test]
fn any_text_from_outside_leaves_every_form_within_the_limits_of_its_channel() {
    hold("notice", seeds::notices(), notice::holds);
}
