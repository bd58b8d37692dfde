//! What users read says what the program does: `docs/policy.md` and `policy.example.yaml`.
//! Longer than other files: each document has its reader here.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests: a panic is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use eks_sg_guard::model::group::{Evidence, Group, Role, RoleEvidence};
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::region::{Addresses, Traffic};
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::policy::controller::Author;
use eks_sg_guard::policy::diagnostic::render;
use eks_sg_guard::policy::judge::{JudgedRule, judge};
use eks_sg_guard::policy::model::{Clause, PeerTerm, Policy, Severity, Verdict};
use eks_sg_guard::policy::{builtin, file};
use eks_sg_guard::report::finding::{Check, Kind};
use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::{Date, date};

const TODAY: Date = date(2026, 11, 1);
const EXAMPLE: &str = "policy.example.yaml";
const GUIDE: &str = "docs/policy.md";

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// README and everything under `docs/`, with names from the top of the repository.
fn documents() -> Vec<(String, String)> {
    let mut folders = vec![PathBuf::from("docs")];
    let mut names = vec![PathBuf::from("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(name);
            } else if name.extension().is_some_and(|end| end == "md") {
                names.push(name);
            }
        }
    }
    names.into_iter().map(|name| name.to_str().unwrap().to_owned()).map(|name| (name.clone(), read(&name))).collect()
}

/// The policy; an error or a warning fails the test and shows it.
fn load(name: &str, text: &str) -> Policy {
    let loaded = file::load(name, text, TODAY).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", render(name, text, &loaded.warnings, false));
    loaded.policy
}

fn is_of_standard(clause: &Clause) -> bool {
    built_in("standard").iter().any(|other| other.id == clause.id)
}

fn built_in(name: &str) -> &'static [Clause] {
    &builtin::policy(name).unwrap().clauses
}

/// In the order of the guide: those of `standard`, then those that only `strict` has.
fn documented_clauses() -> Vec<&'static Clause> {
    let own = built_in("strict").iter().filter(|clause| !is_of_standard(clause));
    built_in("standard").iter().chain(own).collect()
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Rows of the tables whose first column has this heading, each cell under the heading of its column.
fn rows<'t>(text: &'t str, first: &str) -> Vec<BTreeMap<&'t str, &'t str>> {
    let cells = |line: &'t str| -> Option<Vec<&'t str>> {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split('|').map(str::trim).collect())
    };
    let mut rows = Vec::new();
    let mut heading: Option<Vec<&str>> = None;
    for line in text.lines() {
        match (cells(line), &heading) {
            (None, _) => heading = None,
            (Some(cells), None) => heading = Some(cells),
            (Some(cells), Some(heading)) if heading[0] == first && !cells[0].starts_with("---") => {
                assert_eq!(cells.len(), heading.len(), "{line}");
                rows.push(heading.iter().copied().zip(cells).collect());
            }
            _ => {}
        }
    }
    rows
}

/// Blocks of code in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut current: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut current) {
            (Some(opened), None) => current = Some((opened == language, String::new())),
            (Some(_), Some(_)) => {
                blocks.extend(current.take().filter(|(wanted, _)| *wanted).map(|(_, block)| block));
            }
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(current.is_none(), "a block of code has no end");
    blocks
}

fn severity_word(severity: Option<Severity>) -> &'static str {
    severity.map_or("–", Severity::word)
}

/// `revoke, report in passing`.
fn verdict_words(clause: &Clause) -> String {
    let mut words = clause.verdict.word().to_owned();
    let milder = [(clause.in_passing, "in passing"), (clause.for_controller, "for a controller's own rule")];
    for (milder, which) in milder.into_iter().filter_map(|(milder, which)| Some((milder?, which))) {
        let _ = write!(words, ", {} {which}", milder.word());
    }
    words
}

