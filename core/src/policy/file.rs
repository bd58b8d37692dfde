//! The language of policy files: text becomes a `Policy`, or every problem of the text at once.
//!
//! Owns: keys, defaults, inheritance. Must not: do I/O or read a clock; today is an argument.

mod accepted;
pub mod cases;
mod clause;
mod cut_off;
mod extended;
mod fields;
mod hazard;
mod idle;
mod meant;
mod names;
mod peers;
pub mod print;
mod problems;
mod reach;
mod requirement;
mod scope;
mod services;
mod settings;
mod shadow;
mod spelled;
mod stock;
mod strange;
#[cfg(test)]
pub(super) mod tests;
mod traffic;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hmac_sha256::Hash;
use jiff::civil::Date;

use crate::model::text::quoted;
use crate::policy::diagnostic::{At, Diagnostic, Rejected};
use crate::policy::file::accepted::OF_ACCEPTED;
use crate::policy::file::clause::{Ids, OF_CLAUSES, OF_EXCEPTIONS, REGION, Reader};
use crate::policy::file::fields::{Fields, scalar};
use crate::policy::file::peers::{CLIENTS as CLIENTS_NETWORK, Networks};
use crate::policy::file::problems::Problems;
use crate::policy::file::requirement::OF_REQUIREMENTS;
use crate::policy::file::settings::{OF_CLUSTERS, OF_GROUPS};
use crate::policy::model::{Clause, ClusterSetting, Origin, PeerTerm, Policy, Severity, Verdict};
use crate::policy::texts;
use crate::policy::tree::{self, Node, Value};

const KEYS: [&str; 14] = [
    "version",
    "extends",
    "otherwise",
    "exceptions_need_date",
    "public_endpoint",
    "networks",
    "controllers",
    "groups",
    "clusters",
    "verdicts",
    "clauses",
    "exceptions",
    "requirements",
    "accepted",
];
/// Keys that hold text for people.
const PROSE: [&str; 3] = ["reason", "owner", "environment"];
const VERSION: &str = "1";
const HELP_VERSION: &str = "add `version: 1` at the top";
/// Who may use `NodePort`s where no file says.
const CLIENTS: [PeerTerm; 1] = [PeerTerm::Private];

/// Every key that a file may have: those at its top, then those of the entries of a list, each after the list's name. The
/// documentation is held against it.
pub fn keys() -> Vec<(&'static str, Vec<&'static str>)> {
    let entries = |own: &[&'static str]| REGION.iter().chain(own).copied().collect();
    vec![
        ("", KEYS.to_vec()),
        ("groups", OF_GROUPS.to_vec()),
        ("clusters", OF_CLUSTERS.to_vec()),
        ("clauses", entries(&OF_CLAUSES)),
        ("exceptions", entries(&OF_EXCEPTIONS)),
        ("requirements", entries(&OF_REQUIREMENTS)),
        ("accepted", OF_ACCEPTED.to_vec()),
    ]
}

/// A usable policy.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policy.
    pub policy: Policy,
    /// What probably does not say what was meant, in the order of the text.
    pub warnings: Vec<Diagnostic>,
    /// Warnings that the file itself accepts, each with the reason it gives.
    pub accepted: Vec<(Diagnostic, String)>,
}

/// Reads a policy file. `name` is the file as people know it, `today` the day in UTC.
///
/// # Errors
/// Every problem of the text, warnings included, when one of them is an error.
pub fn load(name: &str, text: &str, today: Date) -> Result<Loaded, Rejected> {
    read(&PolicyText { name, text, built_in: None, today }, &CLIENTS).map(|(loaded, _)| loaded)
}

/// Reads one of the embedded policies.
pub(super) fn load_built_in(name: &'static str, today: Date) -> Result<Loaded, Rejected> {
    read(&PolicyText::built_in(name, today), &CLIENTS).map(|(loaded, _)| loaded)
}

struct PolicyText<'a> {
    name: &'a str,
    text: &'a str,
    built_in: Option<&'static str>,
    today: Date,
}

impl PolicyText<'static> {
    fn built_in(name: &'static str, today: Date) -> Self {
        Self { name, text: texts::text(name).unwrap_or_default(), built_in: Some(name), today }
    }
}

impl PolicyText<'_> {
    fn rejected(&self, diagnostics: Vec<Diagnostic>) -> Rejected {
        // A text that is too large to be read is too large to be kept.
        let text = if self.text.len() > tree::MAX_BYTES { "" } else { self.text };
        Rejected { name: self.name.to_owned(), text: text.to_owned(), diagnostics }
    }
}

