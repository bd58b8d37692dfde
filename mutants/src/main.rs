//! Tries every fault that cargo-mutants would put into the core, and lists those that no test notices.
//!
//! cargo-mutants builds the tests anew for each of its faults, which takes a day. Here all stand in one build, each behind a
//! switch that the environment turns on, and of the tests only those run that come by it. What does not compile behind a
//! switch (a value of a type without a default, a constant) is left out, and counted.
//!
//! `mutants LIST`, in the root of the repository; LIST is what `cargo-mutants mutants --list --json` prints.

mod switch;
mod tree;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Deserialize;

use tree::{Test, Tree};

pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// One that cargo-mutants lists.
#[derive(Deserialize)]
pub struct Fault {
    name: String,
    file: String,
    genre: String,
    #[serde(default)]
    replacement: String,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    start: Place,
}

/// From 1.
#[derive(Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

fn main() -> Result<(), Failed> {
    let list = std::env::args().nth(1).ok_or("say which list: `mutants LIST`")?;
    let faults: Vec<Fault> = serde_json::from_str(&std::fs::read_to_string(&list)?)?;
    let tree = Tree::copied()?;
    let there = tree.switch_all(&faults)?;
    eprintln!("{} of {} faults compile behind a switch; building the tests", there.len(), faults.len());
    let tests = tree.tests()?;
    let seconds: f64 = tests.iter().map(|test| test.took.as_secs_f64()).sum();
    eprintln!("{} tests take {seconds:.0} s and pass", tests.len());
    let mut by_fault: BTreeMap<usize, Vec<&Test>> = there.iter().map(|number| (*number, Vec::new())).collect();
    for test in &tests {
        for number in &test.reached {
            by_fault.entry(*number).or_default().push(test);
        }
    }
    let numbers: Vec<usize> = there.iter().copied().collect();
    let left = AtomicUsize::new(0);
    at_once(&numbers, |number| {
        let tests = by_fault.get(number).map(Vec::as_slice).unwrap_or_default();
        if !is_noticed(*number, &faults[*number].file, tests) {
            left.fetch_add(1, Ordering::Relaxed);
            println!("{} (tests that come by: {})", faults[*number].name, tests.len());
        }
    });
    let left = left.into_inner();
    println!("{} faults tried, {left} not noticed", numbers.len());
    Ok(())
}

/// Tests of the same module first, then the quick ones.
fn is_noticed(number: usize, file: &str, tests: &[&Test]) -> bool {
    let module = file.trim_start_matches("core/src/").trim_end_matches(".rs").replace('/', "::");
    let mut tests = tests.to_vec();
    tests.sort_by_key(|test| (!test.name.starts_with(&module) || test.took > Duration::from_secs(1), test.took));
    tests.iter().any(|test| !test.passes_with(number))
}

/// Each of them, on all processors; says now and then how far it is.
pub fn at_once<T: Sync>(all: &[T], each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    each(one);
                    let done = next.load(Ordering::Relaxed);
                    if done % 100 == 0 {
                        eprintln!("{done} of {}", all.len());
                    }
                }
            });
        }
    });
}
