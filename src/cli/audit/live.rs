//! What AWS says now: who asks, where, and until when. What is asked is the audit's own.
//!
//! Must not: judge, or change anything.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use aws_config::SdkConfig;
use futures::stream::{self, StreamExt as _};

use crate::adapters::account;
use crate::adapters::connect::Connection;
use crate::adapters::trails::CloudTrail;
use crate::audit::Facts;
use crate::audit::saved::live::{Doors, Reading, why};
use crate::cli::caller::{self, Caller};
use crate::cli::identity::Identity;
use crate::model::ids::{Location, is_region};
use crate::model::text::plain;
use crate::report::metrics::Metrics;

/// Regions read at the same time. Each has limits of its own.
const MAX_CONCURRENT_REGIONS: usize = 4;
/// How soon Ctrl-C is noticed.
const GLANCE: Duration = Duration::from_millis(100);
/// Before that nobody wonders.
const PATIENCE: Duration = Duration::from_secs(1);
/// As wide as any terminal.
const MAX_LEN: usize = 70;
/// Where STS answers for every region.
const ANY_REGION: &str = "us-east-1";
/// What was read in each region, and whether that is all.
pub(super) fn read(identity: &Identity, regions: &[String]) -> anyhow::Result<(Vec<Arc<Facts>>, bool)> {
    let regions = wanted(regions)?;
    caller::answered(ask(identity, regions))?
}

/// The regions that were named; none for those that nobody named, or for all.
fn wanted(named: &[String]) -> anyhow::Result<Regions> {
    let names: Vec<String> = named.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if names.iter().any(|name| name == "all") {
        return Ok(Regions::All);
    }
    if let Some(wrong) = names.iter().find(|name| !is_region(name)) {
        bail!("`{}` is no region; expected names such as `us-east-1,eu-west-1`, or `all`", plain(wrong));
    }
    let mut names = names;
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(if names.is_empty() { Regions::Own } else { Regions::Named(names) })
}

enum Regions {
    Own,
    All,
    Named(Vec<String>),
}

async fn ask(identity: &Identity, regions: Regions) -> anyhow::Result<(Vec<Arc<Facts>>, bool)> {
    let caller = Caller::of(identity).await?;
    let own = caller.region();
    let first = match &regions {
        Regions::Named(names) => names.first().cloned(),
        Regions::All => Some(own.unwrap_or_else(|| ANY_REGION.to_owned())),
        Regions::Own => own,
    };
    let Some(first) = first else {
        bail!("no region is named; name some with `--region us-east-1,eu-west-1`, or `all`, or set `AWS_REGION`");
    };
    let there = caller.config_in(&first).await;
    let account = caller.account(&there).await?;
    let regions = match regions {
        Regions::Named(names) => names,
        Regions::Own => vec![first],
        Regions::All => account::regions(&there).await.map_err(|error| {
            anyhow!("which regions are enabled could not be read: {}; name them with `--region`", why(&error))
        })?,
    };
    let mut readings: Vec<(Reading, SdkConfig)> = Vec::new();
    for region in regions {
        let config = caller.config_in(&region).await;
        readings.push((Reading::of(Location::new(account.clone(), region)), config));
    }
    let watch = Watch::new()?;
    let metrics = Arc::new(Metrics::default());
    let each = readings.iter_mut().map(|(reading, config)| {
        let connection = Connection::new(config, &metrics);
        let doors = Doors {
            surroundings: Arc::new(connection.ec2.clone()),
            ec2: Arc::new(connection.ec2),
            eks: Arc::new(connection.eks),
            trails: Arc::new(CloudTrail::new(connection.cloudtrail)),
        };
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let watch = &watch;
        async move { reading.read(&doors, &|what| watch.at(&region, what)).await }
    });
    let all = stream::iter(each).buffer_unordered(MAX_CONCURRENT_REGIONS).collect::<Vec<()>>();
    tokio::select! {
        _ = all => {}
        () = watch.until_stopped() => {}
    }
    drop(watch);
    let is_whole = readings.iter().all(|(reading, _)| reading.is_whole());
    Ok((readings.into_iter().map(|(reading, _)| Arc::new(reading.facts())).collect(), is_whole))
}

/// Shows on a terminal what is being read, and notices Ctrl-C. The second one ends the program.
struct Watch {
    since: Instant,
    now: Mutex<String>,
    is_stopped: Arc<AtomicBool>,
    is_terminal: bool,
    is_shown: AtomicBool,
}

impl Watch {
    fn new() -> anyhow::Result<Self> {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let interrupt = signal_hook::consts::SIGINT;
        // In this order: the first one finds the flag not yet set.
        signal_hook::flag::register_conditional_shutdown(interrupt, 130, Arc::clone(&is_stopped))
            .and_then(|_| signal_hook::flag::register(interrupt, Arc::clone(&is_stopped)))
            .context("the program cannot listen for Ctrl-C")?;
        Ok(Self {
            since: Instant::now(),
            now: Mutex::default(),
            is_stopped,
            is_terminal: io::stderr().is_terminal(),
            is_shown: AtomicBool::new(false),
        })
    }

    fn at(&self, region: &str, what: &str) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = format!("reading {region}: {what}");
    }

    async fn until_stopped(&self) {
        while !self.is_stopped.load(Ordering::Relaxed) {
            tokio::time::sleep(GLANCE).await;
            if self.is_terminal && self.since.elapsed() > PATIENCE {
                self.is_shown.store(true, Ordering::Relaxed);
                let line: String =
                    self.now.lock().unwrap_or_else(PoisonError::into_inner).chars().take(MAX_LEN).collect();
                let _ = write!(io::stderr(), "\r{line:<MAX_LEN$}");
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // From now on one is enough to end the program.
        self.is_stopped.store(true, Ordering::Relaxed);
        if self.is_shown.load(Ordering::Relaxed) {
            let _ = write!(io::stderr(), "\r{:<MAX_LEN$}\r", "");
        }
    }
}