/// `clients`: what that network means to the file that extends this one; so it reaches the inherited clauses. Gives the
/// positions of all ids too.
fn read(source: &PolicyText<'_>, clients: &[PeerTerm]) -> Result<(Loaded, Ids), Rejected> {
    let root = tree::read(source.text).map_err(|problem| source.rejected(vec![*problem]))?;
    let mut problems = Problems::of(keys());
    strange::report(&root, source.text, &PROSE, &mut problems);
    let Some(fields) = root_fields(&root, &mut problems) else {
        return Err(source.rejected(problems.finish().0));
    };
    let parent = parent_name(&fields, source.built_in, &mut problems);
    let networks = Networks::read(fields.get("networks"), clients, &mut problems);
    let clients = networks.clients();
    let (inherited, ids) = match parent {
        Some(parent) => read(&PolicyText::built_in(parent, source.today), &clients)?,
        None => (Loaded { policy: blank(), warnings: Vec::new(), accepted: Vec::new() }, Ids::new()),
    };
    let mut inherited = inherited.policy;

    let need_date = fields.flag("exceptions_need_date", &mut problems).unwrap_or(inherited.exceptions_need_date);
    let otherwise = fields.choice("otherwise", "verdict", "unknown-verdict", &Verdict::WORDS, &mut problems);
    let bad = Severity::WORDS.map(|(word, severity)| (word, Some(severity)));
    let fine_or_bad = [[(Verdict::Allow.word(), None)].as_slice(), &bad].concat();
    let public_endpoint =
        fields.choice("public_endpoint", "severity or `allow`", "unknown-severity", &fine_or_bad, &mut problems);
    let origin = if source.built_in.is_some() { Origin::BuiltIn } else { Origin::User };
    let mut reader = Reader { networks, problems, ids, origin, exceptions_need_date: need_date, today: source.today };
    let own = fields.get("clauses").map(|node| reader.clauses(node)).unwrap_or_default();
    let exceptions = fields.get("exceptions").map(|node| reader.exceptions(node)).unwrap_or_default();
    let requirements = fields.get("requirements").map(|node| reader.requirements(node)).unwrap_or_default();
    let Reader { networks, mut problems, mut ids, .. } = reader;
    if let Some(node) = fields.get("verdicts") {
        verdicts::change(node, &ids, &mut inherited, &mut problems);
    }
    let controllers = fields.get("controllers").map(|node| settings::controllers(node, &mut problems));
    let groups = fields.get("groups").map(|node| settings::groups(node, &mut problems));
    let clusters = fields.get("clusters").map(|node| settings::clusters(node, &mut problems));
    let acceptances = fields.get("accepted").map(|node| accepted::read(node, &mut problems)).unwrap_or_default();
    let (clusters, added): (Vec<ClusterSetting>, Vec<_>) = clusters.unwrap_or_default().into_iter().unzip();
    let built_in = |name| read(&PolicyText::built_in(name, source.today), &clients).map(|(loaded, _)| loaded.policy);
    let (of_clusters, their_hashes) = extended::clauses(&clusters, &added, built_in)?;
    shadow::report(&own, &mut problems);
    // What a clause with an error says is not known.
    if !problems.failed() {
        let rest = otherwise.unwrap_or(inherited.otherwise);
        if let Some(node) = fields.get("verdicts") {
            verdicts::report_shadowed(node, &of_clusters, &mut problems);
        }
        networks.report_unused(&mut problems);
        if !inherited.clauses.is_empty() {
            networks.report_wide_clients(&mut problems);
        }
        if let Some(at) = fields.key_at("otherwise").filter(|_| rest < inherited.otherwise) {
            let before = inherited.otherwise.word();
            let message =
                format!("`otherwise` is milder than in the policy that the file extends, which says `{before}`");
            let help = "leave it out, and write a clause for what you mean";
            problems.add(Diagnostic::warning("otherwise-milder", at, message).about("otherwise").help(help));
        }
        let after = own.iter().map(|(clause, _)| clause).chain(&of_clusters).chain(&inherited.clauses);
        let after: Vec<&Clause> = after.collect();
        idle::report(&exceptions, &after, rest, source.today, &mut problems);
        let closing: Vec<&Clause> = of_clusters.iter().chain(&inherited.clauses).collect();
        hazard::report(&exceptions, &own, &closing, &ids, &mut problems);
    }
    // A policy that extends this one finds the inherited ids in the built-in file.
    for (policy, _) in ids.values_mut() {
        *policy = policy.or(source.built_in);
    }
    // By position, since clauses of different clusters may share an id.
    let mut places: BTreeMap<Option<usize>, At> =
        own.iter().enumerate().map(|(position, (_, at))| (Some(position), *at)).collect();
    for (id, at) in fields.get("verdicts").map(verdicts::positions).unwrap_or_default() {
        let position = inherited.clauses.iter().position(|clause| clause.id == id);
        places.extend(position.map(|position| (Some(own.len() + of_clusters.len() + position), at)));
    }
    places.extend(fields.key_at("otherwise").map(|at| (None, at)));
    let clauses = exceptions.into_iter().chain(own).map(|(clause, _)| clause);
    let policy = Policy {
        name: source.name.rsplit('/').next().unwrap_or(source.name).to_owned(),
        hash: hash(source.text, &[inherited.hash, their_hashes].concat()),
        controllers: controllers.unwrap_or_default().into_iter().chain(inherited.controllers).collect(),
        groups: groups.unwrap_or_default().into_iter().chain(inherited.groups).collect(),
        clusters: clusters.into_iter().chain(inherited.clusters).collect(),
        clauses: clauses.chain(of_clusters).chain(inherited.clauses).collect(),
        public_endpoint: public_endpoint.unwrap_or(inherited.public_endpoint),
        requirements: requirements.into_iter().chain(inherited.requirements).collect(),
        networks: networks.named(),
        clients,
        otherwise: otherwise.unwrap_or(inherited.otherwise),
        exceptions_need_date: need_date,
    };
    if source.built_in.is_none() && !problems.failed() {
        cut_off::report(&policy, &places, &mut problems);
    }
    accepted::apply(&acceptances, &mut problems);
    let accepted = problems.accepted();
    let (warnings, failed) = problems.finish();
    if failed {
        return Err(source.rejected(warnings));
    }
    Ok((Loaded { policy, warnings, accepted }, ids))
}

