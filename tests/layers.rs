//! The layers can be read off the tree: an import goes down, or stays within its layer, and no files import each other in a
//! circle. Read from the text of `core/src/` and `src/`, so it costs no build.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests: a panic is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// From the ground up. Those of one row do not know each other.
const LAYERS: [&[&str]; 12] = [
    &["model"],
    &["event", "cluster"],
    &["policy"],
    &["report"],
    &["ports", "plan"],
    &["inventory"],
    &["needs"],
    &["guard"],
    &["audit"],
    &["adapters"],
    &["cli"],
    &["bin"],
];

/// File without its `src/` and `.rs` -> its text.
type Files = BTreeMap<String, String>;

fn sources(folder: &Path, name: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let file = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            sources(&entry.path(), &format!("{name}{file}/"), files);
        } else if let Some(stem) = file.strip_suffix(".rs").filter(|stem| *stem != "tests" && *stem != "lib") {
            files.insert(format!("{name}{stem}"), fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// Without comments and test modules: tests may know whom they like.
fn code(text: &str) -> String {
    let bare: String = text.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect();
    let mut parts = bare.split("#[cfg(test)]\n");
    let mut code = parts.next().unwrap().to_owned();
    for part in parts {
        let is_module = part.lines().next().is_some_and(|line| line.contains("mod ") && line.ends_with('{'));
        code.push_str(if is_module { part.split_once("\n}\n").map_or("", |(_, rest)| rest) } else { part });
    }
    code
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn leaves(tree: &str) -> Vec<String> {
    let mut depth = 0;
    let each = tree.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let leaves_of = |part: &str| -> Vec<String> {
        match part.trim().split_once('{') {
            Some((path, inner)) => {
                leaves(inner.strip_suffix('}').unwrap()).iter().map(|leaf| format!("{path}{leaf}")).collect()
            }
            None => part.split_whitespace().take(1).map(str::to_owned).collect(),
        }
    };
    each.flat_map(leaves_of).collect()
}

/// Every path of this package that the file names. A `mod`, and a `pub use` of a module's own child, only say where things
/// are: they are no import.
fn paths(code: &str) -> Vec<String> {
    let children: Vec<&str> = code
        .split(';')
        .filter_map(|statement| statement.rsplit_once("mod ").map(|(_, name)| name))
        .filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .collect();
    let mut paths = Vec::new();
    for statement in code.split(';') {
        let is_tree = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "_:{},* \n".contains(c));
        if let Some((before, tree)) = statement.rsplit_once("use ").filter(|(_, tree)| is_tree(tree)) {
            let is_public = before.lines().last().is_some_and(|line| line.trim_start().starts_with("pub"));
            let is_child = |path: &String| children.contains(&path.split("::").next().unwrap());
            paths.extend(leaves(tree).into_iter().filter(|path| !(is_public && is_child(path))));
        } else {
            let words = statement.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            paths.extend(words.filter(|word| word.contains("::")).map(str::to_owned));
        }
    }
    let from_child = |path: String| match path.split("::").next() {
        Some(first) if children.contains(&first) => format!("self::{path}"),
        _ => path,
    };
    paths.into_iter().map(from_child).collect()
}

/// The file that a path leads to, as far as it names modules.
fn resolve(file: &str, path: &str, files: &Files) -> Option<String> {
    let mut module: Vec<&str> = file.split('/').collect();
    let mut segments = path.split("::").peekable();
    match segments.next()? {
        "crate" | "eks_sg_guard" => module.clear(),
        "self" => {}
        "super" => drop(module.pop()),
        _ => return None,
    }
    while segments.next_if_eq(&"super").is_some() {
        module.pop();
    }
    module.extend(segments);
    (1..=module.len()).rev().map(|length| module[..length].join("/")).find(|name| files.contains_key(name))
}

fn imports(files: &Files) -> BTreeMap<&str, BTreeSet<String>> {
    files
        .iter()
        .map(|(file, text)| {
            let found = paths(&code(text));
            let found = found.iter().filter_map(|path| resolve(file, path, files)).filter(|to| to != file);
            (file.as_str(), found.collect())
        })
        .collect()
}

fn layer(file: &str) -> Option<usize> {
    let first = file.split('/').next();
    LAYERS.iter().position(|row| row.iter().any(|name| Some(*name) == first))
}

/// A sentence for each file without a layer and each import that goes up, and for one circle if there is any.
fn faults(files: &Files) -> Vec<String> {
    let left = imports(files);
    let mut faults: Vec<String> =
        files.keys().filter(|file| layer(file).is_none()).map(|file| format!("{file} is in no layer")).collect();
    for (from, to) in left.iter().flat_map(|(from, all)| all.iter().map(move |to| (*from, to.as_str()))) {
        let is_neighbour = from.split('/').next() == to.split('/').next();
        if layer(to) >= layer(from) && !is_neighbour {
            faults.push(format!("{from} imports {to}, which is not below it"));
        }
    }
    let circle = left.keys().find_map(|file| left[file].iter().find_map(|to| way(to, file, &left)));
    faults.extend(circle.map(|files| format!("a circle: {} -> {}", files.join(" -> "), files[0])));
    faults
}

/// The files over which the imports lead from one to another, both included.
fn way<'f>(from: &str, to: &str, imports: &'f BTreeMap<&str, BTreeSet<String>>) -> Option<Vec<&'f str>> {
    let mut ways = vec![vec![*imports.get_key_value(from)?.0]];
    let mut seen = BTreeSet::from([from]);
    while let Some(way) = ways.pop() {
        let last = way[way.len() - 1];
        if last == to {
            return Some(way);
        }
        for next in imports[last].iter().filter(|next| seen.insert(next)) {
            ways.push(way.iter().copied().chain([next.as_str()]).collect());
        }
    }
    None
}

#[test]
fn imports_go_down_and_never_in_a_circle() {
    let mut files = Files::new();
    for folder in ["core/src", "src"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), "", &mut files);
    }
    assert!(files.len() > 90, "the tree is read: {}", files.len());
    assert_eq!(faults(&files), Vec::<String>::new());
}

#[test]
fn what_goes_up_or_round_is_found() {
    for (planted, expected) in [
        (
            &[("model/a", "use crate::policy::{b, c::D};"), ("policy", "")][..],
            "model/a imports policy, which is not below it",
        ),
        (
            &[("event/a", "fn f() { crate::cluster::b::g() }"), ("cluster/b", "")],
            "event/a imports cluster/b, which is not below it",
        ),
        (
            &[("guard/a", "use super::b::B;"), ("guard/b", "use crate::guard::a;")],
            "a circle: guard/b -> guard/a -> guard/b",
        ),
        (&[("cli", "mod a;\nfn f() { a::run() }"), ("cli/a", "use super::Exit;")], "a circle: cli/a -> cli -> cli/a"),
        (
            &[("bin/a", "use eks_sg_guard::{model::{x, Y}, cli};"), ("cli", "use crate::bin::a;")],
            "cli imports bin/a, which is not below it",
        ),
        (&[("helpers", "")], "helpers is in no layer"),
    ] {
        let files = planted.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        assert!(faults(&files).contains(&expected.to_owned()), "{planted:?}: {:?}", faults(&files));
    }
    let tests = "mod b;\npub use b::B;\n// crate::guard\n#[cfg(test)]\nmod tests {\n    use crate::guard::G;\n}\n";
    let fine = [("model/a", tests), ("model/a/b", "use super::C;"), ("guard", "use crate::model::a::{b::B};")];
    let files = fine.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    assert_eq!(faults(&files), Vec::<String>::new());
}
