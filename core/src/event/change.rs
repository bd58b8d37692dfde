//! What a CloudTrail record may have changed.
//!
//! Less knowledge never narrows the view. A record is ignored only when it says that nothing happened or that something
//! else did. Where something is left out or cannot be read, the next wider subject takes its place: the response in place of
//! the request, the attachment in place of its groups, and everything in place of what has no name.

use ipnet::IpNet;
use serde_json::Value;

use super::calls::{Call, Changes, Endpoint};
use super::fields::{at, flag, get, id, is_present, list, text};
use super::{GroupRef, ListChange, Named, NamedRule, Target, Touched, rules};
use crate::model::ids::EventRule;
use crate::model::rule::Direction;
use crate::model::text::quoted;

/// Endings of the one field that newer calls wrap their request or response in. The name may be abbreviated.
const WRAPPERS: &[&str] = &["Request", "Req", "Response", "Resp"];

/// Fields that name what a group is attached to, with the beginning of its id. Where both are there, it is the
/// interface, not the instance.
const ATTACHMENTS: &[(&str, &str)] = &[("networkInterfaceId", "eni-"), ("instanceId", "i-")];

/// Fields of a tagging request that hold the ids of the resources.
const TAGGED: &[&str] = &["resourcesSet", "resourceId"];

/// Entries that a prefix list can have.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html>
const MAX_ENTRIES: usize = 1000;

/// Where EKS writes the name of a cluster. In a request it stands under the label of the path, which is `name` even where
/// the API says `clusterName`.
const CLUSTER_IN_REQUEST: &[&[&str]] = &[&["clusterName"], &["name"]];
const CLUSTER_IN_RESPONSE: &[&[&str]] = &[&["cluster", "name"], &["cluster", "arn"], &["nodegroup", "clusterName"]];

/// Fields of a change to a cluster's configuration that do not say what it changes.
const NO_CHANGE: &[&str] = &["name", "clusterName", "clientRequestToken"];
/// The field whose own fields say it: groups, or who may call the endpoint.
const OF_VPC: &str = "resourcesVpcConfig";
/// What the names of those about the endpoint have in them: `endpointPublicAccess`, `publicAccessCidrs`.
const OF_ENDPOINT: [&str; 2] = ["endpoint", "public"];

/// What a call may have changed.
///
/// # Errors
/// Why there is nothing to look at, for people.
pub(super) fn subject(record: &Value, Call { name, changes, .. }: &Call) -> Result<Target, String> {
    let request = content(get(record, "requestParameters"));
    let response = content(get(record, "responseElements"));
    let existed = match text(get(record, "errorCode")) {
        None => false,
        Some(code) => existed(name, &code)?,
    };
    let named = match *changes {
        // The rule was there before this call: look, but blame nobody for it now.
        Changes::Adds(_) | Changes::Rewrites | Changes::Removes if existed => Named::Nothing,
        Changes::Adds(direction) => rules::added(request, response, direction),
        Changes::Rewrites => rules::rewritten(request),
        Changes::Removes => Named::Nothing,
        Changes::Group => return Ok(groups(group(request, response))),
        Changes::Tags => return tagged(name, request),
        Changes::Attribute if changes_something_else(request) => {
            return Err(format!("{} changed no groups", quoted(name)));
        }
        Changes::Attribute | Changes::Attachment => return Ok(attached(request, response)),
        Changes::PrefixList => {
            let change =
                |list| Target::PrefixList(ListChange { list, gained: gained(request), restored: restored(request) });
            return Ok(prefix_list(request, response).map_or(Target::Unknown, change));
        }
        Changes::Trail => return Ok(Target::Trails),
        Changes::EventRule => return Ok(Target::EventRule(event_rule(request))),
        Changes::Cluster => {
            let is_whole = |name| Target::Cluster { name, node_group: None };
            return Ok(cluster(request, response).map_or(Target::Unknown, is_whole));
        }
        Changes::NodeGroup => {
            let node_group = node_group(request, response);
            let of_cluster = |name| Target::Cluster { name, node_group };
            return Ok(cluster(request, response).map_or(Target::Unknown, of_cluster));
        }
    };
    // Of what CloudTrail cut nothing is believed but the group, which may stand beside the mark.
    let cut = || rules::group(unwrapped(get(record, "requestParameters")), unwrapped(get(record, "responseElements")));
    Ok(groups(rules::group(request, response).or_else(cut).map(|group| Touched { group, named })))
}

