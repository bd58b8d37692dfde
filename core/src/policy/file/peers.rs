//! `networks`, `from` and `to`: words, blocks and names become `PeerTerm`s.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::group::Role;
use crate::model::ids::{Resource, is_account};
use crate::model::region::Addresses;
use crate::model::text::quoted;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::fields::{items, kind, scalar};
use crate::policy::file::meant;
use crate::policy::file::names::{is_kebab, resource_id, to_kebab};
use crate::policy::file::problems::Problems;
use crate::policy::file::reach::surely_meet;
use crate::policy::file::spelled;
use crate::policy::model::PeerTerm;
use crate::policy::tree::{Node, Value};

/// The network that every policy has.
pub(super) const CLIENTS: &str = "clients";
/// Ids that people write where the group or the block of the thing belongs.
const OTHERS: [Resource; 4] = [Resource::Rule, Resource::Interface, Resource::Instance, Resource::Vpc];
/// Blocks in all clauses, networks written out: a bound on memory and on the time of a verdict.
const MAX_BLOCKS: usize = 100_000;
const MAX_NETWORK_DEPTH: usize = 16;

/// Blocks and words that together are one source.
#[derive(Clone, Default)]
struct Mixture {
    blocks: Vec<IpNet>,
    words: Vec<PeerTerm>,
}

impl Mixture {
    fn add(&mut self, other: &Self) {
        self.blocks.extend(&other.blocks);
        other.words.iter().for_each(|word| self.add_word(word.clone()));
    }

    fn add_word(&mut self, word: PeerTerm) {
        if !self.words.contains(&word) {
            self.words.push(word);
        }
    }

    /// The blocks as one set, before the words.
    fn into_words(self) -> Vec<PeerTerm> {
        let blocks =
            (!self.blocks.is_empty()).then(|| PeerTerm::Addresses(self.blocks.into_iter().collect::<Addresses>()));
        blocks.into_iter().chain(self.words).collect()
    }
}

/// What one entry of a list means.
enum NetworkEntry<'t> {
    PeerTerm(PeerTerm),
    Block(IpNet),
    Network(&'t str),
}

/// The named networks of a file.
pub(super) struct Networks<'t> {
    written: BTreeMap<&'t str, (At, &'t Node)>,
    known: BTreeMap<&'t str, Mixture>,
    clients: Mixture,
    used: BTreeSet<String>,
    blocks: usize,
}

impl<'t> Networks<'t> {
    /// `inherited`: what `clients` means where the file does not say.
    pub(super) fn read(node: Option<&'t Node>, inherited: &[PeerTerm], problems: &mut Problems) -> Self {
        let clients = Mixture { blocks: Vec::new(), words: inherited.to_vec() };
        let (written, used) = (BTreeMap::new(), BTreeSet::from([CLIENTS.to_owned()]));
        let mut networks = Self { written, known: BTreeMap::new(), clients, used, blocks: 0 };
        match node.map(|node| (&node.value, node)) {
            Some((Value::Map(map), _)) => {
                for (name, items) in map {
                    networks.declare(name, items, problems);
                }
                let names: Vec<&str> = networks.written.keys().copied().collect();
                for name in names {
                    networks.resolve(name, &mut Vec::new(), problems);
                }
            }
            Some((_, node)) => {
                let message = format!("`networks` is a mapping from names, and here is {}", kind(node));
                let help = "write `name: [203.0.113.0/24]` for each network";
                problems.add(Diagnostic::error("wrong-type", node.at, message).help(help));
            }
            None => {}
        }
        networks
    }

    /// What `clients` means in this file and those it extends.
    pub(super) fn clients(&self) -> Vec<PeerTerm> {
        self.known.get(CLIENTS).unwrap_or(&self.clients).clone().into_words()
    }

