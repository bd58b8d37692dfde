//! What an audit of a large account costs: `make bench-judge`. What the figures mean stands in `docs/benchmarks.md`.
//!
//! Owns: which accounts are measured. Must not: use random numbers.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

#[path = "audit/account.rs"]
mod account;

use std::path::PathBuf;
use std::sync::Arc;

use account::{RULES, SHAPES, open_to_all};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use eks_sg_guard::audit::report::{html, json};
use eks_sg_guard::audit::saved::Saved;
use eks_sg_guard::audit::{Facts, Scope, look, narrow, source};
use eks_sg_guard::policy::builtin;
use jiff::Timestamp;

/// As the released command line has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 4] = [200, 1_000, 2_000, 4_000];

fn read(paths: &[PathBuf]) -> Facts {
    let mut saved = Saved::default();
    for source in source::sources(paths).unwrap() {
        saved.add(&source).unwrap();
    }
    Facts::of(saved)
}

fn audit(bench: &mut Criterion) {
    let policy = builtin::policy(builtin::DEFAULT).unwrap();
    let scope = Scope::default();
    for (shape, groups) in SHAPES.iter().flat_map(|shape| SIZES.map(|groups| (shape, groups))) {
        let path = shape.file(groups);
        let facts = Arc::new(read(std::slice::from_ref(&path)));
        let found = look(&facts, policy, &scope, Timestamp::UNIX_EPOCH).unwrap();
        let rules = found.totals().allow + found.totals().report + found.totals().would_revoke;
        assert_eq!(rules, groups * RULES);
        let mut group = bench.benchmark_group(shape.name);
        group.sample_size(10).throughput(Throughput::Elements(rules.try_into().unwrap()));
        group.bench_function(BenchmarkId::new("judge", groups), |bench| {
            bench.iter_with_large_drop(|| look(&facts, policy, &scope, Timestamp::UNIX_EPOCH).unwrap());
        });
        // What is read and written does not hang on how groups are spread.
        if shape.of_a_vpc == 1 && shape.of_a_cluster < groups {
            group.bench_function(BenchmarkId::new("read", groups), |bench| {
                bench.iter(|| read(std::slice::from_ref(&path)));
            });
            group.bench_function(BenchmarkId::new("html", groups), |bench| {
                bench.iter(|| html::written(&found, &[]).unwrap());
            });
            group.bench_function(BenchmarkId::new("json", groups), |bench| {
                bench.iter(|| serde_json::to_string(&json::Report::of(&found, None, None)).unwrap());
            });
            let open = open_to_all(groups);
            let facts = [Arc::new(read(&[path.clone(), open.clone()]))];
            let found = look(&facts[0], policy, &scope, Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(narrow(&facts, policy, &found).unwrap().len(), groups);
            group.bench_function(BenchmarkId::new("narrow", groups), |bench| {
                bench.iter_with_large_drop(|| narrow(&facts, policy, &found).unwrap());
            });
            std::fs::remove_file(&open).unwrap();
        }
        group.finish();
        std::fs::remove_file(&path).unwrap();
    }
}

criterion_group!(benches, audit);
criterion_main!(benches);
