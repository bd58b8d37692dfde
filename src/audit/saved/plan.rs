//! What `terraform show -json` prints of a plan, or of a state: the resources that an audit knows, as they will be.
//!
//! Only the types that we know are read, and nothing of them but what is asked for: a plan has secrets in clear.
//! <https://developer.hashicorp.com/terraform/internals/json-format>. Must not: join resources with anything (`planned`).

mod refer;
mod resource;
pub(super) mod rules;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use self::refer::Module;
pub(super) use self::resource::{Resource, holds_true};
use crate::audit::report::Origin;
use crate::model::text::quoted;

/// The types that are read.
const TYPES: [&str; 11] = [
    "aws_security_group",
    "aws_default_security_group",
    "aws_security_group_rule",
    "aws_vpc_security_group_ingress_rule",
    "aws_vpc_security_group_egress_rule",
    "aws_eks_cluster",
    "aws_eks_node_group",
    "aws_launch_template",
    "aws_vpc",
    "aws_default_vpc",
    "aws_ec2_managed_prefix_list",
];
/// Most resources of these types in one plan.
const MAX_RESOURCES: usize = 200_000;
/// The major versions of the format, which stay compatible within themselves.
const VERSIONS: [&str; 2] = ["0.", "1."];

/// A plan, or a state.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) resources: Vec<Resource>,
    configuration: Module,
    /// Of the provider, where the configuration says it plainly.
    pub(super) region: Option<String>,
    /// Terraform says that there is more to it.
    pub(super) is_partial: bool,
    pub(super) origin: Origin,
}

impl Plan {
    /// The resources of a type that an argument of a resource refers to; `path`: its name, after those of the blocks around.
    pub(super) fn referred(&self, from: &Resource, path: &[&str], kinds: &[&str]) -> Vec<&Resource> {
        self.configuration.referred(&self.resources, from, path, kinds)
    }
}

#[derive(Deserialize)]
struct Document<'t> {
    format_version: String,
    #[serde(borrow)]
    resource_changes: Option<Vec<ResourceChange<'t>>>,
    planned_values: Option<Values>,
    values: Option<Values>,
    #[serde(default)]
    configuration: Configuration,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    errored: bool,
    complete: Option<bool>,
}

#[derive(Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    root_module: Module,
    #[serde(default)]
    provider_config: BTreeMap<String, Provider>,
}

#[derive(Deserialize)]
struct Provider {
    #[serde(default)]
    name: String,
    #[serde(default)]
    expressions: Value,
}

#[derive(Deserialize)]
struct Variable {
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
struct ResourceChange<'t> {
    address: String,
    #[serde(default)]
    module_address: String,
    #[serde(default)]
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(borrow)]
    change: &'t RawValue,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
    #[serde(default)]
    after_unknown: Value,
}

#[derive(Default, Deserialize)]
struct Values {
    #[serde(default)]
    root_module: ModuleValues,
}

#[derive(Default, Deserialize)]
struct ModuleValues {
    #[serde(default)]
    address: String,
    #[serde(default)]
    resources: Vec<ResourceValues>,
    #[serde(default)]
    child_modules: Vec<ModuleValues>,
}

#[derive(Deserialize)]
struct ResourceValues {
    address: String,
    #[serde(default)]
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    values: Value,
}

fn is_ours(mode: &str, kind: &str) -> bool {
    mode != "data" && TYPES.contains(&kind)
}

/// Reads one.
pub(super) fn read(json: &str, origin: Origin) -> Result<Plan, String> {
    // What serde says of a wrong value shows it, so only where it stands is said.
    let unreadable = |error: &serde_json::Error| format!("the plan is not understood at column {}", error.column());
    let document: Document<'_> = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
    let version = &document.format_version;
    if !VERSIONS.iter().any(|known| version.starts_with(known)) {
        return Err(format!(
            "the plan has `format_version` {}; expected 1 (of `terraform show -json`)",
            quoted(version)
        ));
    }
    let mut resources = Vec::new();
    if let Some(changes) = document.resource_changes {
        for change in changes.into_iter().filter(|change| is_ours(&change.mode, &change.kind)) {
            let ResourceChange { address, module_address: module, kind, name, change, .. } = change;
            let Change { before, after, after_unknown: unknown } =
                serde_json::from_str(change.get()).map_err(|error| unreadable(&error))?;
            resources.push(Resource { address, module, kind, name, before, after, unknown });
        }
    } else if let Some(values) = document.planned_values.or(document.values) {
        gather(values.root_module, &mut resources);
    }
    if resources.len() > MAX_RESOURCES {
        return Err(format!("more than {MAX_RESOURCES} resources of a plan are too many"));
    }
    let mut providers = document.configuration.provider_config.values().filter(|provider| provider.name == "aws");
    let region = providers.find_map(|provider| region(provider, &document.variables));
    let is_partial = document.errored || document.complete == Some(false);
    Ok(Plan { resources, configuration: document.configuration.root_module, region, is_partial, origin })
}

fn gather(module: ModuleValues, resources: &mut Vec<Resource>) {
    let ModuleValues { address: place, resources: found, child_modules } = module;
    for ResourceValues { address, kind, name, values: after, .. } in
        found.into_iter().filter(|found| is_ours(&found.mode, &found.kind))
    {
        let module = place.clone();
        resources.push(Resource { address, module, kind, name, after, ..Resource::default() });
    }
    for child in child_modules {
        gather(child, resources);
    }
}

/// As it is written, or by the variable of the root module that it names.
fn region(provider: &Provider, variables: &BTreeMap<String, Variable>) -> Option<String> {
    let region = provider.expressions.get("region")?;
    let named = || {
        let name = refer::references(region).find_map(|name| name.strip_prefix("var."))?;
        variables.get(name)?.value.as_str()
    };
    let region = region.get("constant_value").and_then(Value::as_str).or_else(named)?;
    crate::model::ids::is_region(region).then(|| region.to_owned())
}