/// Whether a call may have changed who may call the public endpoint of a cluster's API. A request names what it changes, a
/// response what EKS made of it; where neither says anything it may have been the endpoint.
pub(super) fn touches_endpoint(record: &Value, call: &Call) -> bool {
    match call.endpoint {
        Endpoint::LeftAlone => return false,
        Endpoint::Made => return true,
        Endpoint::AsStated => {}
    }
    let request = content(get(record, "requestParameters"));
    let update = get(content(get(record, "responseElements")), "update");
    let mut changed: Vec<String> = Vec::new();
    for (name, value) in request.as_object().into_iter().flatten().filter(|(_, value)| is_present(value)) {
        let is = |known: &&str| name.eq_ignore_ascii_case(known);
        match value.as_object().filter(|_| is(&OF_VPC)) {
            Some(fields) => {
                changed.extend(fields.iter().filter(|(_, value)| is_present(value)).map(|(name, _)| name.clone()));
            }
            // Not as EKS writes it, so it may say anything.
            None if is(&OF_VPC) => return true,
            None if NO_CHANGE.iter().any(is) => {}
            None => changed.push(name.clone()),
        }
    }
    let kinds = list(get(update, "params")).into_iter().chain([update]).map(|stated| text(get(stated, "type")));
    changed.extend(kinds.flatten());
    let is_endpoint = |name: &String| {
        let name = name.to_ascii_lowercase();
        OF_ENDPOINT.iter().any(|part| name.contains(part))
    };
    changed.is_empty() || changed.iter().any(is_endpoint)
}

/// The rules that a call removed, as far as it describes them.
pub(super) fn removed(record: &Value, call: &Call) -> Vec<NamedRule> {
    if call.changes != Changes::Removes {
        return Vec::new();
    }
    let direction = if call.name.ends_with("Egress") { Direction::Egress } else { Direction::Ingress };
    rules::removed(content(get(record, "requestParameters")), content(get(record, "responseElements")), direction)
}

/// Whether a call failed because what it should make was there already. Every other failure changed nothing.
fn existed(name: &str, code: &str) -> Result<bool, String> {
    match code.strip_prefix("Client.").unwrap_or(code) {
        "InvalidPermission.Duplicate" => Ok(true),
        "DryRunOperation" => Err(format!("{} was a dry run, nothing changed", quoted(name))),
        code => Err(format!("{} failed with {}, nothing changed", quoted(name), quoted(code))),
    }
}

/// The content of a request or response, out of its wrapper; `null` when CloudTrail left it out because it was too large.
pub(super) fn content(parameters: &Value) -> &Value {
    let content = unwrapped(parameters);
    if flag(get(content, "omitted")) == Some(true) { &Value::Null } else { content }
}

fn unwrapped(parameters: &Value) -> &Value {
    let wrapped = parameters.as_object().and_then(|fields| {
        let wrapper = |(name, value): &(&String, &Value)| {
            value.is_object() && WRAPPERS.iter().any(|ending| name.ends_with(ending))
        };
        fields.iter().find(wrapper).map(|(_, value)| value)
    });
    wrapped.unwrap_or(parameters)
}

fn groups(touched: impl IntoIterator<Item = Touched>) -> Target {
    let touched: Vec<_> = touched.into_iter().collect();
    if touched.is_empty() { Target::Unknown } else { Target::Groups(touched) }
}

fn whole(id: String) -> Touched {
    Touched { group: GroupRef::Id(id), named: Named::Nothing }
}

/// A group that the call does not change the rules of. Its name alone would not do: it counts in one VPC.
fn group(request: &Value, response: &Value) -> Option<Touched> {
    [request, response].into_iter().find_map(|stated| id(get(stated, "groupId"), "sg-")).map(whole)
}

fn tagged(name: &str, request: &Value) -> Result<Target, String> {
    let resources: Vec<&Value> = TAGGED.iter().flat_map(|field| list(get(request, field))).collect();
    let mut touched = Vec::new();
    for resource in &resources {
        let stated = if is_present(get(resource, "resourceId")) { get(resource, "resourceId") } else { resource };
        match id(stated, "sg-") {
            Some(group) => touched.push(whole(group)),
            None if is_another_resource(stated) => {}
            None => return Ok(Target::Unknown),
        }
    }
    if touched.is_empty() && !resources.is_empty() {
        return Err(format!("{} was about no security group", quoted(name)));
    }
    Ok(groups(touched))
}

/// Whether this is surely the id of a resource that is no group, such as `vol-…` or `tgw-attach-…`.
fn is_another_resource(value: &Value) -> bool {
    let Value::String(id) = value else { return false };
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    id.len() <= 128
        && id.split_once('-').is_some_and(|(kind, rest)| word(kind) && !kind.eq_ignore_ascii_case("sg") && word(rest))
}