    /// Each network with its blocks, in the order of their names.
    pub(super) fn named(&self) -> Vec<(String, Addresses)> {
        let blocks = |mixture: &Mixture| mixture.blocks.iter().copied().collect::<Addresses>();
        let named = self.known.iter().map(|(name, mixture)| ((*name).to_owned(), blocks(mixture)));
        named.filter(|(_, blocks)| !blocks.is_empty()).collect()
    }

    /// Warns of NodePort clients that are a large part of the internet. Only where an inherited clause lets them in.
    pub(super) fn report_wide_clients(&self, problems: &mut Problems) {
        let wide = surely_meet(&self.clients(), &PeerTerm::WideInternet);
        if let Some((at, _)) = self.written.get(CLIENTS).filter(|_| wide) {
            let message =
                "the network `clients` is a large part of the internet, which the inherited policy keeps off NodePorts";
            let help = "name the ranges of the clients, or put a load balancer in front and leave `clients` as it is";
            problems.add(Diagnostic::warning("wide-clients", *at, message).about(CLIENTS).help(help));
        }
    }

    /// Warns of networks that nothing names. Only for a file whose clauses have all been read.
    pub(super) fn report_unused(&self, problems: &mut Problems) {
        for (name, (at, _)) in self.written.iter().filter(|(name, _)| !self.used.contains(**name)) {
            let message = format!("no clause uses the network `{name}`");
            problems.add(
                Diagnostic::warning("unused-network", *at, message)
                    .about(*name)
                    .help("name it in a `from` or `to`, or remove it"),
            );
        }
    }

    /// The words of `from` or `to`. `None`: reported.
    pub(super) fn peers(&mut self, node: &'t Node, key: &str, problems: &mut Problems) -> Option<Vec<PeerTerm>> {
        let entries = items(node, key, problems);
        let mut mixture = Mixture::default();
        let mut valid = !entries.is_empty();
        for item in entries {
            match scalar(item, key, problems).and_then(|text| entry(text, item.at, problems)) {
                Some(NetworkEntry::PeerTerm(word)) => mixture.add_word(word),
                Some(NetworkEntry::Block(block)) => mixture.blocks.push(block),
                Some(NetworkEntry::Network(name)) => valid &= self.add_network(name, item.at, &mut mixture, problems),
                None => valid = false,
            }
        }
        valid.then(|| mixture.into_words())
    }

    /// Adds a resolved network. `false`: it could not be, and that was reported.
    fn add_network(&mut self, name: &str, at: At, mixture: &mut Mixture, problems: &mut Problems) -> bool {
        self.used.insert(name.to_owned());
        let Some(network) = self.known.get(name).or_else(|| (name == CLIENTS).then_some(&self.clients)) else {
            // One that was reported where it is defined is not reported again where it is used.
            if !self.written.contains_key(name) {
                let problem = self.undefined(name, at, problems);
                problems.add(problem);
            }
            return false;
        };
        let blocks = self.blocks + network.blocks.len();
        if blocks > MAX_BLOCKS {
            let message = format!("with {} written out, the policy has over {MAX_BLOCKS} blocks", quoted(name));
            problems.error("too-large", at, message);
            return false;
        }
        mixture.add(network);
        self.blocks = blocks;
        true
    }

    fn declare(&mut self, name: &'t Node, items: &'t Node, problems: &mut Problems) {
        let Some(text) = scalar(name, "networks", problems) else {
            return;
        };
        let is_word = PeerTerm::PLAIN.iter().any(|(word, _)| *word == text) || text == "all";
        let is_role = Role::from_word(text).is_some();
        if let Some((first, _)) = self.written.get(text) {
            let message = format!("the network {} is given twice", quoted(text));
            problems.add(Diagnostic::error("duplicate-key", name.at, message).also("first here", *first, None));
        } else if is_word || is_role {
            let what = if is_word { "a word of the language" } else { "a role" };
            let message = format!("`{text}` is {what} and cannot name a network");
            problems
                .add(Diagnostic::error("reserved-name", name.at, message).help(format!("write, say, `our-{text}`")));
        } else if is_kebab(text) {
            self.written.insert(text, (name.at, items));
        } else {
            let message = format!("{} cannot name a network: use lower-case letters, digits and hyphens", quoted(text));
            let kebab = to_kebab(text).unwrap_or_else(|| "office".to_owned());
            problems.add(Diagnostic::error("bad-name", name.at, message).help(format!("write, say, `{kebab}`")));
        }
    }

