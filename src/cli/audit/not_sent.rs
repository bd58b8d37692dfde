//! In place of `import` in the program without the AWS SDK: says so, and how to get the other one.

use anyhow::bail;
use serde_json::Value;

use crate::cli::identity::{Identity, WITHOUT_SDK};

pub(super) fn run(_: &Identity, _: &[Value]) -> anyhow::Result<(String, bool)> {
    bail!("{WITHOUT_SDK}; or import what this prints without `--import`, as it says beside it");
}
