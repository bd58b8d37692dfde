//! `clauses` and `exceptions`: entries become `Clause`s.

use std::collections::{BTreeSet, HashMap};

use jiff::Span;
use jiff::civil::Date;

use crate::model::group::Role;
use crate::model::ids::Resource;
use crate::model::rule::Direction;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::fields::{Fields, choice, items, scalar};
use crate::policy::file::names;
use crate::policy::file::peers::Networks;
use crate::policy::file::problems::Problems;
use crate::policy::file::{scope, traffic};
use crate::policy::model::{Clause, Limits, Origin, PeerTerm, Severity, Verdict, Width};
use crate::policy::tree::{Node, Value};

/// Keys of clauses and exceptions alike: the region.
pub(super) const REGION: [&str; 11] =
    ["id", "direction", "protocol", "ports", "tcp", "udp", "icmp", "icmpv6", "whole_protocols", "from", "to"];
pub(super) const OF_CLAUSES: [&str; 15] = [
    "cluster",
    "except_cluster",
    "roles",
    "only",
    "more_than_ports",
    "at_most_ports",
    "verdict",
    "in_passing",
    "for_controller",
    "severity",
    "severity_of_ranges",
    "severity_of_broad",
    "severity_for_controller",
    "beside_load_balancer",
    "reason",
];
/// Severities of particular rules, beside `severity`.
const PARTICULAR: [&str; 3] = ["severity_of_ranges", "severity_of_broad", "severity_for_controller"];
/// Verdicts on particular rules, milder than `verdict`.
pub(super) const MILDER: [&str; 2] = ["in_passing", "for_controller"];
pub(super) const OF_EXCEPTIONS: [&str; 7] = ["reason", "owner", "expires", "group", "cluster", "account", "region"];

/// Roles of a clause that names none: those of a cluster's own groups.
const DEFAULT_ROLES: [Role; 5] = [Role::Cluster, Role::ControlPlane, Role::Node, Role::Pod, Role::RemoteAccess];
/// Of a `report` that names none; the same as of what no clause covers.
pub(super) const DEFAULT_SEVERITY: Severity = Severity::Medium;

/// An exception that lasts longer ends when nobody remembers it.
const FAR_YEARS: i64 = 2;

const HELP_ID: &str = "add `id: …`, a name in kebab-case that findings will carry";
pub(super) const HELP_REASON: &str = "add `reason: …`: people read it in every finding";
pub(super) const HELP_VERDICT: &str = "add `verdict: allow`, `verdict: report` or `verdict: revoke`";
const HELP_SEVERITY: &str = "add `severity: low`, `medium`, `high` or `critical`";
const HELP_OWNER: &str = "add `owner: …`: who answers for it, as an e-mail address or a team";
const HELP_EXPIRES: &str = "add `expires: 2026-12-31`, the last day it holds";

/// Where an id was first used: in this file or in a built-in policy.
pub(super) type Ids = HashMap<String, (Option<&'static str>, At)>;

/// What the entries of one file share.
pub(super) struct Reader<'t> {
    pub(super) networks: Networks<'t>,
    pub(super) problems: Problems,
    pub(super) ids: Ids,
    pub(super) origin: Origin,
    pub(super) exceptions_need_date: bool,
    pub(super) today: Date,
}

impl<'t> Reader<'t> {
    /// The valid clauses, each with the position of its id.
    pub(super) fn clauses(&mut self, node: &'t Node) -> Vec<(Clause, At)> {
        let entries = items(node, "clauses", &mut self.problems);
        entries.into_iter().filter_map(|entry| self.clause(entry)).collect()
    }

    /// The valid exceptions, each with the position of its id.
    pub(super) fn exceptions(&mut self, node: &'t Node) -> Vec<(Clause, At)> {
        let entries = items(node, "exceptions", &mut self.problems);
        entries.into_iter().filter_map(|entry| self.exception(entry)).collect()
    }

