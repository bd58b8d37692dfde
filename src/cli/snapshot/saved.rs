//! A snapshot out of saved answers of the AWS CLI: the folder that an audit reads is a snapshot, too.
//!
//! Must not: know the shape of an answer, or judge (what is judged on the way is not looked at).

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use jiff::Timestamp;

use crate::audit::{Scope, look};
use crate::cli::{input, saved};
use crate::model::group::Group;
use crate::model::ids::Location;
use crate::model::text::plain;
use crate::policy::builtin;

/// The groups of clusters that these answers know, and where they are.
///
/// # Errors
/// What cannot be read; answers of several accounts or regions, which a snapshot has no room for.
pub(super) fn read(path: &Path) -> anyhow::Result<(Location, Vec<Group>)> {
    let facts = Arc::new(saved::read(&[path.to_owned()])?);
    let audit = look(&facts, builtin::policy(builtin::DEFAULT)?, &Scope::default(), Timestamp::now())?;
    let name = input::shown(path);
    let mut locations = audit.locations.into_iter();
    match (locations.next(), locations.next()) {
        (Some(one), None) => Ok((one.location, one.groups.into_iter().map(|audited| audited.group).collect())),
        (Some(one), Some(other)) => bail!(
            "`{name}` holds answers of {} in {} and of {} in {}; keep those of one account and region in a folder",
            plain(&one.location.account),
            plain(&one.location.region),
            plain(&other.location.account),
            plain(&other.location.region)
        ),
        (None, _) => bail!("`{name}` knows no group of any EKS cluster"),
    }
}
