//! An audit in AWS's Security Finding Format, in batches as `BatchImportFindings` takes them: one account and region each.
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html>
//!
//! Owns: the limits of that call. A finding that is looked at again has the same id, so that it replaces what was imported
//! before. Must not: write what belongs to Security Hub's users (`Workflow`, `Note`, `UserDefinedFields`), or send.

use serde_json::{Map, Value, json};

use super::resource::{self, Resource};
use super::{Audit, AuditFinding};
use crate::model::ids::{is_account, is_region, partition_of};
use crate::model::text::{count, fit, lines};
use crate::policy::model::{Severity, Verdict};
use crate::report::notice::redo::in_region;

/// Findings of one call.
const MAX_FINDINGS: usize = 100;
/// Resources and requirements of one finding.
const MAX_FEW: usize = 32;
/// Longest texts, in characters, of which there are never more than bytes: of an id or the name of a generator, a title, a
/// description, a recommendation, and the value of a field of ours.
const MAX_ID: usize = 512;
const MAX_TITLE: usize = 256;
const MAX_DESCRIPTION: usize = 1_024;
const MAX_RECOMMENDATION: usize = 512;
const MAX_FIELD: usize = 1_024;
/// What the file is called in the commands, and how many of these are written out.
const SAVED_AS: &str = "batches.json";
const MAX_IMPORTS: usize = 10;
/// What it is in the taxonomy of types.
const TYPE: &str = "Software and Configuration Checks/AWS Security Best Practices/Network Reachability";

/// The batches, each the input of one call; and how many findings are left out, because files do not say of which account
/// and region they are.
pub fn written(audit: &Audit) -> (Vec<Value>, usize) {
    let (mut batches, mut left_out) = (Vec::new(), 0);
    for location in &audit.locations {
        if !is_account(&location.location.account) || !is_region(&location.location.region) {
            left_out += location.findings.len();
            continue;
        }
        let batch = |found: &[AuditFinding]| {
            let findings: Vec<Value> = found.iter().map(|one| finding(audit, one)).collect();
            json!({"Findings": findings})
        };
        batches.extend(location.findings.chunks(MAX_FINDINGS).map(batch));
    }
    (batches, left_out)
}

/// The account and region that a batch is of.
pub fn place_of(batch: &Value) -> (&str, &str) {
    let text = |at: &str| batch.pointer(at).and_then(Value::as_str).unwrap_or_default();
    (text("/Findings/0/AwsAccountId"), text("/Findings/0/Region"))
}

/// How each batch is imported, once all of them are saved in one file.
pub fn imports(batches: &[Value]) -> Vec<String> {
    let command = |(at, batch): (usize, &Value)| {
        let findings = batch.pointer("/Findings").and_then(Value::as_array).map(Vec::len).unwrap_or_default();
        let (_, region) = place_of(batch);
        let how =
            format!("aws securityhub batch-import-findings{} --cli-input-json file://batch.json", in_region(region));
        format!("{}: jq '.[{at}]' {SAVED_AS} >batch.json && {how}", count(findings, "finding"))
    };
    let mut lines = vec![format!("saved as {SAVED_AS}, this is imported by:")];
    lines.extend(batches.iter().enumerate().take(MAX_IMPORTS).map(command));
    let rest = batches.len().saturating_sub(MAX_IMPORTS);
    if rest > 0 {
        lines.push(format!("and so on to '.[{}]', each in the region that it names", batches.len() - 1));
    }
    if batches.is_empty() { Vec::new() } else { lines }
}

