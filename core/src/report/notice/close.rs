//! The commands that close what is still open: one for each group and direction, with all rule ids. And those for a list, an
//! attachment, an endpoint.
//!
//! Must not: open anything, or take text from outside into a command but as one quoted word.

use std::collections::{BTreeMap, BTreeSet};

use super::exposure::short;
use super::redo::{TRY, trial, word};
use super::situation::{Situation, Topic, gained};
use super::{Code, beside, called, remark};
use crate::model::rule::Direction;
use crate::model::text::{count, plain};
use crate::report::finding::{Check, Subject};
use crate::report::outcome::Left;
use crate::report::record::Record;

/// Rules of one command; a group has at most a thousand.
const MAX_RULES: usize = 100;
/// Commands of one notice.
const MAX_COMMANDS: usize = 8;
/// Those that close what a person may want open.
const MAX_TO_CHECK: usize = 3;
/// How the title of a command ends that has no `--dry-run`, since it opens nothing.
const AT_ONCE: &str = ", at once:";
/// Beside several ids (EC2 answers `InvalidSecurityGroupRuleId.NotFound` and closes nothing).
const ALL_OR_NONE: &str = "none of them if one is gone already: leave that one out then";

/// What closes what should be closed and is open, and how many rules are beyond what is written out.
pub(super) fn commands(topics: &[Topic<'_>]) -> (Vec<Code>, usize) {
    let is_due = |topic: &Topic<'_>| topic.is_to_be_closed();
    revokes(topics, MAX_COMMANDS, is_due)
}

/// What closes what a person may want open.
pub(super) fn to_check(topics: &[Topic<'_>]) -> Vec<Code> {
    revokes(topics, MAX_TO_CHECK, |topic| topic.situation == Situation::ToCheck).0
}

/// One for each group and direction, of the rules that are meant.
fn revokes(topics: &[Topic<'_>], most: usize, is_meant: impl Fn(&Topic<'_>) -> bool) -> (Vec<Code>, usize) {
    let mut code = Vec::new();
    let mut rest = 0;
    for (record, topics) in by_group(topics) {
        for direction in [Direction::Ingress, Direction::Egress] {
            let is_here = |topic: &&Topic<'_>| {
                let rule = topic.finding.rule();
                is_meant(topic) && rule.is_some_and(|rule| rule.direction == direction && !rule.id.is_empty())
            };
            let here: Vec<&Topic<'_>> = topics.iter().filter(is_here).collect();
            for part in here.chunks(MAX_RULES) {
                if code.len() < most {
                    code.extend(revoke(record, direction, part));
                } else {
                    rest += part.len();
                }
            }
        }
    }
    (code, rest)
}

/// Each group with what is said of it, in the order of the first.
fn by_group<'a>(topics: &[Topic<'a>]) -> Vec<(&'a Record, Vec<Topic<'a>>)> {
    let mut groups: Vec<(&Record, Vec<Topic<'_>>)> = Vec::new();
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in topics {
        let Some((group, _)) = topic.rule() else { continue };
        let at = *at.entry(group).or_insert_with(|| {
            groups.push((topic.record, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, of_group)) = groups.get_mut(at) {
            of_group.push(*topic);
        }
    }
    groups
}

fn revoke(record: &Record, direction: Direction, topics: &[&Topic<'_>]) -> Option<Code> {
    let group = record.group.as_ref()?;
    let ids: BTreeSet<&str> = topics.iter().filter_map(|topic| Some(topic.rule()?.1.id.as_str())).collect();
    let ids: Vec<String> = ids.into_iter().map(word).collect();
    let what = match topics {
        [one] => short(record, one.finding),
        many => format!("{} of", count(many.len(), "rule")),
    };
    let name = called(group);
    let of = if topics.len() == 1 { format!("{what}, on {name}") } else { format!("{what} {name}") };
    let command = format!(
        "aws ec2 revoke-security-group-{} --region {} --group-id {} --security-group-rule-ids {}",
        direction.word(),
        word(&record.region),
        word(&group.id),
        ids.join(" ")
    );
    let command = if ids.len() > 1 { remark::before(ALL_OR_NONE, &command) } else { command };
    let rules = topics.iter().filter_map(|topic| topic.finding.rule());
    Some(Code { title: format!("This closes {of}{AT_ONCE}"), text: remark::with("closes", record, rules, &command) })
}

/// Takes what a list gained out of it again, after what shows whom that affects: the rules stay, and let in what they did
/// before.
pub(super) fn entries_out(topics: &[Topic<'_>]) -> Vec<Code> {
    let mut lists: BTreeMap<&str, (&Record, BTreeSet<String>)> = BTreeMap::new();
    for topic in topics {
        let Some(list) = gained(topic.finding) else { continue };
        let (_, entries) = lists.entry(&list.id).or_insert((topic.record, BTreeSet::new()));
        entries.extend(list.gained.iter().map(ToString::to_string));
    }
    let commands = |(id, (record, entries)): (&str, (&Record, BTreeSet<String>))| {
        let gained = entries.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let out = format!("takes {gained} out of prefix list {id}");
        let (region, id) = (word(&record.region), word(id));
        let entries: Vec<String> = entries.iter().map(|entry| format!("Cidr={entry}")).collect();
        let version = format!(
            "aws ec2 describe-managed-prefix-lists --region {region} --prefix-list-ids {id} \
             --query 'PrefixLists[0].Version' --output text"
        );
        let users = Code {
            title: format!("First this shows who uses the list, since all of them are affected ({id}):"),
            text: format!(
                "aws ec2 get-managed-prefix-list-associations --region {region} --prefix-list-id {id} --output table"
            ),
        };
        let out = Code {
            title: format!("This takes out of the list what came into it ({id}){AT_ONCE}"),
            text: remark::before(
                &out,
                &format!(
                    "aws ec2 modify-managed-prefix-list --region {region} --prefix-list-id {id} \
                     --current-version \"$({version})\" --remove-entries {}",
                    entries.join(" ")
                ),
            ),
        };
        [users, out]
    };
    lists.into_iter().flat_map(commands).collect()
}

/// Shows how the API of a cluster is reached, and narrows its public endpoint to what a person fills in.
pub(super) fn endpoint(topics: &[Topic<'_>]) -> Vec<Code> {
    let topic = topics.iter().find(|topic| topic.finding.subject == Subject::Check(Check::PublicEndpoint));
    let Some((record, cluster)) = topic.and_then(|topic| Some((topic.record, topic.record.clusters.first()?))) else {
        return Vec::new();
    };
    let (region, cluster) = (word(&record.region), word(cluster));
    let look = Code {
        title: "First this shows whether private access is on, and whom the public endpoint lets in:".to_owned(),
        text: format!(
            "aws eks describe-cluster --region {region} --name {cluster} --query \
             'cluster.resourcesVpcConfig.[endpointPrivateAccess,endpointPublicAccess,publicAccessCidrs]' --output json"
        ),
    };
    let narrow = Code {
        title:
            "Then this lets in your networks and nobody else (write all of them in first, since it replaces the list; if \
             private access is off, also those that nodes come from):"
                .to_owned(),
        text: format!(
            "aws eks update-cluster-config --region {region} --name {cluster} \
             --resources-vpc-config publicAccessCidrs=FILL-IN-YOUR-NETWORK"
        ),
    };
    vec![look, narrow]
}

/// Shows the rules of groups of which no event came.
pub(super) fn unheard(topics: &[Topic<'_>]) -> Vec<Code> {
    let is_it = |topic: &&Topic<'_>| topic.finding.subject == Subject::Check(Check::LostEvents);
    let of = |topic: &Topic<'_>| Some(look(topic.record, &topic.record.group.as_ref()?.id));
    topics.iter().filter(is_it).filter_map(of).take(MAX_TO_CHECK).collect()
}

/// Shows the rules of a group that the guard could not look at.
pub(super) fn look(record: &Record, group: &str) -> Code {
    Code { title: format!("This shows the rules of {}:", plain(group)), text: rules_of(record, &[group]) }
}

fn rules_of(record: &Record, groups: &[&str]) -> String {
    let groups: Vec<String> = groups.iter().map(|id| word(id)).collect();
    format!(
        "aws ec2 describe-security-group-rules --region {} --filters Name=group-id,Values={} --output table",
        word(&record.region),
        groups.join(",")
    )
}

/// What closes a rule that the cluster depends on, once that is open by other rules. A paste alone closes nothing.
pub(super) fn later(topics: &[Topic<'_>]) -> Vec<Code> {
    let is_needed = |topic: &Topic<'_>| topic.finding.for_people.left == Some(Left::Needed);
    let after = |Code { title, text }: Code| Code {
        title: format!(
            "{} {}",
            title.replacen("This", "Only then this", 1).trim_end_matches(AT_ONCE),
            trial("the cluster depends on it")
        ),
        text: format!("{text} {TRY}"),
    };
    revokes(topics, MAX_TO_CHECK, is_needed).0.into_iter().map(after).collect()
}

/// Takes a group off the interface that a call put it on; where it is not known that this breaks nothing, what shows what
/// is left stands first, and a paste alone takes nothing off. Where no interface is known, shows which there are.
pub(super) fn off_the_interfaces(topics: &[Topic<'_>]) -> Vec<Code> {
    let shared = topics.iter().find(|topic| topic.finding.for_people.left == Some(Left::Shared));
    let Some((record, group)) = shared.and_then(|topic| Some((topic.record, topic.record.group.as_ref()?))) else {
        return Vec::new();
    };
    let region = word(&record.region);
    let Some(beside::Off { interface, others, kept, stays_in_cluster }) = beside::off(record) else {
        return vec![Code {
            title: "This lists the interfaces that the group is attached to, with the groups of each:".to_owned(),
            text: format!(
                "aws ec2 describe-network-interfaces --region {region} --filters Name=group-id,Values={} --query \
                 'NetworkInterfaces[].[NetworkInterfaceId,Attachment.InstanceId,Groups[].GroupId]' --output json",
                word(&group.id)
            ),
        }];
    };
    let name = called(group);
    let command = format!(
        "aws ec2 modify-network-interface-attribute --region {region} --network-interface-id {} --groups {}",
        word(interface),
        others.iter().map(|id| word(id)).collect::<Vec<_>>().join(" ")
    );
    let takes = |command: &str| {
        remark::before(&format!("takes {} off {interface}, leaves {}", group.id, others.join(", ")), command)
    };
    if stays_in_cluster {
        return vec![Code {
            title: format!("This takes {name} off {interface} again, at once. {kept}:"),
            text: takes(&command),
        }];
    }
    let look = Code {
        title: format!("First this shows the rules of what stays on {interface} without {name}:"),
        text: rules_of(record, &others),
    };
    let take_off = Code {
        title: format!(
            "Only if those are enough, this takes {name} off {interface} again. {kept} {}",
            trial("that may cut a node off")
        ),
        text: takes(&format!("{command} {TRY}")),
    };
    vec![look, take_off]
}
