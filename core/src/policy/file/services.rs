//! Protocols and ports by the names and in the spellings of other tools, with what to write here.
//!
//! Must not: accept any of it.

/// Protocols that the language knows by number alone, and other names of those that it names.
const PROTOCOLS: [(&[&str], &str); 26] = [
    (&["-1", "*", "any", "both", "every", "everything", "ip"], "all"),
    (&["ipv6-icmp", "icmp6", "icmp-v6", "icmpipv6", "icmp_ipv6"], "icmpv6"),
    (&["icmp4", "icmpv4", "ping"], "icmp"),
    (&["tcp6", "tcp4"], "tcp"),
    (&["udp6", "udp4", "quic"], "udp"),
    (&["igmp"], "2"),
    (&["ipip", "ip-in-ip", "ipencap", "ipv4"], "4"),
    (&["egp"], "8"),
    (&["dccp"], "33"),
    (&["6in4", "ipv6", "sit"], "41"),
    (&["rsvp"], "46"),
    (&["gre"], "47"),
    (&["esp", "ipsec", "ipsec-esp"], "50"),
    (&["ah", "ipsec-ah"], "51"),
    (&["eigrp"], "88"),
    (&["ospf"], "89"),
    (&["ipip-legacy", "ip-within-ip"], "94"),
    (&["etherip"], "97"),
    (&["pim"], "103"),
    (&["vrrp", "carp"], "112"),
    (&["l2tp"], "115"),
    (&["isis", "is-is"], "124"),
    (&["sctp"], "132"),
    (&["fc"], "133"),
    (&["udplite", "udp-lite"], "136"),
    (&["mpls", "mpls-in-ip"], "137"),
];

/// What to write instead of a protocol.
pub(super) fn protocol(written: &str) -> Option<String> {
    let lower = written.trim().to_lowercase();
    if let Some((_, ours)) = PROTOCOLS.iter().find(|(words, _)| words.contains(&lower.as_str())) {
        let is_number = ours.starts_with(|c: char| c.is_ascii_digit());
        return Some(if is_number { format!("write its number: `{ours}`") } else { format!("write `{ours}`") });
    }
    if let Some(ports) = service(&lower) {
        let protocol = if lower == "dns" { "[tcp, udp]" } else { "tcp" };
        return Some(format!("that is a port: write `protocol: {protocol}` and `ports: {ports}`"));
    }
    let parts: Vec<&str> = lower
        .split(|c: char| matches!(c, '/' | '+' | ',' | '|' | '&' | ':') || c.is_whitespace())
        .filter(|p| !p.is_empty())
        .collect();
    let is_named = |part: &&str| matches!(*part, "tcp" | "udp" | "icmp" | "icmpv6");
    let is_port = |part: &&str| part.chars().all(|c| c.is_ascii_digit() || c == '-');
    match parts.as_slice() {
        [_, _, ..] if parts.iter().all(is_named) => Some(format!("write `[{}]`", parts.join(", "))),
        [name, port] | [port, name] if is_named(name) && is_port(port) => {
            Some(format!("write `protocol: {name}` and `ports: {port}`"))
        }
        _ => None,
    }
}

/// Services that people write by name.
const SERVICES: [(&str, &str); 38] = [
    ("ssh", "22"),
    ("sftp", "22"),
    ("telnet", "23"),
    ("smtp", "25"),
    ("dns", "53"),
    ("domain", "53"),
    ("http", "80"),
    ("kerberos", "88"),
    ("ntp", "123"),
    ("bgp", "179"),
    ("snmp", "161"),
    ("ldap", "389"),
    ("https", "443"),
    ("tls", "443"),
    ("api", "443"),
    ("smb", "445"),
    ("syslog", "514"),
    ("ldaps", "636"),
    ("mssql", "1433"),
    ("nfs", "2049"),
    ("docker", "2375-2376"),
    ("etcd", "2379-2380"),
    ("mysql", "3306"),
    ("rdp", "3389"),
    ("ms-rdp", "3389"),
    ("postgres", "5432"),
    ("postgresql", "5432"),
    ("vnc", "5900"),
    ("winrm", "5985-5986"),
    ("redis", "6379"),
    ("kubelet", "10250"),
    ("vxlan", "8472"),
    ("wireguard", "51820"),
    ("nodeport", "30000-32767"),
    ("nodeports", "30000-32767"),
    ("node-ports", "30000-32767"),
    ("ephemeral", "1024-65535"),
    ("high-ports", "1024-65535"),
];

