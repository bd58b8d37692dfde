//! The function's environment variables stand in one table, `VARIABLES` of `core/src/guard/settings.rs`. What else names
//! them says the same: README and `template.yaml`.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use eks_sg_guard::guard::settings::{VARIABLES, Variable};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Of the README's table.
fn row(Variable { name, expected, default, meaning, parameter }: &Variable) -> String {
    let code = |text: &str, empty: &str| if text.is_empty() { empty.to_owned() } else { format!("`{text}`") };
    format!("| `{name}` | {} | {meaning} | {expected} | {} |", code(parameter, "–"), code(default, "empty"))
}

#[test]
fn the_readme_has_the_table() {
    let readme = read("README.md");
    let written: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `GUARD_")).collect();
    let expected = VARIABLES.each_ref().map(row);
    assert!(written == expected, "README.md: the rows of the table of variables should be\n{}", expected.join("\n"));
}

/// Of the variables of the function in the template, the text of each value. Plain text will do: the template is linted.
fn environment(template: &str) -> BTreeMap<&str, &str> {
    let lines = template.split_once("        Variables:\n").unwrap().1.lines();
    lines.map_while(|line| line.strip_prefix("          ")?.split_once(": ")).collect()
}

/// Parameters of the template with their defaults.
fn parameters(template: &str) -> BTreeMap<&str, &str> {
    let section = template.split_once("\nParameters:\n").unwrap().1;
    let mut parameters = BTreeMap::new();
    let mut current = "";
    for line in section.lines().take_while(|line| line.is_empty() || line.starts_with(' ')) {
        if let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with([' ', '#'])) {
            current = name.trim_end_matches(':');
        } else if let Some(default) = line.strip_prefix("    Default: ") {
            parameters.insert(current, default.trim().trim_matches('"'));
        }
    }
    parameters
}

#[test]
fn the_template_sets_every_variable_by_its_parameter() {
    let template = read("template.yaml");
    let (set, parameters) = (environment(&template), parameters(&template));
    let names: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    let written: BTreeSet<&str> = set.keys().copied().filter(|name| name.starts_with("GUARD_")).collect();
    assert_eq!(written, names);
    for Variable { name, default, parameter, .. } in VARIABLES.iter().filter(|variable| !variable.parameter.is_empty())
    {
        let value = set.get(name).unwrap();
        assert!(value.contains(parameter), "template.yaml: {name} is `{value}`, without the parameter {parameter}");
        let given = *parameters.get(parameter).unwrap_or_else(|| panic!("template.yaml has no parameter {parameter}"));
        // Whether the template makes a table is its own question; the variable names the table. A stack of which nobody has
        // said anything only reports, and has no right to do more; and its metrics cost as little as its alarms need.
        let expected = match *parameter {
            "StateTable" => "true",
            "GuardMode" => "report",
            "GuardMetrics" => "needed",
            _ => default,
        };
        assert_eq!(given, expected, "template.yaml: the default of {parameter}");
    }
}

/// Nobody writes of a variable that the function does not read.
#[test]
fn documents_name_no_other_variable() {
    for document in
        ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/notices.md", "docs/policy.md", "template.yaml"]
    {
        let text = read(document);
        let words =
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("GUARD_"));
        for word in words.filter(|word| *word != "GUARD_BOOTSTRAP") {
            assert!(
                VARIABLES.iter().any(|variable| variable.name == word),
                "{document} names {word}, which nobody reads"
            );
        }
    }
}
