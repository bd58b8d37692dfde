//! Every mistake that a policy file can hold, and what we say about it; and files that are made to hurt. Read the snapshots
//! as a tired person would.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use eks_sg_guard::policy::builtin;
use eks_sg_guard::policy::diagnostic::{Level, Rejected, render};
use eks_sg_guard::policy::file::{Loaded, load};
use jiff::civil::{Date, date};
use proptest::prelude::*;

const TODAY: Date = date(2026, 6, 15);

/// One snapshot per file in `tests/policies/`.
#[test]
fn mistakes_are_explained() {
    insta::glob!("policies/bad_*.yaml", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let rendered = match load(name, &text, TODAY) {
            Err(rejected) => rejected.to_string(),
            Ok(loaded) => render(name, &text, &loaded.warnings, false),
        };
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(rendered) });
    });
}

/// Quotes would not help, and the advice to write them would hold the character itself.
#[test]
fn a_character_that_nobody_sees_is_to_be_removed_whatever_else_the_line_looks_like() {
    for text in ["id: a\u{1b}: b", "id:a\u{9b}b: c", "{a: b\u{c}: c: d}", "id: a: b \u{1b}"] {
        for problem in load("policy.yaml", text, TODAY).unwrap_err().diagnostics {
            let help = problem.help.unwrap_or_default();
            assert!(!help.contains(char::is_control), "{text:?}: {help:?}");
            assert!(!problem.message.contains("\\u{") || help == "remove the invisible character", "{text:?}: {help}");
        }
    }
}

#[test]
fn built_in_policies_load_without_a_remark() {
    for name in builtin::NAMES {
        assert_eq!(builtin::policy(name).unwrap().name, name);
        let loaded = load(name, builtin::text(name).unwrap(), TODAY).unwrap();
        assert_eq!(loaded.warnings, []);
    }
    let unknown = builtin::policy("lax").unwrap_err();
    assert_eq!(unknown.to_string(), "there is no built-in policy `lax`: expected standard, strict or none");
}

#[test]
fn tools_get_codes_and_positions() {
    let text = "version: 1\notherwise: revok\nclauses:\n  - {id: a, from: [vpc], verdict: allow, reason: r, id: b}\n";
    let rejected = load("policy.yaml", text, TODAY).unwrap_err();
    insta::assert_json_snapshot!(rejected, @r#"
    {
      "name": "policy.yaml",
      "diagnostics": [
        {
          "severity": "error",
          "code": "unknown-verdict",
          "message": "`revok` is not a verdict",
          "at": {
            "start": 22,
            "end": 27,
            "line": 2,
            "column": 12
          },
          "help": "did you mean `revoke`?",
          "also": null
        },
        {
          "severity": "error",
          "code": "duplicate-key",
          "message": "the key `id` is given twice",
          "at": {
            "start": 89,
            "end": 91,
            "line": 4,
            "column": 53
          },
          "help": "keep one of the two",
          "also": {
            "label": "first here",
            "at": {
              "start": 42,
              "end": 44,
              "line": 4,
              "column": 6
            },
            "policy": null
          }
        }
      ]
    }
    "#);
}

#[test]
fn colours_only_when_asked_for() {
    let rejected = load("policy.yaml", "version: 2\n", TODAY).unwrap_err();
    assert!(!rejected.to_string().contains('\u{1b}'));
    assert!(rejected.render(true).contains('\u{1b}'));
}

/// Text of the file never reaches a terminal or a log line as it is: neither where it is quoted nor where its line is shown.
#[test]
fn control_characters_are_not_repeated() {
    let quoted = "version: \"1\\e[31m\\r\\n\\x07\"\notherwise: \"\\e]0;x\\a\"\n\"\\e[2J\": 1\n";
    let raw =
        "version: 1 # \u{85}\u{9b}31m\notherwise: a\u{202e}\u{2066}\u{ad}b\n\u{200b}: 1 # \u{9d}0;x\u{9c}\u{e0041}\n";
    let is_strange = |character: char| {
        character.is_control() || matches!(character, '\u{ad}' | '\u{200b}' | '\u{202e}' | '\u{2066}' | '\u{e0041}')
    };
    for text in [quoted, raw] {
        let rejected = load("pol\u{9b}icy.yaml", text, TODAY).unwrap_err();
        for shown in [rejected.to_string(), rejected.render(true).replace('\u{1b}', "")] {
            assert!(!shown.contains(|character| character != '\n' && is_strange(character)), "{shown:?}");
        }
        assert!(rejected.diagnostics.iter().all(|problem| !problem.message.contains(is_strange)), "{text}");
    }
}

/// What a file leads to, and that it took neither long nor much room to say so.
fn quickly(text: &str) -> Result<Loaded, Rejected> {
    let begun = Instant::now();
    let result = load("hostile.yaml", text, TODAY);
    let shown = match &result {
        Ok(loaded) => render("hostile.yaml", text, &loaded.warnings, false),
        Err(rejected) => rejected.to_string(),
    };
    // A hundred times what it takes in a release build.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(shown.len() < 1 << 20, "{} bytes", shown.len());
    result
}

fn lines(many: usize, line: impl Fn(usize) -> String) -> String {
    (0..many).map(line).collect::<Vec<_>>().concat()
}

fn code(text: &str) -> &'static str {
    let rejected = quickly(text).err();
    rejected.and_then(|rejected| Some(rejected.diagnostics.first()?.code)).unwrap_or("accepted")
}