    /// Resolves a network, after those that it names. `path`: the networks that led here.
    fn resolve(&mut self, name: &'t str, path: &mut Vec<&'t str>, problems: &mut Problems) {
        let Some((_, node)) = self.written.get(name).copied().filter(|_| !self.known.contains_key(name)) else {
            return;
        };
        path.push(name);
        let mut mixture = Mixture::default();
        for item in items(node, name, problems) {
            match scalar(item, name, problems).and_then(|text| entry(text, item.at, problems)) {
                Some(NetworkEntry::Block(block)) => mixture.blocks.push(block),
                Some(NetworkEntry::PeerTerm(word @ (PeerTerm::Private | PeerTerm::Vpc))) => mixture.add_word(word),
                Some(NetworkEntry::PeerTerm(_)) => {
                    let message = format!("{} cannot be part of a network", kind(item));
                    let help = "a network holds CIDR blocks, `private`, `vpc` and other networks; name the rest in `from` \
                                or `to`";
                    problems.add(Diagnostic::error("bad-network", item.at, message).help(help));
                }
                Some(NetworkEntry::Network(other)) if self.may_enter(other, path, item.at, problems) => {
                    self.resolve(other, path, problems);
                    self.add_network(other, item.at, &mut mixture, problems);
                }
                Some(NetworkEntry::Network(_)) | None => {}
            }
        }
        path.pop();
        self.known.insert(name, mixture);
    }

    /// Whether a network may name another, after those that led there.
    fn may_enter(&self, name: &str, path: &[&str], at: At, problems: &mut Problems) -> bool {
        if let Some(first) = path.iter().position(|earlier| *earlier == name) {
            let cycle = path.iter().skip(first).chain([&name]).map(|name| format!("`{name}`")).collect::<Vec<_>>();
            let message = format!("the network holds itself: {}", cycle.join(" → "));
            problems.add(Diagnostic::error("network-cycle", at, message).help("remove one of these names"));
            return false;
        }
        if path.len() >= MAX_NETWORK_DEPTH && !self.known.contains_key(name) {
            problems.error("too-large", at, format!("networks nest deeper than {MAX_NETWORK_DEPTH} levels"));
            return false;
        }
        true
    }

    fn undefined(&self, name: &str, at: At, problems: &Problems) -> Diagnostic {
        let problem = Diagnostic::error("unknown-network", at, format!("no network is called {}", quoted(name)));
        if problems.is_full() {
            return problem;
        }
        let words: Vec<_> = PeerTerm::words().collect();
        let known: Vec<&str> =
            words.iter().map(AsRef::as_ref).chain([CLIENTS]).chain(self.written.keys().copied()).collect();
        let is_role = Role::from_word(name).is_some();
        let meant = meant::peer(name).or_else(|| spelled::block(name));
        let role = is_role.then_some(name).or_else(|| meant::word(name, Role::ALL.map(Role::word)));
        problem.help(match problems.did_you_mean(name, known) {
            _ if meant.is_some() => meant.unwrap_or_default(),
            _ if role.is_some() => format!("did you mean `role:{}`?", role.unwrap_or_default()),
            Some(meant) => meant,
            None if is_kebab(name) => format!("define it under `networks`, as `{name}: [203.0.113.0/24]`"),
            None => "write a CIDR block, the name of a network, or a word as `private` or `role:node`".to_owned(),
        })
    }
}

