//! `audit --format asff --import`: hands the findings to AWS Security Hub, each batch in its own account and region.
//!
//! Must not: change a finding, or the settings of Security Hub.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use serde_json::Value;

use crate::adapters::security_hub;
use crate::audit::report::asff;
use crate::audit::saved::live::why;
use crate::cli::caller::{self, Caller};
use crate::cli::identity::Identity;
use crate::model::text::{count, plain};

/// Refused findings that are named.
const MAX_NAMED: usize = 10;

/// What became of the findings, in words, and whether all were taken.
///
/// # Errors
/// Credentials that AWS does not take, or of another account. Then nothing was sent.
pub(super) fn run(identity: &Identity, batches: &[Value]) -> anyhow::Result<(String, bool)> {
    if batches.is_empty() {
        return Ok(("Nothing is to be imported.\n".to_owned(), true));
    }
    caller::answered(send(identity, batches))?
}

async fn send(identity: &Identity, batches: &[Value]) -> anyhow::Result<(String, bool)> {
    let caller = Caller::of(identity).await?;
    let mut by_place: BTreeMap<(&str, &str), Vec<&Value>> = BTreeMap::new();
    for batch in batches {
        by_place.entry(asff::place_of(batch)).or_default().push(batch);
    }
    let (mut places, mut own) = (Vec::new(), None);
    for ((account, region), batches) in by_place {
        let config = caller.config_in(region).await;
        // It is the same in each region.
        let own = match &mut own {
            Some(own) => own,
            None => own.insert(caller.account(&config).await?),
        };
        // Before anything is sent.
        if *own != account {
            bail!(
                "the findings are of account {account}, and these credentials are of {own}; import them with credentials of \
                 {account}"
            );
        }
        places.push((account, region, config, batches));
    }
    let (mut text, mut is_all) = (String::new(), true);
    for (account, region, config, batches) in places {
        let (mut taken, mut refused, mut problem) = (0, Vec::new(), None);
        for batch in batches {
            match security_hub::import(&config, batch).await {
                Ok(mut imported) => {
                    taken += imported.taken;
                    refused.append(&mut imported.refused);
                }
                Err(error) => {
                    problem = Some(why(&error));
                    break;
                }
            }
        }
        is_all &= refused.is_empty() && problem.is_none();
        let _ = writeln!(text, "{region}: {} imported into Security Hub of {account}", count(taken, "finding"));
        for (id, why) in refused.iter().take(MAX_NAMED) {
            let _ = writeln!(text, "  not taken: {}: {}", plain(id), plain(why));
        }
        if refused.len() > MAX_NAMED {
            let _ = writeln!(text, "  not taken: {} more", refused.len() - MAX_NAMED);
        }
        if let Some(problem) = problem {
            let _ = writeln!(text, "  the rest was not sent: {}", plain(&problem));
        }
    }
    Ok((text, is_all))
}