/// `medium, low for over 256 ports`.
fn severity_words(clause: &Clause) -> String {
    let mut words = severity_word(clause.severity).to_owned();
    let particular = [
        (clause.severity_of_ranges, "for several ports"),
        (clause.severity_of_broad, "for over 256 ports"),
        (clause.severity_for_controller, "for a controller's own rule"),
    ];
    for (severity, which) in particular.into_iter().filter_map(|(severity, which)| Some((severity?, which))) {
        let _ = write!(words, ", {} {which}", severity.word());
    }
    words
}

/// The built-in policies name no blocks and no ids.
fn peer_word(term: &PeerTerm) -> String {
    term.word().unwrap().into_owned()
}

/// `tcp/udp 30000-32767`, `icmp 3/4`, `47`; nothing for all traffic.
fn traffic_words(traffic: &Traffic) -> Vec<String> {
    let mut by_ports: Vec<(String, String)> = Vec::new();
    for (protocol, ports) in traffic.by_protocol().into_iter().filter(|(protocol, _)| protocol != "-1") {
        match by_ports.iter_mut().find(|(_, known)| *known == ports && ports != "all") {
            Some((protocols, _)) => *protocols = format!("{protocols}/{protocol}"),
            None => by_ports.push((protocol, ports)),
        }
    }
    let word = |(protocols, ports): (String, String)| match ports.as_str() {
        "all" => protocols,
        _ => format!("{protocols} {}", ports.split(',').map(whole_types).collect::<Vec<_>>().join(", ")),
    };
    by_ports.into_iter().map(word).collect()
}

/// `1/0-4/255` of ICMP is `1-4`.
fn whole_types(range: &str) -> String {
    let ends =
        range.split_once('-').and_then(|(first, last)| Some((first.strip_suffix("/0")?, last.strip_suffix("/255")?)));
    ends.map_or_else(|| range.to_owned(), |(first, last)| format!("{first}-{last}"))
}

#[test]
fn there_is_one_section_for_each_built_in_clause_in_the_order_of_the_policy() {
    let guide = read(GUIDE);
    let sections: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let ids: Vec<&str> = documented_clauses().iter().map(|clause| clause.id.as_str()).collect();
    assert_eq!(sections, ids);
}

/// The line that begins with `**Covers**` names the traffic, the peers, and the roles where they are not the usual ones.
#[test]
fn each_section_says_what_its_clause_covers() {
    let guide = read(GUIDE);
    let usual = built_in("standard").iter().find(|clause| clause.id == "same-cluster").unwrap().roles.clone();
    for clause in documented_clauses() {
        let id = &clause.id;
        let section = guide.split_once(&format!("\n### {id}\n")).unwrap().1.split("\n#").next().unwrap();
        let parts: Vec<&str> = section.split("\n\n").flat_map(|part| part.split("\n**")).collect();
        let part = |title: &str| {
            let found = parts.iter().find_map(|part| part.trim().trim_start_matches("**").strip_prefix(title));
            found.unwrap_or_else(|| panic!("`{id}` has no **{title}**")).replace('\n', " ")
        };
        let roles = clause.roles.iter().filter(|_| clause.roles != usual).map(|role| role.word().to_owned());
        let expected: Vec<String> =
            traffic_words(&clause.traffic).into_iter().chain(clause.peers.iter().map(peer_word)).chain(roles).collect();
        let covers = part("Covers**");
        let width = [(clause.width.at_most, "at most"), (clause.width.more_than, "more than")];
        for (count, words) in width.into_iter().filter_map(|(count, words)| Some((count?, words))) {
            assert!(covers.contains(&format!("in rules of {words} {count} ports")), "{id}");
        }
        assert_eq!(code(&covers), expected, "{id}");
        assert_eq!(clause.traffic == Traffic::all(), covers.contains("everything"), "{id}");
        part("Why**");
        let is_forbidden_somewhere = clause.verdict > Verdict::Allow
            || built_in("strict").iter().any(|strict| strict.id == *id && strict.verdict > Verdict::Allow);
        if is_forbidden_somewhere {
            part("Fix**");
        }
    }
}

