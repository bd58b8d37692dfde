//! Judging and opening through the caller's own credentials.
//!
//! Must not: open anything that was not agreed to.

use std::sync::Arc;

use anyhow::bail;
use jiff::Timestamp;

use crate::adapters::clock::SystemClock;
use crate::adapters::connect::Connection;
use crate::adapters::ec2::Ec2Client;
use crate::audit::undo::{Closed, Judged, Standing, Undone, standing, undo};
use crate::cli::caller::{self, Caller};
use crate::cli::identity::Identity;
use crate::inventory::Inventory;
use crate::model::ids::{Location, is_account, is_region};
use crate::model::rule::Rule;
use crate::model::text::plain;
use crate::policy::model::Policy;
use crate::ports::Ports;
use crate::report::metrics::Metrics;

/// Whether what is shown is agreed to.
type Ask<'a> = &'a dyn Fn(&[Judged]) -> anyhow::Result<bool>;

/// A location, to be read and changed.
struct There {
    ec2: Ec2Client,
    inventory: Inventory,
}

/// What stands of each rule, and what became of it.
pub(super) fn run(
    identity: &Identity,
    policy: &Policy,
    closed: &Closed,
    now: Timestamp,
    ask: Ask<'_>,
) -> anyhow::Result<Vec<(Judged, Option<Undone>)>> {
    caller::answered(Box::pin(async {
        let caller = Caller::of(identity).await?;
        let (mut judged, mut doors) = (Vec::new(), Vec::new());
        for (location, groups) in closed {
            let there = there(&caller, policy, location).await?;
            for (group, rules) in groups {
                let found = standing(&there.inventory, policy, location, (group, rules), now).await;
                judged.extend(rules.iter().zip(found).map(|(rule, standing)| Judged {
                    location: location.clone(),
                    group: group.clone(),
                    rule: rule.clone(),
                    standing,
                }));
            }
            doors.push((location, there));
        }
        if !ask(&judged)? {
            return Ok(judged.into_iter().map(|judged| (judged, None)).collect());
        }
        let mut done: Vec<(Judged, Option<Undone>)> = Vec::new();
        for (location, there) in doors {
            let (here, rest): (Vec<_>, Vec<_>) = judged.into_iter().partition(|judged| judged.location == *location);
            judged = rest;
            for of_group in here.chunk_by(|one, other| one.group == other.group) {
                done.extend(in_group(&there, of_group).await);
            }
        }
        Ok(done)
    }))?
}

async fn in_group(there: &There, judged: &[Judged]) -> Vec<(Judged, Option<Undone>)> {
    let is_allowed = |judged: &&Judged| judged.standing == Standing::Allowed;
    let rules: Vec<&Rule> = judged.iter().filter(is_allowed).map(|judged| &judged.rule).collect();
    let undone = match judged.first() {
        Some(Judged { group, .. }) if !rules.is_empty() => {
            undo(&there.ec2, &there.inventory, &SystemClock, group, &rules).await
        }
        _ => Vec::new(),
    };
    let mut undone = undone.into_iter();
    let each = judged.iter().map(|judged| {
        let became = if is_allowed(&judged) { undone.next() } else { None };
        (judged.clone(), became)
    });
    each.collect()
}

async fn there(caller: &Caller<'_>, policy: &Policy, location: &Location) -> anyhow::Result<There> {
    let Location { account, region } = location;
    if !is_account(account) || !is_region(region) {
        bail!("`{}` in `{}` is no account and region of AWS", plain(account), plain(region));
    }
    let config = caller.config_in(region).await;
    let own = caller.account(&config).await?;
    if own != *account {
        bail!(
            "the record is of account {account}, and these credentials are of {own}; name a role there with `--role-arn`"
        );
    }
    let metrics = Arc::new(Metrics::default());
    let connection = Connection::new(&config, &metrics);
    let ec2 = connection.ec2.clone();
    let (to_ec2, to_eks) = (Arc::new(connection.ec2), Arc::new(connection.eks));
    let ports = Ports::to_aws_alone(to_ec2, to_eks, Arc::new(SystemClock), metrics);
    Ok(There { ec2, inventory: Inventory::new(&ports, account.clone(), policy.groups.clone()) })
}
