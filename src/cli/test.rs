//! `policy test`: people's own tests of a policy, run and shown as test runners do.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::cli::style::{Style, decision};
use crate::model::ids::Location;
use crate::model::rule::Rule;
use crate::model::text::{count, plain};
use crate::policy::builtin;
use crate::policy::controller::Author;
use crate::policy::diagnostic::Rejected;
use crate::policy::file::cases::{self, Case};
use crate::policy::judge::{JudgedRule, Portion, judge};
use crate::policy::model::{Policy, Severity};
use crate::report::notice::rule_in_words;

/// Arguments of `policy test`.
#[derive(Args)]
#[command(after_help = "\
Example:
  eks-sg-guard policy test tests/ --policy policy.yaml

A test file is YAML, in the words of policy files:
  version: 1
  tests:
    - name: the kubelet is never open to the internet
      roles: [node]
      rule: {protocol: tcp, ports: 10250, from: 0.0.0.0/0}
      expect: revoke
      clause: kubelet-internet            # optional: the clause that must have led to it

At the top may also stand, for all tests of the file:
  policy         a built-in policy, or a path beside the file; else `--policy` counts
  account, region, cluster, now (2026-12-31T23:59:59Z)
  vpc            the blocks of the VPC
  peers          groups of the same cluster, as {sg-…: [node]}
  prefix_lists   what they hold, as {pl-…: [203.0.113.0/24]}, {pl-…: aws:s3}, {pl-…: unreadable}
In a test:
  group, account, region, cluster, now, severity
  beside         other rules of the group, for what several rules open together
In a rule:
  to             instead of `from`, for egress
  icmp, icmpv6   instead of `protocol` and `ports`
  description, author (controller, other, unknown)

Exit codes:
  0  all pass    1  could not run    2  a test fails    3  a test file or policy is invalid")]
