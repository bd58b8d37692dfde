//! `policy test`: people's own tests of a policy, run and shown as test runners do.

use std::fmt::Write as _;
use std::iter;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::answer::intended;
use crate::cli::input;
use crate::cli::output::{CommandOutput, Exit, Format};
use crate::cli::style::{Style, decision, traffic};
use crate::model::ids::Location;
use crate::model::region::Traffic;
use crate::model::rule::Rule;
use crate::model::text::{count, plain};
use crate::plan::modes::Modes;
use crate::plan::{Intent, intend};
use crate::policy::builtin;
use crate::policy::controller::Author;
use crate::policy::diagnostic::{At, Rejected};
use crate::policy::file::cases::{self, Case, Need};
use crate::policy::judge::{JudgedRule, Portion, judge};
use crate::policy::model::{Policy, Severity};
use crate::policy::requirement;
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
  account, region, cluster, now (2026-12-31T23:59:59Z), mode (of the function)
  vpc            the blocks of the VPC
  peers          groups of the same cluster, as {sg-…: [node]}
  prefix_lists   what they hold, as {pl-…: [203.0.113.0/24]}, {pl-…: aws:s3}, {pl-…: unreadable}
In a test:
  group, account, region, cluster, now, mode, severity
  action         what must be done: none, report, would-revoke, revoke or refuse
  beside         other rules of the group, for what several rules open together
In a rule:
  to             instead of `from`, for egress
  icmp, icmpv6   instead of `protocol` and `ports`
  description, author (controller, other, unknown)
A test about a requirement has `requirement`, the rules of `control_plane` and `nodes`, whose peers
may be `role:control-plane` and `role:node`, and `expect: met` or `expect: missing`.
docs/policy-tests.md has examples.

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
    name: String,
    at: At,
    /// What is not as expected; empty when it passes.
    wrong: Vec<String>,
    /// What was tried and what the policy says of it, for people.
    shown: Vec<String>,
    /// The same for tools.
    said: Value,
}

/// One test file: its tests with the policy's name, or why it cannot be used.
struct TestFile {
    name: String,
    result: Result<(String, Vec<TestResult>), Unusable>,
}

/// Why a file of tests cannot be used.
enum Unusable {
    /// It, or its policy, has problems.
    Rejected(Rejected),
    /// It, or its policy, cannot be read.
    Unread(String),
}

pub(super) fn run(arguments: &Arguments, style: Style) -> anyhow::Result<CommandOutput> {
    let now = Timestamp::now();
    let paths = input::files(&arguments.tests, &["yaml", "yml"])?;
    // A file that is broken does not keep the others from being run.
    let files: Vec<TestFile> = paths.iter().map(|path| file(path, arguments, style, now)).collect();
    let worst = |file: &TestFile| match &file.result {
        Err(Unusable::Rejected(_)) => Exit::InvalidPolicy,
        Err(Unusable::Unread(_)) => Exit::CouldNotRun,
        Ok((_, results)) if results.iter().any(|result| !result.wrong.is_empty()) => Exit::Findings,
        Ok(_) => Exit::Clean,
    };
    let exits: Vec<Exit> = files.iter().map(worst).collect();
    let order = [Exit::InvalidPolicy, Exit::CouldNotRun, Exit::Findings];
    let exit = order.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Clean);
    match arguments.format {
        Format::Text => Ok(CommandOutput::new(in_words(&files, style), exit)),
        Format::Json => CommandOutput::answer("policy test", &for_tools(&files), exit),
    }
}

fn file(path: &Path, arguments: &Arguments, style: Style, now: Timestamp) -> TestFile {
    let name = input::shown(path);
    let result = tried(path, &name, arguments, style, now).map_err(|error| match error.downcast::<Rejected>() {
        Ok(rejected) => Unusable::Rejected(rejected),
        Err(error) => Unusable::Unread(format!("{error:#}")),
    });
    TestFile { name, result }
}

fn tried(
    path: &Path,
    name: &str,
    arguments: &Arguments,
    style: Style,
    now: Timestamp,
) -> anyhow::Result<(String, Vec<TestResult>)> {
    let suite = cases::load(name, &input::text(path, "test file")?)?;
    let policy = match &suite.policy {
        Some(own) if !builtin::NAMES.contains(&own.as_str()) => beside(path, own),
        Some(built_in) => built_in.clone(),
        None => arguments.policy.clone(),
    };
    let policy = input::policy(&policy, now)?;
    let rules = suite.cases.iter().filter_map(|case| try_out(case, &policy, style, now));
    let needs = suite.needs.iter().map(|need| look_for(need, &policy));
    let mut results: Vec<TestResult> = rules.chain(needs).collect();
    results.sort_by_key(|result| result.at.start);
    Ok((policy.name.clone(), results))
}

/// A path that a test file names, seen from there.
fn beside(path: &Path, named: &str) -> String {
    path.parent().unwrap_or_else(|| Path::new("")).join(named).to_string_lossy().into_owned()
}

