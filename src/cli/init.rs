//! `policy init`: a first policy, from answers as flags and from a snapshot of what is there. What would open something is
//! proposed in comments, with a reason to be filled in: nothing is allowed by accident.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use crate::cli::output::{CommandOutput, Exit};
use crate::cli::snapshot::Snapshot;
use crate::cli::{input, snapshot};
use crate::model::group::{Group, Role};
use crate::model::ids::Location;
use crate::model::rule::{Direction, Packets, Peer};
use crate::model::text::plain;
use crate::policy::controller::{Author, is_controllers};
use crate::policy::judge::{JudgedRule, judge};
use crate::policy::model::{PeerClass, Policy, Severity, Verdict};
use crate::policy::{builtin, file};

/// Arguments of `policy init`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  eks-sg-guard policy init > policy.yaml
  eks-sg-guard policy init --network office=203.0.113.0/24 --client office \\
      --controller arn:aws:iam::111122223333:role/aws-load-balancer-controller \\
      --cluster 'prod-*=enforce' --cluster 'dev-*=report' > policy.yaml
  eks-sg-guard policy init --from saved > policy.yaml

A snapshot is a folder of answers as `audit --commands` saves them, or what `policy diff --help`
describes. Its clusters are listed, and for each rule that the policy objects to and that could be
meant, a clause is proposed as a comment.")]
pub(super) struct Arguments {
    /// The built-in policy to add to.
    #[arg(long, value_name = "NAME", default_value = builtin::DEFAULT)]
    #[arg(value_parser = PossibleValuesParser::new(builtin::NAMES))]
    extends: String,
    /// A network and its blocks, as `office=203.0.113.0/24,2001:db8:1::/48`.
    #[arg(long = "network", value_name = "NAME=BLOCKS")]
    networks: Vec<String>,
    /// Who may use node ports beside private addresses: a network or a block.
    #[arg(long = "client", value_name = "NETWORK|BLOCK")]
    clients: Vec<String>,
    /// The ARN of a controller's role.
    #[arg(long = "controller", value_name = "ARN")]
    controllers: Vec<String>,
    /// A cluster, or a pattern over names; with the most the guard does there, as `prod-*=enforce`.
    #[arg(long = "cluster", value_name = "NAME[=MODE]")]
    clusters: Vec<String>,
    /// A snapshot of groups, or the folder of saved answers that `audit --from` reads.
    #[arg(long = "from", value_name = "FILE|DIR")]
    snapshot: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<CommandOutput> {
    let now = Timestamp::now();
    let snapshot = arguments.snapshot.as_deref().map(snapshot::read).transpose()?;
    let policy = builtin::policy(&arguments.extends)?;
    let text = text(arguments, snapshot.as_ref(), policy, now)?;
    // What the flags say is read as any policy is.
    if let Err(rejected) = file::load("policy.yaml", &text, input::day(now)) {
        bail!("these answers make no policy that could be used:\n\n{}", rejected.render(false));
    }
    Ok(CommandOutput::new(text, Exit::Clean))
}

fn text(arguments: &Arguments, snapshot: Option<&Snapshot>, policy: &Policy, now: Timestamp) -> anyhow::Result<String> {
    let mut out = format!(
        "# A policy for eks-sg-guard. Check it with `eks-sg-guard policy check FILE`; docs/policy.md explains the\n\
         # language, and policy.example.yaml has every key.\nversion: 1\nextends: {}\n",
        arguments.extends
    );
    networks(arguments, &mut out)?;
    controllers(arguments, snapshot, &mut out);
    clusters(arguments, snapshot, &mut out)?;
    proposals(snapshot, policy, now, &mut out);
    Ok(out)
}

fn networks(arguments: &Arguments, out: &mut String) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for network in &arguments.networks {
        let Some((name, blocks)) = network.split_once('=') else {
            bail!("`--network {}` has no blocks; write it as `office=203.0.113.0/24`", plain(network));
        };
        lines.push(format!("  {}: {}", name.trim(), listed(blocks.split(','))));
    }
    if !arguments.clients.is_empty() {
        let clients = std::iter::once("private").chain(arguments.clients.iter().map(String::as_str));
        lines.push(format!("  # Who may use NodePorts.\n  clients: {}", listed(clients)));
    }
    if lines.is_empty() {
        out.push_str(
            "\n# Names to use in `from` and `to`. `clients` is who may use NodePorts.\n# networks:\n#   office: \
             [203.0.113.0/24]\n#   clients: [private, office]\n",
        );
    } else {
        let _ = writeln!(out, "\n# Names to use in `from` and `to`.\nnetworks:\n{}", lines.join("\n"));
    }
    Ok(())
}

