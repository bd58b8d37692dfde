//! `protocol`, `ports`, `tcp`, `udp`, `icmp`, `icmpv6` and `whole_protocols`: what a clause says about packets.

use crate::model::region::{Traffic, protocol_name};
use crate::model::text::quoted;
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::fields::{Fields, items, scalar};
use crate::policy::file::problems::Problems;
use crate::policy::file::services;
use crate::policy::tree::Node;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Names beside the numbers 0 to 255.
const PROTOCOLS: [(&str, u8); 4] = [("tcp", TCP), ("udp", UDP), ("icmp", ICMP), ("icmpv6", ICMPV6)];

/// The points that the keys of a clause or exception mean; everything without any of them. `None`: reported.
pub(super) fn read(fields: &Fields<'_>, problems: &mut Problems) -> Option<Traffic> {
    // Each key is read before any is given up: all problems in one run.
    let mut written = Vec::new();
    if fields.get("protocol").or(fields.get("ports")).is_some() {
        written.push(grid(fields, problems));
    }
    for (key, protocol) in [("tcp", TCP), ("udp", UDP)] {
        let ranges = fields.get(key).map(|node| port_ranges(node, key, problems));
        written.extend(ranges.map(|ranges| Some(lanes(protocol, &ranges?))));
    }
    for (key, protocol) in [("icmp", ICMP), ("icmpv6", ICMPV6)] {
        written.extend(fields.get(key).map(|node| messages(node, key, protocol, problems)));
    }
    if let Some(node) = fields.get("whole_protocols") {
        let numbers = protocols(node, "whole_protocols", problems);
        written.push(numbers.map(|numbers| numbers.into_iter().map(|(number, _)| whole(number)).collect()));
    }
    if written.is_empty() {
        return Some(Traffic::all());
    }
    let all = written.into_iter().collect::<Option<Vec<_>>>()?.concat();
    // One set from all ranges: a union of one set after another would take long for thousands of ports.
    Some(Traffic::from_ranges(all.iter().flat_map(Traffic::ranges)))
}

fn whole(protocol: Option<u8>) -> Traffic {
    protocol.map_or_else(Traffic::all, |number| Traffic::ports(number, 0, u16::MAX))
}

fn lanes(protocol: u8, ranges: &[(u16, u16)]) -> Vec<Traffic> {
    ranges.iter().map(|(from, to)| Traffic::ports(protocol, *from, *to)).collect()
}

/// `protocol` times `ports`, of which one is written.
fn grid(fields: &Fields<'_>, problems: &mut Problems) -> Option<Vec<Traffic>> {
    let every = vec![(0, u16::MAX)];
    let ranges = fields.get("ports").map_or(Some(every.clone()), |node| port_ranges(node, "ports", problems));
    let Some(node) = fields.get("protocol") else {
        let at = fields.key_at("ports").unwrap_or(fields.at);
        let message = format!("the {} has `ports` but no `protocol`", fields.what);
        let help = "add `protocol: tcp`, `protocol: udp` or `protocol: [tcp, udp]`";
        problems.add(Diagnostic::error("ports-without-protocol", at, message).help(help));
        return None;
    };
    let protocols = protocols(node, "protocol", problems);
    let (protocols, ranges) = (protocols?, ranges?);
    if ranges == every {
        return Some(protocols.into_iter().map(|(protocol, _)| whole(protocol)).collect());
    }
    let mut grid = Some(Vec::new());
    for (protocol, at) in protocols {
        if let Some(number @ (TCP | UDP)) = protocol {
            if let Some(grid) = &mut grid {
                grid.extend(lanes(number, &ranges));
            }
        } else {
            grid = None;
            problems.add(portless(protocol, at));
        }
    }
    grid
}

fn portless(protocol: Option<u8>, at: At) -> Diagnostic {
    let Some(number) = protocol else {
        return Diagnostic::error("protocol-has-no-ports", at, "not every protocol has ports")
            .help("write `protocol: [tcp, udp]`, or leave `ports` out");
    };
    let name = protocol_name(number);
    let problem = Diagnostic::error("protocol-has-no-ports", at, format!("protocol `{name}` has no ports"));
    problem.help(match number {
        ICMP | ICMPV6 => format!("write its types as `{name}: [3/4, 8]` or all of them as `{name}: all`"),
        _ => format!("write `whole_protocols: [{name}]`, and leave {name} out here"),
    })
}