#[test]
fn tables_of_clauses_say_what_the_policy_says() {
    let mut seen = 0;
    for (name, text) in documents() {
        let table = rows(&text, "clause");
        if table.is_empty() {
            continue;
        }
        seen += 1;
        let expected: Vec<[String; 4]> = documented_clauses()
            .into_iter()
            .map(|clause| {
                let in_standard = is_of_standard(clause);
                let strict = built_in("strict").iter().find(|other| other.id == clause.id).unwrap();
                let (verdict, severity) = (verdict_words(clause), severity_words(clause));
                let (verdict_there, severity_there) = (verdict_words(strict), severity_words(strict));
                let in_strict = if in_standard && (&verdict_there, &severity_there) == (&verdict, &severity) {
                    "the same".to_owned()
                } else if in_standard && severity_there == severity {
                    verdict_there
                } else {
                    format!("{verdict_there}; {severity_there}")
                };
                let none = || "–".to_owned();
                let (verdict, severity) = if in_standard { (verdict, severity) } else { (none(), none()) };
                [clause.id.clone(), verdict, severity, in_strict]
            })
            .collect();
        let written: Vec<[String; 4]> = table
            .iter()
            .map(|row| {
                ["clause", "verdict", "severity", "in `strict`"].map(|column| {
                    let cell = row.get(column).unwrap_or_else(|| panic!("{name}: no column {column}"));
                    if column == "clause" { link_text(cell) } else { (*cell).to_owned() }
                })
            })
            .collect();
        assert_eq!(written, expected, "{name}");
    }
    assert_eq!(seen, 1, "the guide has the table");
}

/// `id` of [`id`](#id), where the anchor is right.
fn link_text(cell: &str) -> String {
    let id = code(cell).first().copied().unwrap_or(cell);
    assert_eq!(cell, format!("[`{id}`](#{id})"));
    id.to_owned()
}