#[test]
fn bombs_are_refused() {
    let laughs = (1..30).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |mut text, n| {
        let _ = writeln!(text, "a{n}: &a{n} [{}]", vec![format!("*a{}", n - 1); 9].join(", "));
        text
    });
    assert_eq!(code(&laughs), "too-large");
    assert_eq!(code(&format!("version: 1\nclauses: {}", "[".repeat(100_000))), "too-large");
    assert_eq!(code(&format!("version: 1\nclauses: {}{}", "[".repeat(500), "]".repeat(500))), "too-large");
    let steps = lines(500, |depth| format!("{}a:\n", " ".repeat(depth)));
    assert_eq!(code(&steps), "too-large");
    assert_eq!(code(&"? ".repeat(100_000)), "too-large");
    assert_eq!(code(&"- ".repeat(100_000)), "too-large");
    assert_eq!(code(&format!("version: {}", "1".repeat(10 << 20))), "too-large");
    assert_eq!(code("version: 1\nclauses: &c [*c]\n"), "yaml");
    assert_eq!(code("version: 1\nreason: \"a\0b\"\n"), "yaml");
    assert_eq!(code("\0"), "yaml");
    let anchors = lines(5_000, |n| format!("- &a{n} x\n"));
    assert_eq!(code(&anchors), "too-large");
}

#[test]
fn a_long_line_is_named_and_not_shown() {
    let rejected = quickly(&format!("version: {}", "x".repeat(1 << 19))).unwrap_err();
    let shown = rejected.to_string().replace(&"x".repeat(80), "x…x");
    insta::assert_snapshot!(shown, @"
    error[unknown-version]: `x…x…` is not a version of the policy language that this program reads
    --> hostile.yaml:1:10
     = help: write `version: 1`

    hostile.yaml: 1 error
    ");
}

#[test]
fn ten_thousand_problems_are_not_all_told() {
    let keys = lines(60_000, |n| format!("clauzes{n}: 1\n"));
    let rejected = quickly(&format!("version: 1\n{keys}")).unwrap_err();
    assert_eq!(rejected.diagnostics.len(), 201);
    assert_eq!(rejected.diagnostics[200].message, "59800 more problems not shown");
    let unknown = lines(10_000, |n| format!("  net{n}: [x{n}, y{n}]\n"));
    assert!(quickly(&format!("version: 1\nnetworks:\n{unknown}")).is_err());
}

fn clauses(many: usize, body: impl Fn(usize) -> String) -> String {
    let entries = lines(many, |n| format!("- {{id: c{n}, {}, verdict: allow, reason: r}}\n", body(n)));
    format!("version: 1\nclauses:\n{entries}")
}

#[test]
fn ten_thousand_clauses_are_read() {
    let same = quickly(&clauses(10_000, |_| "from: [vpc]".to_owned())).unwrap();
    assert!(same.policy.clauses.len() > 10_000);
    assert!(same.warnings.iter().all(|warning| warning.severity == Level::Warning));
    let different =
        quickly(&clauses(10_000, |n| format!("protocol: tcp, ports: {n}, from: [10.{}.0.0/16]", n % 250))).unwrap();
    assert_eq!(different.warnings, []);
}

#[test]
fn sets_do_not_multiply() {
    // A large network in many clauses, many ports in many clauses, networks of networks.
    let blocks: Vec<String> = (0..20_000).map(|n| format!("{}.{}.{}.0/24", 1 + n % 200, n / 200, n % 7)).collect();
    let network = format!("networks:\n  big: [{}]\n", blocks.join(","));
    let text = clauses(5_000, |_| "from: [big]".to_owned()).replacen("clauses", &format!("{network}clauses"), 1);
    assert_eq!(code(&text), "too-large");
    let ports: Vec<String> = (0..1_000).map(|n| (n * 2).to_string()).collect();
    let anchored = clauses(2_000, |n| match n {
        0 => format!("protocol: [tcp, udp], ports: &p [{}], from: [vpc]", ports.join(",")),
        _ => "protocol: [tcp, udp], ports: *p, from: [private]".to_owned(),
    });
    assert_eq!(code(&anchored), "too-large");
    let odd: Vec<String> = (0..32_000).map(|n| (n * 2).to_string()).collect();
    let one = |n: usize| format!("protocol: [tcp, udp], ports: [{}], from: [10.{n}.0.0/16]", odd.join(","));
    assert!(quickly(&clauses(4, one)).is_ok());
    let chain = lines(10_000, |n| format!("  n{n}: [n{}]\n", n + 1));
    assert_eq!(code(&format!("version: 1\nnetworks:\n{chain}")), "too-large");
}

/// Pieces that make random text likely to get past the parser.
fn fragment() -> impl Strategy<Value = String> {
    let words = "version: 1\n|clauses:\n|exceptions:\n|networks:\n|  - id: a\n|    from: [|office|]\n|, |\
                 10.0.0.0/8|    ports: |22-80|\
                 &a |*a|    protocol: tcp\n|    verdict: |revoke\n|    reason: x\n|\
                 '|\"|{|}|: |- |? |<<: |!x |# |\t|\r\n|\u{feff}|é|日本|~|\0";
    prop_oneof![
        4 => prop::sample::select(words.split('|').map(str::to_owned).collect::<Vec<_>>()),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(parts in prop::collection::vec(fragment(), 0..60)) {
        let _ = load("any.yaml", &parts.concat(), TODAY).map_err(|rejected| rejected.render(true));
    }

    #[test]
    fn no_damage_to_a_policy_makes_it_panic(cut in 0_usize..6_000, length in 0_usize..40, put in fragment()) {
        let text = builtin::text("standard").unwrap();
        let damaged: String = text.chars().take(cut).chain(put.chars()).chain(text.chars().skip(cut + length)).collect();
        let _ = load("any.yaml", &damaged, TODAY).map_err(|rejected| rejected.render(true));
    }
}
