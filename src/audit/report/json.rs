//! An audit for other programs. Its JSON Schema is made of these types and committed beside them (`schema.json`).
//!
//! Names and values are a contract with other programs: add, never rename.

use jiff::Timestamp;
use serde::Serialize;

use super::compare::Comparison;
use super::narrow::Narrowing;
use super::{Audit, AuditFinding, MissingInput, Totals};

/// The JSON Schema of the whole answer.
pub const SCHEMA: &str = include_str!("schema.json");

/// What `audit` answers beside what every answer begins with.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report<'a> {
    /// The policy's name.
    policy: &'a str,
    /// SHA-256 of its text.
    policy_hash: &'a str,
    /// When it was made.
    #[cfg_attr(test, schemars(with = "String"))]
    time: Timestamp,
    /// How many rules have which fate.
    totals: Totals,
    /// Accounts and regions, in the order of their names.
    locations: Vec<LocationCount<'a>>,
    /// Location by location and cluster by cluster, the worst first.
    findings: Vec<&'a AuditFinding>,
    /// What was not there to be read.
    missing: &'a [MissingInput],
    /// What people should know besides.
    warnings: &'a [String],
    /// What changed since the audit that was named with `--compare`; null without.
    compared: Option<&'a Comparison<'a>>,
    /// What could stand in place of forbidden rules for addresses, group by group; null without `--narrow`.
    narrowed: Option<&'a [Narrowing]>,
}

/// An account and a region.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct LocationCount<'a> {
    /// Twelve digits; `unknown` where nothing says.
    account: &'a str,
    /// `us-east-1`, …; `unknown` where nothing says.
    region: &'a str,
    /// Names of its clusters.
    clusters: &'a [String],
    /// How many groups of clusters it has.
    groups: usize,
}

impl<'a> Report<'a> {
    /// Of an audit, compared with an older one or not, with proposals or not.
    pub fn of(audit: &'a Audit, compared: Option<&'a Comparison<'a>>, narrowed: Option<&'a [Narrowing]>) -> Self {
        let locations = audit.locations.iter().map(|found| LocationCount {
            account: &found.location.account,
            region: &found.location.region,
            clusters: &found.clusters,
            groups: found.groups.len(),
        });
        Self {
            policy: &audit.policy,
            policy_hash: &audit.policy_hash,
            time: audit.at,
            totals: audit.totals(),
            locations: locations.collect(),
            findings: audit.findings().collect(),
            missing: &audit.missing,
            warnings: &audit.warnings,
            compared,
            narrowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::generate::SchemaSettings;

    use super::*;

    /// The answer with what every answer of the command line begins with.
    #[derive(Serialize, schemars::JsonSchema)]
    #[schemars(title = "An audit of eks-sg-guard", extend("$id" = "urn:eks-sg-guard:audit:1"))]
    #[allow(dead_code, reason = "only its shape is used")]
    struct Answer<'a> {
        /// Of the answer: 1.
        version: u8,
        /// `audit`.
        command: String,
        /// 0: clean; 2: findings as `--fail-on` says.
        exit_code: u8,
        #[serde(flatten)]
        report: Report<'a>,
    }

    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<Answer<'_>>();
        let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if schema != SCHEMA {
            let made = std::env::temp_dir().join("audit.schema.json");
            std::fs::write(&made, schema).unwrap();
            panic!("the types have another schema than src/audit/report/schema.json: copy {} there", made.display());
        }
    }
}