/// Protocol numbers; `None` is every one. Outer `None`: reported.
fn protocols(node: &Node, key: &str, problems: &mut Problems) -> Option<Vec<(Option<u8>, At)>> {
    each(node, key, problems, |item, problems| {
        let word = scalar(item, key, problems)?;
        if word == "all" {
            return Some((None, item.at));
        }
        let named = PROTOCOLS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
        let number = named.or_else(|| whole_number(word));
        if number.is_none() {
            let words = PROTOCOLS.iter().map(|(name, _)| *name).chain(["all"]);
            let help = services::protocol(word)
                .or_else(|| problems.did_you_mean(word, words))
                .unwrap_or_else(|| "write `tcp`, `udp`, `icmp`, `icmpv6`, `all` or a number from 0 to 255".to_owned());
            problems.add(
                Diagnostic::error("unknown-protocol", item.at, format!("{} is not a protocol", quoted(word)))
                    .help(help),
            );
        }
        number.map(|number| (Some(number), item.at))
    })
}

fn port_ranges(node: &Node, key: &str, problems: &mut Problems) -> Option<Vec<(u16, u16)>> {
    each(node, key, problems, |item, problems| {
        let word = scalar(item, key, problems)?;
        if word == "all" {
            return Some((0, u16::MAX));
        }
        match range::<u16>(word) {
            Ok(range) => Some(range),
            Err(wrong) => {
                problems.add(wrong.explain("bad-port", word, item.at, "a port", "ports go from 0 to 65535"));
                None
            }
        }
    })
}

/// `8`, `3/4`, `133-136` or `all` of ICMP.
fn messages(node: &Node, key: &str, protocol: u8, problems: &mut Problems) -> Option<Vec<Traffic>> {
    each(node, key, problems, |item, problems| {
        let word = scalar(item, key, problems)?;
        if word == "all" {
            return Some(Traffic::icmp(protocol, None, None));
        }
        let limits = "types and codes go from 0 to 255";
        let read = match word.split_once('/') {
            Some((kind, code)) => one::<u8>(kind).and_then(|kind| {
                let code = if code.trim() == "all" { None } else { Some(one::<u8>(code)?) };
                Ok(Traffic::icmp(protocol, Some(kind), code))
            }),
            None => range::<u8>(word)
                .map(|(first, last)| Traffic::ports(protocol, u16::from(first) << 8, u16::from(last) << 8 | 0xff)),
        };
        if let Err(wrong) = &read {
            problems.add(wrong.explain("bad-icmp", word, item.at, "an ICMP type or type/code", limits));
        }
        read.ok()
    })
}

/// Every item read; `None` when the list is empty or any item was reported.
fn each<T>(
    node: &Node,
    key: &str,
    problems: &mut Problems,
    mut read: impl FnMut(&Node, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let items = items(node, key, problems);
    let read: Vec<Option<T>> = items.into_iter().map(|item| read(item, problems)).collect();
    if read.is_empty() { None } else { read.into_iter().collect() }
}

/// Why a number or range could not be read.
enum Wrong {
    NoNumber,
    TooLarge,
    Reversed(u32, u32),
}

impl Wrong {
    fn explain(&self, code: &'static str, word: &str, at: At, what: &str, limits: &str) -> Diagnostic {
        match self {
            Self::NoNumber => {
                let help = match services::ports(word).filter(|_| code == "bad-port") {
                    Some(help) => help,
                    None if code == "bad-port" => "write a number, a range as `8000-8080`, or `all`".to_owned(),
                    None => "write a type as `8`, a type and code as `3/4`, types as `133-136`, or `all`".to_owned(),
                };
                Diagnostic::error(code, at, format!("{} is not {what}", quoted(word))).help(help)
            }
            Self::TooLarge => {
                let problem = Diagnostic::error(code, at, format!("{} is not {what}: {limits}", quoted(word)));
                match services::ports(word).filter(|_| code == "bad-port") {
                    Some(help) => problem.help(help),
                    None => problem,
                }
            }
            Self::Reversed(from, to) => {
                let message = format!("the range {} runs backwards", quoted(word));
                Diagnostic::error(code, at, message).help(format!("write `{to}-{from}`"))
            }
        }
    }
}

fn range<T: TryFrom<u32> + Into<u32> + Copy>(word: &str) -> Result<(T, T), Wrong> {
    // A leading minus belongs to a number that is out of range, not to a range.
    let Some((from, to)) = word.split_once('-').filter(|(from, _)| !from.trim().is_empty()) else {
        return one(word).map(|number| (number, number));
    };
    let (from, to) = (one::<T>(from)?, one::<T>(to)?);
    if from.into() > to.into() { Err(Wrong::Reversed(from.into(), to.into())) } else { Ok((from, to)) }
}

fn one<T: TryFrom<u32>>(word: &str) -> Result<T, Wrong> {
    let word = word.trim();
    let digits = word.strip_prefix('-').unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::NoNumber);
    }
    word.parse::<u32>().ok().and_then(|number| T::try_from(number).ok()).ok_or(Wrong::TooLarge)
}

fn whole_number(word: &str) -> Option<u8> {
    one(word).ok()
}