pub(super) struct Arguments {
    /// The directory of test files (*.yaml, *.yml, also below it), or one test file.
    #[arg(value_name = "DIR")]
    tests: PathBuf,
    /// The policy of test files that name none: a file, or the name of a built-in policy.
    #[arg(long, value_name = "FILE|NAME", default_value = input::POLICY_FILE)]
    policy: String,
    /// How to write it.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// One test that was run.
struct TestResult {
    case: Case,
    finding: JudgedRule,
    /// What is not as expected; empty when it passes.
    wrong: Vec<String>,
}

/// One test file: its tests with the policy's name, or why it cannot be used.
struct TestFile {
    name: String,
    result: Result<(String, Vec<TestResult>), Rejected>,
}

pub(super) fn run(arguments: &Arguments, style: Style) -> anyhow::Result<CommandOutput> {
    let now = Timestamp::now();
    let paths = input::files(&arguments.tests, &["yaml", "yml"])?;
    let files = paths.iter().map(|path| file(path, arguments, now)).collect::<anyhow::Result<Vec<_>>>()?;
    let is_invalid = files.iter().any(|file| file.result.is_err());
    let exit = match files.iter().flat_map(tests).any(|result| !result.wrong.is_empty()) {
        _ if is_invalid => Exit::InvalidPolicy,
        true => Exit::Findings,
        false => Exit::Clean,
    };
    match arguments.format {
        Format::Text => Ok(CommandOutput::new(in_words(&files, style), exit)),
        Format::Json => CommandOutput::answer("policy test", &for_tools(&files), exit),
    }
}

fn file(path: &Path, arguments: &Arguments, now: Timestamp) -> anyhow::Result<TestFile> {
    let name = input::shown(path);
    let suite = match cases::load(&name, &input::text(path, "test file")?) {
        Ok(suite) => suite,
        Err(rejected) => return Ok(TestFile { name, result: Err(rejected) }),
    };
    let policy = match &suite.policy {
        Some(own) if !builtin::NAMES.contains(&own.as_str()) => beside(path, own),
        Some(built_in) => built_in.clone(),
        None => arguments.policy.clone(),
    };
    let policy = match input::policy(&policy, now) {
        Ok(policy) => policy,
        Err(error) => match error.downcast::<Rejected>() {
            Ok(rejected) => return Ok(TestFile { name, result: Err(rejected) }),
            Err(error) => return Err(error.context(format!("the policy of test file `{name}`"))),
        },
    };
    let result = suite.cases.into_iter().filter_map(|case| try_out(case, &policy, now)).collect();
    Ok(TestFile { name, result: Ok((policy.name.clone(), result)) })
}

/// A path that a test file names, seen from there.
fn beside(path: &Path, named: &str) -> String {
    path.parent().unwrap_or_else(|| Path::new("")).join(named).to_string_lossy().into_owned()
}

/// `None` never happens: a case has a rule, so there is a finding.
fn try_out(case: Case, policy: &Policy, now: Timestamp) -> Option<TestResult> {
    let location = Location::new(&case.account, &case.region);
    let author = |rule: &Rule| {
        let mut rules = case.group.rules.iter().zip(&case.authors);
        rules.find(|(known, _)| *known == rule).map_or(Author::Unknown, |(_, author)| *author)
    };
    let finding = judge(policy, &case.group, &location, case.now.unwrap_or(now), author).into_iter().next()?;
    let wrong = wrong(&case, &finding, policy);
    Some(TestResult { case, finding, wrong })
}

/// The portions that made the verdict.
fn deciding(finding: &JudgedRule) -> impl Iterator<Item = &Portion> {
    finding.portions.iter().filter(|portion| portion.verdict == finding.verdict)
}

fn wrong(case: &Case, finding: &JudgedRule, policy: &Policy) -> Vec<String> {
    let expected = &case.expected;
    let mut wrong = Vec::new();
    if finding.verdict != expected.verdict {
        wrong.push(format!("expected `{}`, got `{}`", expected.verdict.word(), finding.verdict.word()));
    }
    if let Some(clause) = &expected.clause
        && !deciding(finding).any(|portion| portion.clause == *clause)
    {
        let known = policy.clauses.iter().any(|known| known.id == *clause);
        let decided = finding.portions.iter().any(|portion| portion.clause == *clause);
        wrong.push(match (known, decided) {
            (_, true) => format!("the clause `{}` decided a part of the rule, but not the worst one", plain(clause)),
            (true, false) => format!("expected the clause `{}`, which decided no part of the rule", plain(clause)),
            (false, false) => format!("expected the clause `{}`, which the policy does not have", plain(clause)),
        });
    }
    if let Some(severity) = expected.severity.filter(|severity| finding.severity != Some(*severity)) {
        let got = finding.severity.map_or("none", Severity::word);
        wrong.push(format!("expected severity `{}`, got `{got}`", severity.word()));
    }
    wrong
}

fn tests(file: &TestFile) -> &[TestResult] {
    file.result.as_ref().map_or(&[], |(_, result)| result.as_slice())
}

fn in_words(files: &[TestFile], style: Style) -> String {
    let mut out = String::new();
    for file in files {
        match &file.result {
            Ok((policy, result)) => {
                let _ = writeln!(out, "{} (policy `{}`)", style.bold(&file.name), plain(policy));
                for result in result {
                    test_in_words(&file.name, result, style, &mut out);
                }
            }
            Err(rejected) => {
                let _ = writeln!(out, "{} {}\n", style.bold(&file.name), style.bad("cannot be used"));
                let _ = writeln!(out, "{}", rejected.render(style.colours));
            }
        }
        out.push('\n');
    }
    let all = files.iter().flat_map(tests);
    let (passed, failed): (Vec<&TestResult>, Vec<&TestResult>) = all.partition(|result| result.wrong.is_empty());
    let invalid = files.iter().filter(|file| file.result.is_err()).count();
    let mut counts = vec![format!("{} passed", passed.len()), format!("{} failed", failed.len())];
    counts.extend((invalid > 0).then(|| format!("{} not usable", count(invalid, "file"))));
    let line = counts.join(", ");
    let _ = writeln!(out, "{}", if failed.len() + invalid == 0 { style.good(&line) } else { style.bad(&line) });
    out
}

fn test_in_words(file: &str, result: &TestResult, style: Style, out: &mut String) {
    let TestResult { case, finding, wrong } = result;
    if wrong.is_empty() {
        let _ = writeln!(out, "  {}    {}", style.good("ok"), plain(&case.name));
        return;
    }
    let _ = writeln!(out, "  {}  {}", style.bad("FAIL"), plain(&case.name));
    let _ = writeln!(out, "        {file}:{}:{}", case.at.line, case.at.column);
    for wrong in wrong {
        let _ = writeln!(out, "        {wrong}");
    }
    let roles: Vec<&str> = case.group.roles.iter().map(|known| known.role.word()).collect();
    let _ = writeln!(out, "        rule: {}, of a group that is {}", rule_in_words(&finding.rule), roles.join(" and "));
    let mut named = Vec::new();
    for portion in &finding.portions {
        if named.contains(&(&portion.clause, portion.peer_class, &portion.addresses)) {
            continue;
        }
        named.push((&portion.clause, portion.peer_class, &portion.addresses));
        let says = style.of(portion.verdict, &decision(portion.verdict, portion.severity));
        let _ = writeln!(
            out,
            "        {} by `{}` ({}): {}",
            says,
            portion.clause,
            portion.addresses.as_deref().unwrap_or_else(|| portion.peer_class.word()),
            plain(&portion.reason)
        );
    }
}

fn for_tools(files: &[TestFile]) -> Value {
    let files = files.iter().map(|file| match &file.result {
        Ok((policy, result)) => {
            json!({"file": file.name, "policy": policy, "tests": result.iter().map(test_for_tools).collect::<Vec<_>>()})
        }
        Err(rejected) => json!({"file": file.name, "problems_in": rejected.name, "problems": rejected.diagnostics}),
    });
    json!({"files": files.collect::<Vec<_>>()})
}

fn test_for_tools(TestResult { case, finding, wrong }: &TestResult) -> Value {
    let clauses: Vec<&str> = deciding(finding).map(|portion| portion.clause.as_str()).collect();
    json!({
        "name": case.name,
        "line": case.at.line,
        "passed": wrong.is_empty(),
        "wrong": wrong,
        "rule": finding.rule,
        "verdict": finding.verdict,
        "severity": finding.severity,
        "clauses": clauses,
    })
}