fn controllers(arguments: &Arguments, snapshot: Option<&Snapshot>, out: &mut String) {
    out.push_str("\n# Roles of controllers that write rules of their own, such as AWS Load Balancer Controller.\n");
    if !arguments.controllers.is_empty() {
        let entries: Vec<String> = arguments.controllers.iter().map(|arn| format!("  - {}", quoted(arn))).collect();
        let _ = writeln!(out, "controllers:\n{}", entries.join("\n"));
        return;
    }
    let marked = snapshot
        .into_iter()
        .flat_map(|snapshot| &snapshot.groups)
        .filter(|group| group.rules.iter().any(|rule| is_controllers(rule, Author::Controller, group)));
    let ids: Vec<&str> = marked.map(|group| group.id.as_str()).collect();
    if !ids.is_empty() {
        let _ = writeln!(
            out,
            "# Rules of {} carry the mark of one: name its role, so that they are judged as its own.",
            ids.join(", ")
        );
    }
    out.push_str("# controllers:\n#   - arn:aws:iam::111122223333:role/aws-load-balancer-controller\n");
}

fn clusters(arguments: &Arguments, snapshot: Option<&Snapshot>, out: &mut String) -> anyhow::Result<()> {
    out.push_str(
        "\n# Settings of clusters; the first entry whose name matches counts. `mode: report` never changes anything.\n",
    );
    let mut entries = Vec::new();
    for cluster in &arguments.clusters {
        let (name, mode) = cluster.split_once('=').map_or((cluster.as_str(), None), |(name, mode)| (name, Some(mode)));
        if mode.is_some_and(str::is_empty) {
            bail!("`--cluster {}` has no mode after `=`; write `enforce` or `report`", plain(cluster));
        }
        let mode = mode.map(|mode| format!(", mode: {}", quoted(mode))).unwrap_or_default();
        entries.push(format!("  - {{name: {}{mode}}}", quoted(name)));
    }
    let known: BTreeSet<&String> =
        snapshot.into_iter().flat_map(|snapshot| &snapshot.groups).flat_map(|group| &group.clusters).collect();
    if entries.is_empty() {
        // Nothing is set for them yet: an entry is a place to set it.
        entries.extend(known.iter().map(|name| format!("  - name: {}\n    # mode: report", quoted(name))));
    }
    if entries.is_empty() {
        out.push_str("# clusters:\n#   - {name: \"prod-*\", environment: production, mode: enforce}\n");
    } else {
        let _ = writeln!(out, "clusters:\n{}", entries.join("\n"));
    }
    Ok(())
}

/// What a clause would have to say so that a rule of the snapshot is fine.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Proposal {
    direction: &'static str,
    packets: String,
    peer: String,
}