/// `None` never happens: a case has a rule, so there is a finding.
fn try_out(case: &Case, policy: &Policy, style: Style, now: Timestamp) -> Option<TestResult> {
    let location = Location::new(&case.account, &case.region);
    let author = |rule: &Rule| {
        let mut rules = case.group.rules.iter().zip(&case.authors);
        rules.find(|(known, _)| *known == rule).map_or(Author::Unknown, |(_, author)| *author)
    };
    let finding = judge(policy, &case.group, &location, case.now.unwrap_or(now), author).into_iter().next()?;
    let (mode, setting) = Modes::new(case.mode, case.mode).of(policy, &case.group, false);
    let intent = intend(&finding, &case.group, mode, setting.as_deref());
    let wrong = wrong(case, &finding, &intent, policy);
    let clauses: Vec<&str> = deciding(&finding).map(|portion| portion.clause.as_str()).collect();
    let said = json!({
        "rule": finding.rule,
        "verdict": finding.verdict,
        "severity": finding.severity,
        "clauses": clauses,
        "action": intended(&intent).0,
    });
    let shown = shown(case, &finding, style);
    Some(TestResult { name: case.name.clone(), at: case.at, wrong, shown, said })
}

/// A test about a requirement.
fn look_for(need: &Need, policy: &Policy) -> TestResult {
    let id = &need.requirement;
    let unmet: Vec<_> =
        requirement::unmet(policy, &need.topology).into_iter().filter(|unmet| unmet.requirement.id == *id).collect();
    let is_known = policy.requirements.iter().any(|known| known.id == *id);
    let word = |is_met| if is_met { "met" } else { "missing" };
    let wrong = match (is_known, unmet.is_empty()) {
        (false, _) => vec![format!("the policy has no requirement `{}`", plain(id))],
        (true, is_met) if is_met != need.is_met => {
            vec![format!("expected `{}`, got `{}`", word(need.is_met), word(is_met))]
        }
        (true, _) => Vec::new(),
    };
    let missing =
        unmet.iter().map(|unmet| format!("{} is missing: {}", traffic(&unmet.missing, &Traffic::all()), unmet.peers));
    let shown = iter::once(format!("requirement: {}", plain(id))).chain(missing).collect();
    let said = json!({"requirement": id, "met": is_known && unmet.is_empty()});
    TestResult { name: need.name.clone(), at: need.at, wrong, shown, said }
}

/// The portions that made the verdict.
fn deciding(finding: &JudgedRule) -> impl Iterator<Item = &Portion> {
    finding.portions.iter().filter(|portion| portion.verdict == finding.verdict)
}

fn wrong(case: &Case, finding: &JudgedRule, intent: &Intent, policy: &Policy) -> Vec<String> {
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
    let (action, why) = intended(intent);
    if let Some(wanted) = expected.action.filter(|wanted| *wanted != action) {
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        wrong.push(format!("expected action `{wanted}`, got `{action}`{why}"));
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
            Err(unusable) => {
                let why = match unusable {
                    Unusable::Rejected(rejected) => rejected.render(style.colours),
                    Unusable::Unread(why) => format!("error: {why}"),
                };
                let _ = writeln!(out, "{} {}\n", style.bold(&file.name), style.bad("cannot be used"));
                let _ = writeln!(out, "{why}");
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
    let name = plain(&result.name);
    if result.wrong.is_empty() {
        let _ = writeln!(out, "  {}    {name}", style.good("ok"));
        return;
    }
    let _ = writeln!(out, "  {}  {name}", style.bad("FAIL"));
    let _ = writeln!(out, "        {file}:{}:{}", result.at.line, result.at.column);
    for line in result.wrong.iter().chain(&result.shown) {
        let _ = writeln!(out, "        {line}");
    }
}

/// The rule, and who decided what of it.
fn shown(case: &Case, finding: &JudgedRule, style: Style) -> Vec<String> {
    let roles: Vec<&str> = case.group.roles.iter().map(|known| known.role.word()).collect();
    let mut lines = vec![format!("rule: {}, of a group that is {}", rule_in_words(&finding.rule), roles.join(" and "))];
    for portion in &finding.portions {
        let says = style.of(portion.verdict, &decision(portion.verdict, portion.severity));
        let peers = portion.addresses.as_deref().unwrap_or_else(|| portion.peer_class.word());
        let line = format!("{says} by `{}` ({peers}): {}", portion.clause, plain(&portion.reason));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn for_tools(files: &[TestFile]) -> Value {
    let files = files.iter().map(|file| match &file.result {
        Ok((policy, result)) => {
            json!({"file": file.name, "policy": policy, "tests": result.iter().map(test_for_tools).collect::<Vec<_>>()})
        }
        Err(Unusable::Rejected(rejected)) => {
            json!({"file": file.name, "problems_in": rejected.name, "problems": rejected.diagnostics})
        }
        Err(Unusable::Unread(why)) => json!({"file": file.name, "error": why}),
    });
    json!({"files": files.collect::<Vec<_>>()})
}

fn test_for_tools(TestResult { name, at, wrong, said, .. }: &TestResult) -> Value {
    let mut test = json!({"name": name, "line": at.line, "passed": wrong.is_empty(), "wrong": wrong});
    if let (Some(test), Some(said)) = (test.as_object_mut(), said.as_object()) {
        test.extend(said.clone());
    }
    test
}
