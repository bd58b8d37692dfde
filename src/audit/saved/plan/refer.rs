//! Which resource an argument of a configuration refers to, where its value is known only after apply.
//!
//! Follows variables of modules and their outputs; what goes through a local value or a data source is not known. Must not:
//! guess: of several instances none is taken unless its index is that of whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::resource::Resource;

/// Longest way from one module to another.
const MAX_STEPS: usize = 24;

/// What a reference means: the modules around it, `type.name`, and the index, if it says one.
type Meant = (Vec<String>, String, Option<String>);

/// A module as it is written.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Module {
    #[serde(default)]
    resources: Vec<Written>,
    #[serde(default, rename = "module_calls")]
    calls: BTreeMap<String, Call>,
    #[serde(default)]
    outputs: BTreeMap<String, Output>,
}

#[derive(Debug, Deserialize)]
struct Written {
    #[serde(default)]
    address: String,
    #[serde(default)]
    expressions: Value,
}

#[derive(Debug, Deserialize)]
struct Call {
    #[serde(default)]
    expressions: Value,
    #[serde(default)]
    module: Module,
}

#[derive(Debug, Deserialize)]
struct Output {
    #[serde(default)]
    expression: Value,
}

/// What an expression refers to.
pub(crate) fn references(expression: &Value) -> impl Iterator<Item = &str> {
    expression.get("references").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// `module.a["x.y"].module.b[0]` -> `a`, `b`
fn names(module: &str) -> Vec<String> {
    parts(module)
        .iter()
        .filter(|part| !part.is_empty() && *part != "module")
        .map(|part| bare(part).to_owned())
        .collect()
}

/// What stands between dots, where those within brackets separate nothing.
fn parts(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == '.' && depth == 0 {
            found.push(String::new());
        } else if let Some(last) = found.last_mut() {
            last.push(c);
        }
    }
    found
}

/// Without an index.
fn bare(part: &str) -> &str {
    part.split_once('[').map_or(part, |(name, _)| name)
}

/// The index of an instance, in its brackets.
fn index(address: &str) -> Option<&str> {
    address.ends_with(']').then(|| address.rfind('[').map(|at| address.split_at(at).1)).flatten()
}

impl Module {
    /// The resources of a type that an argument of a resource refers to; `path`: its name, after those of the blocks around.
    pub(crate) fn referred<'r>(
        &self,
        resources: &'r [Resource],
        from: &Resource,
        path: &[&str],
        kinds: &[&str],
    ) -> Vec<&'r Resource> {
        let modules = names(&from.module);
        let written = format!("{}.{}", from.kind, from.name);
        let expression = self.module(&modules).and_then(|module| {
            let found = module.resources.iter().find(|resource| resource.address == written)?;
            let mut at = &found.expressions;
            for (depth, key) in path.iter().enumerate() {
                at = if depth == 0 { at.get(key)? } else { at.get(0).unwrap_or(at).get(key)? };
            }
            Some(at)
        });
        let mut found = BTreeSet::new();
        for reference in expression.into_iter().flat_map(references) {
            self.follow(&modules, reference, kinds, MAX_STEPS, &mut found);
        }
        chosen(resources, from, &found)
    }

    fn module(&self, names: &[String]) -> Option<&Module> {
        names.iter().try_fold(self, |module, name| module.calls.get(name).map(|call| &call.module))
    }

    fn follow(&self, modules: &[String], reference: &str, kinds: &[&str], steps: usize, found: &mut BTreeSet<Meant>) {
        let Some(steps) = steps.checked_sub(1) else { return };
        let parts = parts(reference);
        match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["var", name, ..] => {
                let Some((own, outer)) = modules.split_last() else { return };
                let call = self.module(outer).and_then(|module| module.calls.get(own));
                let given = call.and_then(|call| call.expressions.get(bare(name)));
                for reference in given.into_iter().flat_map(references) {
                    self.follow(outer, reference, kinds, steps, found);
                }
            }
            ["module", name, output, ..] => {
                let call = self.module(modules).and_then(|module| module.calls.get(bare(name)));
                let said = call.and_then(|call| call.module.outputs.get(bare(output)));
                let inner: Vec<String> = modules.iter().cloned().chain([bare(name).to_owned()]).collect();
                for reference in said.into_iter().flat_map(|output| references(&output.expression)) {
                    self.follow(&inner, reference, kinds, steps, found);
                }
            }
            [kind, name, ..] if kinds.contains(kind) => {
                // `a.b[0].id` stands beside `a.b`: the one that says more counts.
                let index = index(name).map(str::to_owned);
                let written = format!("{kind}.{}", bare(name));
                let is_said = found.iter().any(|(of, known, at)| of == modules && *known == written && at.is_some());
                if !is_said {
                    found.remove(&(modules.to_vec(), written.clone(), None));
                    found.insert((modules.to_vec(), written, index));
                }
            }
            _ => {}
        }
    }
}

/// Of the instances of what is meant, those that surely are.
fn chosen<'r>(resources: &'r [Resource], from: &Resource, meant: &BTreeSet<Meant>) -> Vec<&'r Resource> {
    let mut found: Vec<&'r Resource> = Vec::new();
    for (modules, written, wanted) in meant {
        let is_it = |one: &&Resource| {
            format!("{}.{}", one.kind, one.name) == *written && !one.is_gone() && names(&one.module) == *modules
        };
        let mut all: Vec<&'r Resource> = resources.iter().filter(is_it).collect();
        let same_module = |one: &&Resource| one.module == from.module;
        if all.iter().any(same_module) {
            all.retain(same_module);
        }
        let with = |index_of: Option<&str>| {
            let index_of = index_of.filter(|_| all.len() > 1)?;
            all.iter().find(|one| index(&one.address) == Some(index_of)).copied()
        };
        match (with(wanted.as_deref()).or_else(|| with(index(&from.address))), all.as_slice()) {
            (Some(one), _) => found.push(one),
            (None, [one]) => found.push(*one),
            (None, _) => {}
        }
    }
    found.sort_by_key(|one| &one.address);
    found.dedup_by_key(|one| &one.address);
    found
}