/// What a built-in policy that extends nothing starts from.
fn blank() -> Policy {
    Policy {
        name: String::new(),
        hash: String::new(),
        controllers: BTreeSet::new(),
        groups: Vec::new(),
        clusters: Vec::new(),
        clauses: Vec::new(),
        requirements: Vec::new(),
        public_endpoint: None,
        clients: Vec::new(),
        networks: Vec::new(),
        otherwise: Verdict::Report,
        exceptions_need_date: false,
    }
}

/// The keys of the file. `None`: it is no policy of a version we know, and nothing more can be said about it.
fn root_fields<'t>(root: &'t Node, problems: &mut Problems) -> Option<Fields<'t>> {
    if root.value == Value::Null {
        let help = "write `version: 1`; a file with only that is the policy `standard`";
        problems.add(Diagnostic::error("empty", tree::TOP, "the policy is empty").help(help));
        return None;
    }
    // Keys of another version would all be called unknown, so the version is looked at first.
    if let Value::Map(map) = &root.value
        && let Some((_, node)) = map.iter().find(|(key, _)| key.value == Value::Scalar("version".to_owned()))
    {
        let version = scalar(node, "version", problems)?;
        if version != VERSION {
            let message =
                format!("{} is not a version of the policy language that this program reads", quoted(version));
            problems.add(
                Diagnostic::error("unknown-version", node.at, message).help(format!("write `version: {VERSION}`")),
            );
            return None;
        }
    }
    let fields = Fields::read(root, "policy", &KEYS, problems)?;
    fields.need("version", HELP_VERSION, problems);
    Some(fields)
}

/// The policy to extend. Only a built-in policy can extend nothing at all.
fn parent_name(fields: &Fields<'_>, built_in: Option<&str>, problems: &mut Problems) -> Option<&'static str> {
    let table = texts::NAMES.map(|name| (name, name));
    let written = fields.choice("extends", "built-in policy", "unknown-policy", &table, problems);
    // A misspelt name is reported; with the default the rest of the file can still be checked.
    let name = written.unwrap_or(texts::DEFAULT);
    (built_in.is_none() || name != "none").then_some(name)
}

/// SHA-256 of a text and, through its hash, of what it extends; in lower-case hex. NUL, which YAML forbids, keeps the two
/// apart.
fn hash(text: &str, inherited: &str) -> String {
    let mut digest = Hash::new();
    digest.update(text);
    if !inherited.is_empty() {
        digest.update("\0");
        digest.update(inherited);
    }
    digest.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
