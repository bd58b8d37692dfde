//! In place of `live` in the program without the AWS SDK: says so, and how to get the other one.

use anyhow::bail;
use jiff::Timestamp;

use crate::audit::undo::{Closed, Judged, Undone};
use crate::cli::identity::{Identity, WITHOUT_SDK};
use crate::policy::model::Policy;

/// Whether what is shown is agreed to.
type Ask<'a> = &'a dyn Fn(&[Judged]) -> anyhow::Result<bool>;

pub(super) fn run(
    _: &Identity,
    _: &Policy,
    _: &Closed,
    _: Timestamp,
    _: Ask<'_>,
) -> anyhow::Result<Vec<(Judged, Option<Undone>)>> {
    bail!("{WITHOUT_SDK}; or paste the command of the notice")
}