fn service(written: &str) -> Option<&'static str> {
    let written = written.to_lowercase().replace(['_', ' '], "-");
    SERVICES.iter().find(|(name, _)| *name == written).map(|(_, ports)| *ports)
}

/// What to write instead of ports.
pub(super) fn ports(written: &str) -> Option<String> {
    let lower = written.trim().to_lowercase();
    if matches!(lower.as_str(), "*" | "any" | "-1" | "every" | "everything" | "-") {
        return Some("write `all`".to_owned());
    }
    if let Some(ports) = service(&lower) {
        return Some(format!("write `{ports}`"));
    }
    let is_number = |text: &str| !text.is_empty() && text.len() < 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((one, other)) = lower.split_once('/') {
        let (name, ports) = if is_number(one) || one.contains('-') { (other, one) } else { (one, other) };
        if matches!(name, "tcp" | "udp") && ports.split('-').all(is_number) {
            return Some(format!("write `protocol: {name}` and `ports: {ports}`"));
        }
    }
    let after = |start: &str| lower.strip_prefix(start).map(str::trim).filter(|rest| is_number(rest));
    if let Some(first) = after(">=")
        .or(lower.strip_suffix('+').filter(|rest| is_number(rest)))
        .or(lower.strip_suffix('-').filter(|rest| is_number(rest)))
    {
        return Some(format!("write `{first}-65535`"));
    }
    if let Some(last) = after("<=") {
        return Some(format!("write `0-{last}`"));
    }
    for separator in ["...", "..", ":", " to ", "~", "->", "--"] {
        if let Some((from, to)) = lower.split_once(separator).map(|(from, to)| (from.trim(), to.trim()))
            && is_number(from)
            && is_number(to)
        {
            return Some(format!("write `{from}-{to}`"));
        }
    }
    let parts: Vec<&str> =
        lower.split(|c: char| matches!(c, ',' | ';' | '|') || c.is_whitespace()).filter(|p| !p.is_empty()).collect();
    let is_range = |part: &&str| part.split('-').all(is_number);
    (parts.len() > 1 && parts.iter().all(is_range)).then(|| format!("write `[{}]`", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_in_the_words_of_others_has_an_answer() {
        for (text, expected) in [
            ("dns", Some("that is a port: write `protocol: [tcp, udp]` and `ports: 53`")),
            ("ssh", Some("that is a port: write `protocol: tcp` and `ports: 22`")),
            ("tcp/22", Some("write `protocol: tcp` and `ports: 22`")),
            ("8000-8080 udp", Some("write `protocol: udp` and `ports: 8000-8080`")),
            ("tcp+udp", Some("write `[tcp, udp]`")),
            ("tcp/web", None),
            ("web/22", None),
        ] {
            assert_eq!(protocol(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn ports_in_the_words_of_others_have_an_answer() {
        for (text, expected) in [
            ("22/tcp", Some("write `protocol: tcp` and `ports: 22`")),
            ("udp/8000-8080", Some("write `protocol: udp` and `ports: 8000-8080`")),
            ("10000+", Some("write `10000-65535`")),
            ("100000+", None),
            ("22/sctp", None),
            ("tcp/", None),
            ("tcp/web", None),
        ] {
            assert_eq!(ports(text).as_deref(), expected, "{text}");
        }
    }
}