    fn clause(&mut self, node: &'t Node) -> Option<(Clause, At)> {
        let known: Vec<&str> = REGION.into_iter().chain(OF_CLAUSES).collect();
        let mut fields = Fields::read(node, "clause", &known, &mut self.problems)?;
        // Everything is read before anything is given up: all problems of an entry in one run.
        let limits = scope::clusters(&fields, &mut self.problems);
        let id = self.id(&mut fields, limits.as_ref().unwrap_or(&Limits::default()));
        let region = self.region(&fields);
        let problems = &mut self.problems;
        let roles = fields.get("roles").map_or_else(|| Some(DEFAULT_ROLES.into()), |node| roles(node, problems));
        let only = fields.flag("only", problems).unwrap_or(false);
        let verdict = fields
            .need("verdict", HELP_VERDICT, problems)
            .and_then(|node| choice(node, "verdict", "verdict", "unknown-verdict", &Verdict::WORDS, problems));
        let mut severity_of = |key| fields.choice(key, "severity", "unknown-severity", &Severity::WORDS, problems);
        let severity = severity_of("severity");
        let [severity_of_ranges, severity_of_broad, severity_for_controller] = PARTICULAR.map(severity_of);
        let width = scope::width(&fields, problems);
        let [in_passing, for_controller] =
            MILDER.map(|key| fields.choice(key, "verdict", "unknown-verdict", &Verdict::WORDS, problems));
        let beside_load_balancer = fields.flag("beside_load_balancer", problems).unwrap_or(false);
        let reason = fields.need("reason", HELP_REASON, problems).and_then(|_| fields.text("reason", problems));
        if let Some(verdict) = verdict {
            check_severity(&fields, verdict, problems);
            check_softening(&fields, verdict, [in_passing, for_controller], problems);
        }
        if let (Some(limits), Some(width)) = (&limits, width) {
            scope::check(&fields, limits, width, problems);
        }

        let ((id, at), (direction, traffic, peers)) = (id?, region?);
        let (roles, verdict, reason) = (roles?, verdict?, reason?);
        let severity = (verdict != Verdict::Allow).then_some(severity.unwrap_or(DEFAULT_SEVERITY));
        let origin = self.origin;
        let limits = limits?;
        #[rustfmt::skip]
        let clause = Clause {
            id, origin, roles, only, direction, traffic, peers, verdict, severity, severity_of_ranges, severity_of_broad,
            width: width?, in_passing, for_controller, severity_for_controller, beside_load_balancer, reason, limits,
        };
        Some((clause, at))
    }

    fn exception(&mut self, node: &'t Node) -> Option<(Clause, At)> {
        let known: Vec<&str> = REGION.into_iter().chain(OF_EXCEPTIONS).collect();
        let mut fields = Fields::read(node, "exception", &known, &mut self.problems)?;
        let id = self.id(&mut fields, &Limits::default());
        let region = self.region(&fields);
        let problems = &mut self.problems;
        let reason = fields.need("reason", HELP_REASON, problems).and_then(|_| fields.text("reason", problems));
        let owner = fields.need("owner", HELP_OWNER, problems).and_then(|_| fields.text("owner", problems));
        let mut limit = |key, check: fn(&str, At, &mut Problems) -> Option<String>| {
            let node = fields.get(key)?;
            scalar(node, key, problems).and_then(|text| check(text, node.at, problems))
        };
        let group = limit("group", |text, at, problems| names::resource_id(text, Resource::Group, at, problems));
        let cluster = limit("cluster", names::glob);
        let account = limit("account", names::account);
        let aws_region = limit("region", names::region);
        let expires = self.expires(&fields);

        let ((id, at), (direction, traffic, peers)) = (id?, region?);
        let clause = Clause {
            id,
            origin: Origin::Exception,
            roles: Role::ALL.into(),
            only: false,
            direction,
            traffic,
            peers,
            verdict: Verdict::Allow,
            severity: None,
            severity_of_ranges: None,
            severity_of_broad: None,
            width: Width::default(),
            in_passing: None,
            for_controller: None,
            severity_for_controller: None,
            beside_load_balancer: false,
            reason: reason?,
            limits: Limits {
                owner: Some(owner?),
                expires,
                group,
                cluster,
                not_clusters: Vec::new(),
                account,
                region: aws_region,
            },
        };
        Some((clause, at))
    }

    fn expires(&mut self, fields: &Fields<'_>) -> Option<Date> {
        let Some(node) = fields.get("expires") else {
            let message = format!("the {} has no end", fields.what);
            let problem = if self.exceptions_need_date {
                Diagnostic::error("no-expiry", fields.at, message + ", and this policy asks for one")
            } else {
                about(fields, Diagnostic::warning("no-expiry", fields.at, message))
            };
            self.problems.add(problem.help(HELP_EXPIRES));
            return None;
        };
        let text = scalar(node, "expires", &mut self.problems)?;
        let last = names::date(text, node.at, &mut self.problems)?;
        if last < self.today {
            let message = format!("the {} has expired: {last} was its last day", fields.what);
            let help = "remove it, or give it a later day if it is still needed";
            let problem = Diagnostic::warning("expired", node.at, message).help(help);
            self.problems.add(about(fields, problem));
        } else if self.today.checked_add(Span::new().years(FAR_YEARS)).is_ok_and(|far| last > far) {
            let message = format!("the {} ends on {last}: nobody will look at it again", fields.what);
            let help = "write a day within two years; what is fine for good is a clause with `verdict: allow`";
            let problem = Diagnostic::warning("far-expiry", node.at, message).help(help);
            self.problems.add(about(fields, problem));
        }
        Some(last)
    }