/// `None`: reported.
fn entry<'t>(text: &'t str, at: At, problems: &mut Problems) -> Option<NetworkEntry<'t>> {
    if let Some(term) = PeerTerm::from_word(text) {
        return Some(NetworkEntry::PeerTerm(term));
    }
    let families = [
        (PeerTerm::OF_ROLE, "unknown-role", "names no role"),
        ("aws:", "unknown-aws-list", "is not an AWS-owned list with a word of its own"),
    ];
    if let Some((start, code, wrong)) = families.into_iter().find(|(start, ..)| text.starts_with(start)) {
        let words: Vec<_> = PeerTerm::words().filter(|word| word.starts_with(start)).collect();
        let help = meant::peer(text).unwrap_or_else(|| problems.expected(text, words.iter().map(AsRef::as_ref)));
        problems.add(Diagnostic::error(code, at, format!("{} {wrong}", quoted(text))).help(help));
        return None;
    }
    if starts_id(text, "sg") {
        return resource_id(text, Resource::Group, at, problems).map(|id| NetworkEntry::PeerTerm(PeerTerm::Group(id)));
    }
    if starts_id(text, "pl") {
        return resource_id(text, Resource::PrefixList, at, problems)
            .map(|id| NetworkEntry::PeerTerm(PeerTerm::PrefixList(id)));
    }
    let hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
    let is_address =
        text.contains('/') || text.starts_with(|first: char| first.is_ascii_digit()) || text.contains(':') && hex(text);
    if is_address { block(text, at, problems).map(NetworkEntry::Block) } else { Some(NetworkEntry::Network(text)) }
}

/// `sg-…`, and `SG-…`, `sg_…` and an ARN, which get an answer.
fn starts_id(text: &str, kind: &str) -> bool {
    let lower = text.to_lowercase();
    let start = lower.get(..3).unwrap_or_default();
    let resource = if kind == "sg" { ":security-group/" } else { ":prefix-list/" };
    start.starts_with(kind) && start.ends_with(['-', '_'])
        || lower.starts_with("arn:") && lower.contains(resource)
        || kind == "sg" && OTHERS.iter().any(|other| other.is_id(&lower))
        // A group of another account, as rules of EC2 name one.
        || lower.split_once('/').is_some_and(|(account, id)| is_account(account) && id.starts_with(kind))
}

/// In a number of an IPv4 address, or in the length of a block.
fn has_leading_zero(text: &str) -> bool {
    let (address, len) = text.split_once('/').unwrap_or((text, ""));
    let starts_with_zero = |number: &str| number.len() > 1 && number.starts_with('0');
    starts_with_zero(len) || !address.contains(':') && address.split('.').any(starts_with_zero)
}

fn block(text: &str, at: At, problems: &mut Problems) -> Option<IpNet> {
    let problem = match text.parse::<IpNet>() {
        Ok(net) if has_leading_zero(text) => {
            let message =
                format!("{} has a number with a leading zero, which some programs read as octal", quoted(text));
            Diagnostic::error("bad-cidr", at, message).help(format!("write `{net}`, if that is meant"))
        }
        Ok(net) if net == net.trunc() => return Some(net),
        Ok(net) => {
            let message = format!("{} has host bits set: which addresses are meant?", quoted(text));
            let (masked, one) = (net.trunc(), IpNet::from(net.addr()));
            Diagnostic::error("host-bits", at, message)
                .help(format!("write `{masked}` for the block, or `{one}` for the one address"))
        }
        Err(_) => {
            let (address, _) = text.split_once('/').unwrap_or((text, ""));
            let meant = spelled::block(text);
            let help = match address.parse::<IpAddr>() {
                _ if meant.is_some() => meant.unwrap_or_default(),
                Ok(IpAddr::V4(_)) => "after the `/` belongs a number from 0 to 32".to_owned(),
                Ok(IpAddr::V6(_)) => "after the `/` belongs a number from 0 to 128".to_owned(),
                Err(_) => "write it as `203.0.113.0/24` or `2001:db8::/48`".to_owned(),
            };
            Diagnostic::error("bad-cidr", at, format!("{} is not a CIDR block", quoted(text))).help(help)
        }
    };
    problems.add(problem);
    None
}