fn finding(audit: &Audit, found: &AuditFinding) -> Value {
    let AuditFinding { account, region, .. } = found;
    let partition = partition_of(region);
    let severity = json!({"Label": label(found.severity), "Original": found.severity.map_or("none", Severity::word)});
    let at = audit.at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    let mut said = found.reason.clone();
    if let Some(detail) = found.detail.as_deref().filter(|detail| *detail != found.reason) {
        said = format!("{detail}. {said}");
    }
    let mut whole = json!({
        "SchemaVersion": "2018-10-08",
        "Id": text(&format!("{region}/{account}/eks-sg-guard/{}", found.fingerprint), MAX_ID),
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "ProductName": "eks-sg-guard",
        "GeneratorId": text(&format!("eks-sg-guard/{}", found.check_id()), MAX_ID),
        "AwsAccountId": account,
        "Region": region,
        "CreatedAt": at,
        "UpdatedAt": at,
        "Title": text(&title(found), MAX_TITLE),
        "Description": text(&said, MAX_DESCRIPTION),
        "Types": [TYPE],
        "Severity": severity,
        "FindingProviderFields": {"Severity": severity, "Types": [TYPE]},
        "Resources": resource::all(found).iter().take(MAX_FEW).map(|one| resource(found, one)).collect::<Vec<_>>(),
        "Compliance": compliance(found),
        "ProductFields": fields(audit, found),
        "RecordState": "ACTIVE",
    });
    if let Some(fix) = &found.fix {
        put(&mut whole, "Remediation", json!({"Recommendation": {"Text": text(fix, MAX_RECOMMENDATION)}}));
    }
    whole
}

fn compliance(found: &AuditFinding) -> Value {
    let mut whole = json!({"Status": if found.verdict == Verdict::Revoke { "FAILED" } else { "WARNING" }});
    if !found.controls.is_empty() {
        put(&mut whole, "RelatedRequirements", found.controls.iter().take(MAX_FEW).copied().collect());
    }
    whole
}

/// A key that is only there where it says something.
fn put(whole: &mut Value, key: &str, value: Value) {
    if let Some(keys) = whole.as_object_mut() {
        keys.insert(key.to_owned(), value);
    }
}

fn title(found: &AuditFinding) -> String {
    let on = found.group.as_ref().map(|group| format!(" on {}", group.name.as_deref().unwrap_or(&group.id)));
    let clusters = if found.clusters.is_empty() { String::new() } else { format!(" ({})", found.clusters.join(", ")) };
    format!("{}{}{clusters}", found.title(), on.unwrap_or_default())
}

fn label(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Critical) => "CRITICAL",
        Some(Severity::High) => "HIGH",
        Some(Severity::Medium) => "MEDIUM",
        Some(Severity::Low) => "LOW",
        None => "INFORMATIONAL",
    }
}

fn resource(found: &AuditFinding, one: &Resource<'_>) -> Value {
    let group = found.group.as_ref().filter(|_| one.name.is_none() && one.kind == "AwsEc2SecurityGroup");
    let mut details = Map::new();
    if let Some(group) = group {
        let known = [
            ("GroupId", Some(group.id.as_str())),
            ("GroupName", group.name.as_deref()),
            ("OwnerId", Some(found.account.as_str())),
            ("VpcId", group.vpc.as_deref()),
        ];
        details.extend(some(&known));
    } else if let Some(name) = one.name {
        details.extend(some(&[("Name", Some(name)), ("Arn", Some(one.arn.as_str()))]));
    }
    let mut whole = json!({
        "Type": one.kind,
        "Id": text(&one.arn, MAX_ID),
        "Partition": partition_of(&found.region),
        "Region": found.region,
    });
    if !details.is_empty() {
        put(&mut whole, "Details", json!({one.kind: details}));
    }
    whole
}

/// What our own readers want to filter by. Its names are ours.
fn fields(audit: &Audit, found: &AuditFinding) -> Map<String, Value> {
    let rule = found.rule.as_ref().map(|rule| rule.id.as_str());
    let known = [
        ("eks-sg-guard/verdict", Some(found.verdict.word())),
        ("eks-sg-guard/check", Some(found.check_id())),
        ("eks-sg-guard/rule", rule),
        ("eks-sg-guard/reachable", found.reachable.as_ref().map(|reachable| reachable.path.as_str())),
        ("eks-sg-guard/policy", Some(audit.policy.as_str())),
        ("eks-sg-guard/policy-hash", Some(audit.policy_hash.as_str())),
    ];
    some(&known).collect()
}