/// Fields that hold groups, by their names: `groupSet`, `groups`, `SecurityGroupId`, …
fn group_fields(object: &Value) -> impl Iterator<Item = &Value> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter(|(name, value)| says_group(name) && is_present(value)).map(|(_, value)| value)
}

fn says_group(text: &str) -> bool {
    text.to_ascii_lowercase().contains("group")
}

/// Whether a request surely changes another attribute than the groups: it says whose, and which one. A call changes one
/// attribute, so a request that holds nothing but the id of the attachment has lost what it was about.
fn changes_something_else(request: &Value) -> bool {
    let is_attachment = |name: &str| ATTACHMENTS.iter().any(|(attachment, _)| name.eq_ignore_ascii_case(attachment));
    let is_another = |name: &str| {
        let word = (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        word && !is_attachment(name) && !says_group(name)
    };
    let changes_another = match get(request, "attribute") {
        Value::Null => {
            request.as_object().is_some_and(|all| all.iter().any(|(name, value)| is_another(name) && is_present(value)))
        }
        name => name.as_str().is_some_and(is_another),
    };
    attachment(&[request]).is_some() && group_fields(request).next().is_none() && changes_another
}

fn attachment(sources: &[&Value]) -> Option<String> {
    ATTACHMENTS.iter().find_map(|(field, prefix)| sources.iter().find_map(|stated| id(get(stated, field), prefix)))
}

/// An attachment and all groups attached to it, which for a new interface stand in the response.
fn attached(request: &Value, response: &Value) -> Target {
    let interface = get(response, "networkInterface");
    let attachment = attachment(&[request, interface]);
    let stated = [request, interface].into_iter().flat_map(group_fields).flat_map(list);
    let group_id = |group: &Value| id(get(group, "groupId"), "sg-").or_else(|| id(group, "sg-"));
    let mut groups: Vec<String> = stated.map(group_id).collect::<Option<_>>().unwrap_or_default();
    groups.sort();
    groups.dedup();
    if attachment.is_none() && groups.is_empty() { Target::Unknown } else { Target::Attached { attachment, groups } }
}

fn prefix_list(request: &Value, response: &Value) -> Option<String> {
    let sources = [request, response, get(response, "prefixList")];
    sources.into_iter().find_map(|stated| id(get(stated, "prefixListId"), "pl-"))
}

/// The entries that the list was to gain. One that cannot be read is left out: it opens nothing that nobody sees.
fn gained(request: &Value) -> Vec<IpNet> {
    let blocks = list(get(request, "addEntry")).into_iter().filter_map(|entry| text(get(entry, "cidr"))?.parse().ok());
    blocks.map(|block: IpNet| block.trunc()).take(MAX_ENTRIES).collect()
}

/// The version that a list was made again. Only a restoration names a previous one.
fn restored(request: &Value) -> Option<i64> {
    get(request, "previousVersion").as_i64().filter(|version| *version > 0)
}

/// The name of a rule of EventBridge. Of its targets a call speaks under another label.
fn event_rule(request: &Value) -> Option<String> {
    ["name", "rule"].iter().find_map(|field| EventRule::of(get(request, field).as_str()?)).map(|rule| rule.name)
}

fn cluster(request: &Value, response: &Value) -> Option<String> {
    let name_in = |object, paths: &[&[&str]]| paths.iter().find_map(|path| cluster_name(at(object, path)));
    name_in(request, CLUSTER_IN_REQUEST).or_else(|| name_in(response, CLUSTER_IN_RESPONSE))
}

/// None where it cannot be told: then all node groups of the cluster are looked at.
fn node_group(request: &Value, response: &Value) -> Option<String> {
    cluster_name(get(request, "nodegroupName"))
        .or_else(|| cluster_name(at(response, &["nodegroup", "nodegroupName"])))
        .filter(|name| !name.is_empty())
}

/// A name as EKS allows it (which never re-types a text), alone or at the end of the cluster's ARN, whose slash a path
/// may encode.
fn cluster_name(value: &Value) -> Option<String> {
    const BEFORE: [&str; 3] = ["cluster/", "cluster%2F", "cluster%2f"];
    let text = value.as_str()?;
    let name = BEFORE.iter().find_map(|before| text.rsplit_once(before)).map_or(text, |(_, name)| name);
    let valid = (1..=100).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    valid.then(|| name.to_owned())
}