#[test]
fn the_example_loads_and_has_every_key_with_a_line_about_it() {
    let text = read(EXAMPLE);
    load(EXAMPLE, &text);
    let written = keys_of(&text);
    let mut known = BTreeSet::new();
    let shared: Vec<&str> = file::keys().into_iter().find(|(list, _)| *list == "clauses").unwrap().1;
    for (list, keys) in file::keys() {
        for key in keys {
            known.insert((list.to_owned(), key.to_owned()));
            let explained = written.get(&(list.to_owned(), key.to_owned()));
            let said_before = list == "exceptions" && shared.contains(&key);
            let explained = explained.unwrap_or_else(|| panic!("{EXAMPLE} has no `{key}` in `{list}`"));
            assert!(*explained || said_before, "{EXAMPLE} has no line about `{key}` in `{list}`");
        }
    }
    let unknown: Vec<_> = written.keys().filter(|key| !known.contains(*key)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Keys of a policy in block style, after the list they stand in, and whether a comment stands above the first.
fn keys_of(text: &str) -> BTreeMap<(String, String), bool> {
    let lists: Vec<&str> = file::keys().into_iter().map(|(list, _)| list).filter(|list| !list.is_empty()).collect();
    let mut keys = BTreeMap::new();
    let (mut top, mut above) = ("", "");
    for line in text.lines() {
        let bare = line.trim_start().trim_start_matches("- ");
        let list = if line.starts_with([' ', '-']) { top } else { "" };
        if let Some((key, _)) = bare.split_once(':').filter(|_| !bare.starts_with('#')) {
            if list.is_empty() {
                top = key;
            }
            if list.is_empty() || lists.contains(&list) {
                keys.entry((list.to_owned(), key.to_owned())).or_insert(above.trim_start().starts_with('#'));
            }
        }
        above = line;
    }
    keys
}

#[test]
fn the_tables_of_keys_are_complete() {
    let guide = read(GUIDE);
    let table = rows(&guide, "key");
    let written: Vec<&str> = table.iter().flat_map(|row| code(row["key"])).collect();
    let mut expected = Vec::new();
    for (list, keys) in file::keys() {
        expected
            .extend(keys.into_iter().map(|key| if list.is_empty() { key.to_owned() } else { format!("{list}.{key}") }));
    }
    let shared = |key: &String| {
        let rest = ["exceptions.", "requirements."].iter().find_map(|list| key.strip_prefix(list));
        rest.is_some_and(|key| expected.contains(&format!("clauses.{key}")))
    };
    let expected: BTreeSet<&str> = expected.iter().filter(|key| !shared(key)).map(String::as_str).collect();
    assert_eq!(written.len(), expected.len(), "each key once");
    assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_table_of_words_is_complete() {
    let guide = read(GUIDE);
    let table = rows(&guide, "word");
    let written: BTreeSet<String> = table.iter().flat_map(|row| code(row["word"])).map(str::to_owned).collect();
    assert_eq!(written, PeerTerm::words().map(String::from).collect());
    for word in written {
        let clause = format!("{{id: own-clause, from: [\"{word}\"], verdict: report, reason: a test}}");
        let policy = load("word.yaml", &format!("version: 1\nextends: none\nclauses: [{clause}]\n"));
        assert_eq!(policy.clauses[0].peers.iter().map(peer_word).collect::<Vec<_>>(), [word]);
    }
}

#[test]
fn the_table_of_requirements_says_what_the_policy_says() {
    let guide = read(GUIDE);
    let written: Vec<[&str; 4]> = rows(&guide, "requirement")
        .iter()
        .map(|row| ["requirement", "interfaces of", "must be open", "because"].map(|column| row[column]))
        .collect();
    let expected: Vec<[String; 4]> = builtin::policy("standard")
        .unwrap()
        .requirements
        .iter()
        .map(|requirement| {
            let traffic: Vec<String> = requirement
                .traffic
                .by_protocol()
                .iter()
                .map(|(protocol, ports)| format!("{protocol} {ports}"))
                .collect();
            let way = if requirement.direction == Direction::Ingress { "from" } else { "to" };
            let peers: Vec<String> = requirement.peers.iter().map(|word| format!("`{}`", peer_word(word))).collect();
            let interfaces_of = requirement.interfaces_of.word();
            let open = format!("{} {way} {}", traffic.join(", "), peers.join(" or "));
            [format!("`{}`", requirement.id), interfaces_of.to_owned(), open, requirement.reason.clone()]
        })
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn the_table_of_findings_has_every_kind_and_every_check() {
    let notices = read("docs/notices.md");
    let table = rows(&notices, "kind");
    let kinds: Vec<&str> = table.iter().flat_map(|row| code(row["kind"])).collect();
    assert_eq!(kinds, Kind::ALL.map(Kind::word));
    let checks = |kind: Kind| Check::ALL.into_iter().filter(move |check| check.kind() == kind).map(Check::word);
    for (row, kind) in table.iter().zip(Kind::ALL) {
        assert_eq!(code(row["`check`"]), checks(kind).collect::<Vec<_>>(), "{}", kind.word());
    }
}

#[test]
fn every_policy_in_the_guide_loads() {
    let guide = read(GUIDE);
    let policies: Vec<String> =
        blocks(&guide, "yaml").into_iter().filter(|block| block.starts_with("version:")).collect();
    assert!(policies.len() >= 4, "the guide teaches by example");
    for text in policies {
        load("example in docs/policy.md", &text);
    }
}

fn nets(texts: &[&str]) -> Addresses {
    texts.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
}

/// `tcp 22 from 203.0.113.0/24`.
fn rule(text: &str) -> Rule {
    let (what, from) = text.split_once(" from ").unwrap();
    let (protocol, ports) = what.split_once(' ').unwrap_or((what, ""));
    let mut ends = ports.split('-').map(|end| end.parse::<i64>().ok());
    let first = ends.next().flatten();
    let last = ends.next().flatten().or(first);
    let (packets, peer) = (Packets::from_ec2(protocol, first, last).unwrap(), Peer::cidr(from).unwrap());
    let (description, tags) = (None, BTreeMap::new());
    Rule { id: format!("sgr-{text}"), direction: Direction::Ingress, packets, peer, description, tags }
}

/// Of these rules in one node group.
fn findings(policy: &Policy, rules: &[&str]) -> Vec<JudgedRule> {
    let node = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };
    let group = Group {
        id: "sg-0123456789abcdef0".to_owned(),
        clusters: ["prod".to_owned()].into(),
        roles: vec![node],
        rules: rules.iter().map(|text| rule(text)).collect(),
        vpc_ranges: nets(&["10.0.0.0/16"]),
        ..Group::default()
    };
    let location = Location::new("111122223333", "us-east-1");
    // The built-in policies have no exceptions, so no time matters.
    judge(policy, &group, &location, Timestamp::UNIX_EPOCH, |_| Author::Other)
}

#[test]
fn rules_in_the_guide_get_the_verdicts_that_their_width_gives_them() {
    let (guide, standard) = (read(GUIDE), builtin::policy("standard").unwrap());
    let table = rows(&guide, "rules by width");
    assert!(table.len() >= 5, "width is taught by example");
    for row in table {
        let rules = code(row["rules by width"]);
        let verdicts: Vec<_> = findings(standard, &rules).iter().map(|found| found.verdict.word()).collect();
        assert_eq!(row["verdicts by width"].split(", ").collect::<Vec<_>>(), verdicts, "{rules:?}");
    }
}

#[test]
fn rules_in_the_guide_get_the_verdicts_it_says() {
    let (standard, strict) = (builtin::policy("standard").unwrap(), builtin::policy("strict").unwrap());
    let guide = read(GUIDE);
    let table = rows(&guide, "rules of one group");
    assert!(table.len() >= 5, "exposure is taught by example");
    for row in table {
        let rules = code(row["rules of one group"]);
        let verdicts: Vec<_> = findings(standard, &rules).iter().map(|found| found.verdict.word()).collect();
        let written: Vec<&str> = row["verdicts"].split(", ").collect();
        assert_eq!(written, verdicts, "{rules:?}");
        let in_strict: Vec<_> = findings(strict, &rules).iter().map(|found| found.verdict.word()).collect();
        let harsher = |verdict: &&str| if *verdict == "allow" { "report" } else { "revoke" };
        assert_eq!(in_strict, written.iter().map(harsher).collect::<Vec<_>>(), "strict: {rules:?}");
    }
}

/// The picture and the table below it: the portions of one rule, as the policy really cuts it.
#[test]
fn the_picture_of_portions_is_true() {
    let (guide, standard) = (read(GUIDE), builtin::policy("standard").unwrap());
    let picture = guide.split("```").find(|block| block.contains("the worst portion decides")).unwrap();
    let drawn = picture.lines().find_map(|line| line.trim().strip_prefix("rule: ")).unwrap();
    let found = findings(standard, &[drawn]).remove(0);
    let expected: Vec<(String, String, String)> = found
        .portions
        .iter()
        .map(|portion| {
            let ports = traffic_words(&portion.traffic).join(" ");
            let ports = ports.trim_start_matches("tcp ").to_owned();
            (portion.clause.clone(), ports, portion.verdict.word().to_owned())
        })
        .collect();
    let columns = |line: &str| -> Option<(String, String, String)> {
        let line = line.trim();
        let (clause, rest) = line.split_once("  ")?;
        let (ports, verdict) = rest.split_once("-->")?;
        Some((clause.to_owned(), ports.trim().trim_end_matches('-').trim().to_owned(), verdict.trim().to_owned()))
    };
    assert_eq!(picture.lines().filter_map(columns).collect::<Vec<_>>(), expected);
    let worst = picture.split("the worst portion decides:").nth(1).unwrap().trim();
    assert_eq!(worst, found.verdict.word());
}

/// As GitHub makes them.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
    format!("#{}", kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

#[test]
fn links_of_the_guide_lead_somewhere() {
    let guide = read(GUIDE);
    let headings = guide.lines().filter(|line| line.starts_with('#'));
    let anchors: BTreeSet<String> = headings.map(|line| anchor(line.trim_start_matches('#').trim_start())).collect();
    for target in guide.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(target);
        assert!(anchors.contains(target) || path.exists(), "{target}");
    }
}