/// A clause for each rule that is objected to and could be meant: of few addresses or a group, and not as bad as can be.
fn proposals(snapshot: Option<&Snapshot>, policy: &Policy, now: Timestamp, out: &mut String) {
    out.push_str("\n# Your own clauses, read before the inherited ones. Keep them narrow.\n# clauses:\n");
    let mut proposed: BTreeMap<Proposal, (String, BTreeSet<&str>)> = BTreeMap::new();
    if let Some(snapshot) = snapshot {
        let location = Location::new(&snapshot.account, &snapshot.region);
        for group in &snapshot.groups {
            for found in judge(policy, group, &location, now, |_| Author::Unknown) {
                let Some(proposal) = proposal(&found) else { continue };
                let says = format!("{} by `{}`", found.verdict.word(), worst(&found));
                let (_, groups) = proposed.entry(proposal).or_insert((says, BTreeSet::new()));
                groups.insert(group.id.as_str());
            }
        }
    }
    if proposed.is_empty() {
        out.push_str(
            "#   - id: ssh-from-office\n#     roles: [node]\n#     protocol: tcp\n#     ports: [22]\n#     from: [office]\n\
             #     verdict: allow\n#     reason: <why it has to be open>\n",
        );
    }
    let roles = roles(snapshot);
    for (number, (proposal, (says, groups))) in proposed.iter().enumerate() {
        let Proposal { direction, packets, peer } = proposal;
        let groups: Vec<&str> = groups.iter().copied().collect();
        let held = groups.iter().filter_map(|id| roles.get(id)).flatten().copied().collect::<BTreeSet<_>>();
        let held: Vec<&str> = held.into_iter().collect();
        let key = if *direction == "egress" { "direction: egress\n#     to" } else { "from" };
        let _ = writeln!(
            out,
            "#   # {says}, in {}\n#   - id: known-{}\n#     roles: [{}]\n{packets}#     {key}: [{}]\n#     verdict: \
             allow\n#     reason: <why it has to be open>",
            groups.join(", "),
            number + 1,
            held.join(", "),
            quoted(peer)
        );
    }
}

fn roles(snapshot: Option<&Snapshot>) -> BTreeMap<&str, BTreeSet<&'static str>> {
    let of = |group: &'_ Group| group.role_set().into_iter().map(Role::word).collect();
    snapshot.into_iter().flat_map(|snapshot| &snapshot.groups).map(|group| (group.id.as_str(), of(group))).collect()
}

fn proposal(found: &JudgedRule) -> Option<Proposal> {
    let could_be_meant = found.verdict == Verdict::Report && found.severity < Some(Severity::Critical);
    let peer = match &found.rule.peer {
        // A large part of the internet is no source that a clause should name.
        Peer::Cidr(net) if net.prefix_len() > if net.addr().is_ipv4() { 16 } else { 32 } => net.to_string(),
        Peer::Group { id, .. } => id.clone(),
        Peer::PrefixList(id) if found.portions.iter().all(|part| part.peer_class != PeerClass::Unreadable) => {
            id.clone()
        }
        _ => return None,
    };
    let direction = match found.rule.direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    };
    could_be_meant.then(|| Proposal { direction, packets: packets(found.rule.packets), peer })
}

/// The keys of a clause for these packets, as comments.
fn packets(packets: Packets) -> String {
    let ports = |protocol: &str, from: u16, to: u16| {
        let range = if from == to { from.to_string() } else { format!("{from}-{to}") };
        format!("#     protocol: {protocol}\n#     ports: [{range}]\n")
    };
    let message = |key: &str, kind: Option<u8>, code: Option<u8>| match (kind, code) {
        (None, _) => format!("#     {key}: all\n"),
        (Some(kind), None) => format!("#     {key}: [{kind}]\n"),
        (Some(kind), Some(code)) => format!("#     {key}: [{kind}/{code}]\n"),
    };
    match packets {
        Packets::All => String::new(),
        Packets::Tcp(from, to) => ports("tcp", from, to),
        Packets::Udp(from, to) => ports("udp", from, to),
        Packets::Icmp(kind, code) => message("icmp", kind, code),
        Packets::Icmpv6(kind, code) => message("icmpv6", kind, code),
        Packets::Protocol(number) => format!("#     protocol: {number}\n"),
    }
}

/// The clause that made the verdict.
fn worst(found: &JudgedRule) -> &str {
    let mut deciding = found.portions.iter().filter(|part| part.verdict == found.verdict);
    deciding.next().map_or("", |part| part.clause.as_str())
}

fn listed<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.map(|word| quoted(word.trim())).collect();
    format!("[{}]", words.join(", "))
}

/// In quotes where YAML needs them: JSON strings are YAML.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    if is_plain { text.to_owned() } else { serde_json::Value::String(text.to_owned()).to_string() }
}
