//! An account is looked at in a time that grows with it, however its groups are spread over clusters and VPCs.

use std::time::{Duration, Instant};

use eks_sg_guard::audit::saved::Saved;
use eks_sg_guard::audit::{Facts, Scope, look, source};
use eks_sg_guard::policy::builtin;
use jiff::Timestamp;

#[path = "../../benches/audit/account.rs"]
mod account;

/// In a build that is not optimised, on a busy machine: some seconds. Where each group was compared with each other one, or
/// with each cluster, it was minutes.
const ENOUGH: Duration = Duration::from_secs(60);

#[test]
fn an_account_of_any_shape_is_looked_at_in_seconds() {
    let (groups, policy) = (800, builtin::policy(builtin::DEFAULT).unwrap());
    for shape in &account::SHAPES {
        let path = shape.file(groups);
        let mut saved = Saved::default();
        for source in source::sources(std::slice::from_ref(&path)).unwrap() {
            saved.add(&source).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
        let (facts, start) = (Facts::of(saved).into(), Instant::now());
        let found = look(&facts, policy, &Scope::default(), Timestamp::UNIX_EPOCH).unwrap();
        let took = start.elapsed();
        assert!(took < ENOUGH, "{}: {took:?}", shape.name);
        let totals = found.totals();
        let judged = totals.allow + totals.report + totals.would_revoke + totals.could_not_judge;
        assert_eq!(judged, groups * account::RULES, "{}", shape.name);
    }
}
