//! In place of `live` in the program without the AWS SDK: says so, and how to get the other one.

use std::sync::Arc;

use anyhow::bail;

use crate::audit::Facts;
use crate::cli::identity::{Identity, WITHOUT_SDK};

pub(super) fn read(_: &Identity, _: &[String]) -> anyhow::Result<(Vec<Arc<Facts>>, bool)> {
    bail!(
        "{WITHOUT_SDK}; or, without `--fix`, name saved answers with `--from` (`eks-sg-guard audit --commands` prints \
         how to save them)"
    );
}