    /// The id, checked and unique among the clauses of the same clusters; from here on messages name it.
    pub(super) fn id(&mut self, fields: &mut Fields<'_>, limits: &Limits) -> Option<(String, At)> {
        let node = fields.need("id", HELP_ID, &mut self.problems)?;
        let text = scalar(node, "id", &mut self.problems)?;
        let id = names::clause_id(text, node.at, &mut self.problems)?;
        fields.what = format!("{} `{id}`", fields.what);
        let scope = match limits.cluster.as_deref() {
            None if limits.not_clusters.is_empty() => id.clone(),
            cluster => format!("{id} in {} but {}", cluster.unwrap_or("*"), limits.not_clusters.join(" ")),
        };
        let Some((policy, first)) = self.ids.get(&scope).copied() else {
            self.ids.insert(scope, (None, node.at));
            return Some((id, node.at));
        };
        let problem = match policy {
            None => Diagnostic::error("duplicate-id", node.at, format!("the id `{id}` is used twice"))
                .help("every clause and exception needs an id of its own"),
            Some(policy) => {
                Diagnostic::error("duplicate-id", node.at, format!("the policy `{policy}` has a clause `{id}` already"))
                    .help(format!(
                        "choose another id; to change only the inherited verdict write `verdicts: {{{id}: …}}`"
                    ))
            }
        };
        self.problems.add(problem.also("first used here", first, policy));
        None
    }

    /// Direction, traffic and peers.
    pub(super) fn region(
        &mut self,
        fields: &Fields<'t>,
    ) -> Option<(Direction, crate::model::region::Traffic, Vec<PeerTerm>)> {
        let problems = &mut self.problems;
        let direction = match fields.get("direction") {
            None => Some(Direction::Ingress),
            Some(_) => fields.choice("direction", "direction", "unknown-direction", &Direction::WORDS, problems),
        };
        let traffic = traffic::read(fields, problems);
        let (ours, other, word, remedy) = match direction? {
            Direction::Ingress => ("from", "to", "ingress", "add `direction: egress`"),
            Direction::Egress => ("to", "from", "egress", "remove `direction: egress`"),
        };
        if let Some(at) = fields.key_at(other) {
            let message = format!("the {} is about {word}, which has no `{other}`", fields.what);
            let rename =
                if fields.get(ours).is_some() { format!("remove `{other}`") } else { format!("write `{ours}`") };
            problems.add(Diagnostic::error("wrong-direction", at, message).help(format!("{rename}, or {remedy}")));
        }
        let node = match fields.get(ours) {
            None if fields.get(other).is_some() => None,
            None => fields.need(ours, &format!("add `{ours}: […]`; `{ours}: [anywhere]` means everybody"), problems),
            found => found,
        };
        let peers = self.networks.peers(node?, ours, problems);
        Some((direction?, traffic?, peers?))
    }
}

/// The problem of an entry, which is called by its id.
fn about(fields: &Fields<'_>, problem: Diagnostic) -> Diagnostic {
    match fields.get("id").map(|node| &node.value) {
        Some(Value::Scalar(id)) => problem.about(id),
        _ => problem,
    }
}

/// Each a role's word. `None`: reported.
pub(super) fn roles(node: &Node, problems: &mut Problems) -> Option<BTreeSet<Role>> {
    let items = items(node, "roles", problems);
    let roles: Vec<_> =
        items.into_iter().map(|item| choice(item, "roles", "role", "unknown-role", &Role::WORDS, problems)).collect();
    if roles.is_empty() { None } else { roles.into_iter().collect() }
}

fn check_severity(fields: &Fields<'_>, verdict: Verdict, problems: &mut Problems) {
    if verdict == Verdict::Revoke {
        fields.need("severity", HELP_SEVERITY, problems);
    }
    refuse_severity_of_allow(fields, verdict, problems);
}

pub(super) fn refuse_severity_of_allow(fields: &Fields<'_>, verdict: Verdict, problems: &mut Problems) {
    for key in ["severity"].into_iter().chain(PARTICULAR) {
        if let Some(at) = fields.key_at(key).filter(|_| verdict == Verdict::Allow) {
            let message = format!("the {} allows, so it has no `{key}`", fields.what);
            problems.add(Diagnostic::error("severity-of-allow", at, message).help(format!("remove `{key}`")));
        }
    }
}

/// Milder verdicts and `beside_load_balancer` can only do something beside a harsher verdict.
fn check_softening(fields: &Fields<'_>, verdict: Verdict, milder: [Option<Verdict>; 2], problems: &mut Problems) {
    for (key, milder) in MILDER.into_iter().zip(milder) {
        let softer = milder.is_none_or(|milder| milder < verdict);
        if let Some(at) = fields.key_at(key).filter(|_| !softer) {
            let message = format!("`{key}` is not milder than the verdict, so it does nothing");
            problems.add(Diagnostic::error("no-effect", at, message).help("remove it"));
        }
    }
    if let Some(at) = fields.key_at("beside_load_balancer").filter(|_| verdict != Verdict::Revoke) {
        let message = "`beside_load_balancer` keeps a `revoke`, and this clause has none";
        problems.add(Diagnostic::error("no-effect", at, message).help("remove it"));
    }
}
