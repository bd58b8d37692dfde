//! The line before a command that says in words what it opens or closes, since the command itself shows ids alone.
//!
//! It goes where the command goes, into any shell: some take `#` for a comment, and the rest look for a program of that name
//! and find none. Must not: hold names or descriptions, or a character that any shell or chat obeys.

use super::exposure::service;
use crate::model::rule::{Direction, Peer, Rule};
use crate::model::text::{and, count, first_few};
use crate::report::record::Record;

/// Rules that are written out.
const MAX_RULES: usize = 5;

/// A command with its remark: `# closes SSH 22 from everybody 0.0.0.0/0`.
pub(super) fn with<'r>(
    verb: &str,
    record: &Record,
    rules: impl IntoIterator<Item = &'r Rule>,
    command: &str,
) -> String {
    let mut words: Vec<String> = Vec::new();
    for rule in rules {
        let rule = in_words(record, rule);
        if !words.contains(&rule) {
            words.push(rule);
        }
    }
    let words = first_few(words, MAX_RULES, |rest| count(rest, "more rule"));
    before(&format!("{verb} {}", and(&words)), command)
}

/// A command with a remark.
pub(super) fn before(remark: &str, command: &str) -> String {
    let is_inert = |c: char| c.is_ascii_alphanumeric() || " ,.:/-".contains(c);
    let remark: String = remark.chars().map(|c| if is_inert(c) { c } else { '_' }).collect();
    format!("# {remark}\n{command}")
}

fn in_words(record: &Record, rule: &Rule) -> String {
    let (out, way) = match rule.direction {
        Direction::Ingress => ("", "from"),
        Direction::Egress => ("outbound ", "to"),
    };
    let traffic = service(record, rule.packets).unwrap_or_else(|| rule.packets.to_string());
    let peer = match &rule.peer {
        Peer::Cidr(net) if net.prefix_len() == 0 => format!("everybody {net}"),
        Peer::Cidr(net) => net.to_string(),
        Peer::PrefixList(id) => format!("prefix list {id}"),
        Peer::Group { id, owner: None } => format!("group {id}"),
        Peer::Group { id, owner: Some(owner) } => format!("group {id} of account {owner}"),
    };
    format!("{out}{traffic} {way} {peer}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::Location;
    use crate::model::rule::Packets;
    use crate::policy::builtin;
    use crate::policy::model::Mode;
    use crate::report::record::About;

    fn remark(rules: &[Rule]) -> String {
        let policy = builtin::policy("standard").unwrap();
        let location = Location::new("111122223333", "eu-west-1");
        let record = Record::of(&location, policy, Mode::Enforce, About::Account, vec![], None);
        let text = with("closes", &record, rules, "aws x");
        text.strip_suffix("\naws x").unwrap().to_owned()
    }

    fn ingress(packets: Packets, cidr: &str) -> Rule {
        Rule::new(Direction::Ingress, packets, Peer::cidr(cidr).unwrap())
    }

    #[test]
    fn it_says_ports_and_sources_and_counts_what_are_too_many() {
        let ssh = ingress(Packets::Tcp(22, 22), "0.0.0.0/0");
        assert_eq!(remark(std::slice::from_ref(&ssh)), "# closes SSH 22 from everybody 0.0.0.0/0");
        let to = Rule::new(Direction::Egress, Packets::All, Peer::cidr("2001:db8::/32").unwrap());
        assert_eq!(
            remark(&[ssh.clone(), ssh, to]),
            "# closes SSH 22 from everybody 0.0.0.0/0 and outbound all traffic to 2001:db8::/32"
        );
        let many: Vec<Rule> = (0..9).map(|n| ingress(Packets::Tcp(9000 + n, 9001 + n), "10.0.0.0/8")).collect();
        assert!(remark(&many).ends_with("TCP 9004-9005 from 10.0.0.0/8 and 4 more rules"), "{}", remark(&many));
    }

    /// Ids of rules that only an event describes are text from outside.
    #[test]
    fn nothing_in_it_means_anything_to_a_shell_or_a_chat() {
        let evil = "sg-\n`id` $(id) ${x} ;&|<>()[]{}*?!~^=%\"'\\#\u{202e}\u{e9}";
        for peer in [
            Peer::PrefixList(evil.to_owned()),
            Peer::Group { id: evil.to_owned(), owner: None },
            Peer::Group { id: "sg-1".to_owned(), owner: Some(evil.to_owned()) },
        ] {
            let mut rule = Rule::new(Direction::Ingress, Packets::Tcp(22, 22), peer);
            rule.description = Some("a description".to_owned());
            let remark = remark(&[rule]);
            let (first, rest) = remark.split_at(2);
            assert_eq!(first, "# ");
            let is_inert = |c: char| c.is_ascii_alphanumeric() || " ,.:/-_".contains(c);
            assert!(rest.chars().all(is_inert) && !rest.contains("description"), "{remark}");
        }
    }
}