/// Those that say something: nothing else is taken.
fn some<'a>(known: &'a [(&'a str, Option<&'a str>)]) -> impl Iterator<Item = (String, Value)> + 'a {
    let clean = known.iter().filter_map(|(key, value)| Some((*key, text((*value)?, MAX_FIELD))));
    clean.filter(|(_, value)| !value.trim().is_empty()).map(|(key, value)| (key.to_owned(), json!(value)))
}

/// One line, harmless and no longer than so many bytes.
fn text(text: &str, most: usize) -> String {
    fit(&lines(text, false).replace(['\n', '\t'], " "), most, "…")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::*;
    use crate::audit::report::checks::AuditCheck;
    use crate::audit::report::{AuditedLocation, Place};
    use crate::model::group::Group;
    use crate::model::ids::Location;

    fn audit(locations: &[(&str, &str, usize)]) -> Audit {
        let clusters: BTreeSet<String> = (0..40).map(|n| format!("cluster-{n}")).collect();
        let location = |(account, region, many): &(&str, &str, usize)| {
            let location = Location::new(*account, *region);
            let one = |n: usize| {
                let name = "a \u{202e}\u{1b}name ".repeat(100);
                let group = Group { id: format!("sg-{n}"), name, ..Group::default() };
                let place = Place { location: &location, clusters: &clusters, group: Some(&group), origin: None };
                AuditFinding::checked(place, AuditCheck::UnusedGroup, "detail ".repeat(1_000))
            };
            let findings = (0..*many).map(one).collect();
            AuditedLocation { location: location.clone(), clusters: Vec::new(), groups: Vec::new(), findings }
        };
        Audit {
            policy: "standard".to_owned(),
            policy_hash: "0".to_owned(),
            networks: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
            locations: locations.iter().map(location).collect(),
            missing: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_batch_is_of_one_account_and_region_and_no_larger_than_the_call_takes() {
        let audit = audit(&[
            ("111122223333", "us-east-1", 201),
            ("111122223333", "cn-north-1", 1),
            ("unknown", "us-east-1", 2),
            ("111122223333", "unknown", 3),
        ]);
        let (batches, left_out) = written(&audit);
        let sizes: Vec<usize> = batches.iter().map(|batch| batch["Findings"].as_array().unwrap().len()).collect();
        assert_eq!((sizes, left_out), (vec![100, 100, 1, 1], 5));
        assert!(batches.iter().all(|batch| batch.to_string().len() < 6_000_000));
        let other = &batches[3]["Findings"][0];
        assert_eq!(other["ProductArn"], "arn:aws-cn:securityhub:cn-north-1:111122223333:product/111122223333/default");
        assert_eq!(other["Resources"][0]["Id"], "arn:aws-cn:ec2:cn-north-1:111122223333:security-group/sg-0");
    }

    #[test]
    fn no_text_is_longer_than_its_limit_and_none_is_empty() {
        let (batches, _) = written(&audit(&[("111122223333", "us-east-1", 1)]));
        let found = &batches[0]["Findings"][0];
        let length = |key: &str| found[key].as_str().unwrap().len();
        assert!(length("Id") <= 512 && length("GeneratorId") <= 512);
        assert!((250..=256).contains(&length("Title")) && (1_000..=1_024).contains(&length("Description")));
        assert_eq!(found["Resources"].as_array().unwrap().len(), 32);
        assert_eq!(found["Types"][0].as_str().unwrap().split('/').count(), 3);
        assert!(found["ProductFields"].get("eks-sg-guard/rule").is_none(), "it is about no rule");
        assert!(!batches[0].to_string().contains("\\u001b"));
    }
}
