//! Answers of the AWS CLI that people name as files, folders or standard input.
//!
//! Must not: judge, or know the shape of an answer.

use std::path::PathBuf;

use anyhow::bail;

use super::progress::Progress;
use crate::audit::saved::Saved;
use crate::audit::{Facts, source};

/// Everything that they say, joined.
///
/// # Errors
/// What cannot be read, and that there is nothing to judge.
pub(super) fn read(from: &[PathBuf]) -> anyhow::Result<Facts> {
    let sources = source::sources(from).map_err(anyhow::Error::msg)?;
    let mut progress = Progress::of(sources.len());
    let mut saved = Saved::default();
    for source in &sources {
        progress.at(&source.name());
        saved.add(source).map_err(anyhow::Error::msg)?;
    }
    drop(progress);
    if !saved.has_any() {
        let why = saved.warnings().first().map(|why| format!("; {why}")).unwrap_or_default();
        bail!("there is no answer of the AWS CLI to read{why}; `eks-sg-guard audit --commands` prints what to save");
    }
    let facts = Facts::of(saved);
    if !facts.knows_clusters() {
        bail!(
            "nothing in these files names an EKS cluster, so there is nothing to judge; add `aws eks list-clusters` and \
             `aws eks describe-cluster --name NAME` (`eks-sg-guard audit --commands` prints all)"
        );
    }
    Ok(facts)
}
