//! What people write who come from other tools, with the one thing that it means here.
//!
//! Owns: tables. Must not: accept any of it; a policy has one spelling, and a mistake gets an answer.

/// Words for a word of the language. Which of them is looked for depends on the words that can stand in that place.
const WORDS: [(&str, &[&str]); 22] = [
    (
        "allow",
        &[
            "accept",
            "accepted",
            "allowed",
            "allowlist",
            "exempt",
            "ignore",
            "ignored",
            "ok",
            "okay",
            "pass",
            "permit",
            "permitted",
            "skip",
            "whitelist",
        ],
    ),
    (
        "revoke",
        &["block", "close", "delete", "deny", "denied", "disallow", "drop", "fix", "forbid", "forbidden", "prohibit"],
    ),
    ("revoke", &["refuse", "reject", "remediate", "remove"]),
    (
        "report",
        &["alert", "audit", "detect", "dry-run", "dryrun", "flag", "inform", "log", "monitor", "notify", "observe"],
    ),
    ("report", &["read-only", "readonly", "simulate", "warn", "warning", "watch"]),
    ("enforce", &["active", "block", "deny", "enforced", "enforcing", "fix", "on", "prevent", "protect", "revoke"]),
    ("low", &["info", "information", "informational", "minor", "negligible", "note", "trivial"]),
    ("medium", &["average", "mid", "middle", "moderate", "normal", "warn", "warning"]),
    ("high", &["error", "important", "major", "serious", "severe"]),
    ("critical", &["blocker", "crit", "disaster", "emergency", "fatal", "urgent", "very-high"]),
    ("ingress", &["in", "inbound", "incoming", "input", "receive"]),
    ("egress", &["out", "outbound", "outgoing", "output", "send"]),
    (
        "node",
        &["compute", "instance", "instances", "node-group", "nodegroup", "nodes", "worker", "workers", "worker-node"],
    ),
    ("control-plane", &["api", "api-server", "apiserver", "controlplane"]),
    ("load-balancer", &["alb", "clb", "elb", "lb", "loadbalancer", "nlb"]),
    ("remote-access", &["ssh"]),
    ("pod", &["pods"]),
    ("true", &["1", "enable", "enabled", "on", "y", "yes"]),
    ("false", &["0", "disable", "disabled", "n", "no", "off"]),
    ("standard", &["basic", "default", "normal"]),
    ("strict", &["hardened", "paranoid", "secure"]),
    ("none", &["empty", "no", "nothing", "null"]),
];

/// The word that was meant, of those that can stand there.
pub(super) fn word<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let written = written.to_lowercase().replace(['_', ' '], "-");
    let is_for = |ours: &str| WORDS.iter().any(|(of, words)| *of == ours && words.contains(&written.as_str()));
    known.into_iter().find(|ours| is_for(ours))
}

/// Words for a term of `from` or `to`, with what to write and why.
const PEERS: [(&[&str], &str); 7] = [
    (
        &["*", "all", "any", "anybody", "anyone", "anything", "everybody", "everyone", "everything", "everywhere"],
        "write `anywhere`: every address and every group; public addresses alone are `internet`",
    ),
    (
        &["external", "global", "outside", "public", "the-internet", "world", "wan", "www", "open"],
        "write `internet`: every public address; `anywhere` is every address and every group",
    ),
    (
        &["internal", "intranet", "lan", "local", "private-networks", "rfc1918", "rfc-1918"],
        "write `private`: every address that nobody on the internet has, the VPC's ranges among them",
    ),
    (&["vpc-cidr", "vpccidr", "vpc-cidrs", "local-vpc", "my-vpc", "this-vpc"], "write `vpc`: the VPC's own ranges"),
    (&["itself", "me", "own", "own-group", "this", "this-group"], "write `self`: the group itself"),
    (&["cluster-groups", "our-cluster", "own-cluster", "this-cluster"], "write `same-cluster`: groups of the cluster"),
    (&["foreign", "foreign-group", "others", "other"], "write `other-group`: every group of no part in the cluster"),
];

/// What AWS and people call the lists that AWS owns.
const AWS_LISTS: [(&str, &[&str]); 6] = [
    ("aws:s3", &["s3"]),
    ("aws:dynamodb", &["dynamodb", "ddb", "dynamo"]),
    ("aws:cloudfront", &["cloudfront", "cloudfront.origin-facing", "cloudfront-origin-facing", "cdn"]),
    ("aws:vpc-lattice", &["vpc-lattice", "lattice", "ipv6.vpc-lattice"]),
    ("aws:ec2-instance-connect", &["ec2-instance-connect", "instance-connect", "eic", "ipv6.ec2-instance-connect"]),
    (
        "aws:route53-healthchecks",
        &["route53-healthchecks", "route53", "healthchecks", "health-checks", "route53-health-checks"],
    ),
];

/// What to write instead of a word in `from` or `to`.
pub(super) fn peer(written: &str) -> Option<String> {
    let written = written.trim().to_lowercase().replace(['_', ' '], "-");
    let named = PEERS.iter().find(|(words, _)| words.contains(&written.as_str())).map(|(_, help)| (*help).to_owned());
    named.or_else(|| aws_list(&written).map(|list| format!("did you mean `{list}`? It is the list that AWS owns")))
}

/// `s3`, `aws-s3`, `com.amazonaws.eu-west-1.s3`.
fn aws_list(written: &str) -> Option<&'static str> {
    let bare = match written.strip_prefix("com.amazonaws.") {
        Some(rest) => rest.split_once('.')?.1,
        None => ["aws:", "aws-", "aws.", "aws/", "amazon-"]
            .iter()
            .find_map(|start| written.strip_prefix(start))
            .unwrap_or(written),
    };
    AWS_LISTS.iter().find(|(_, names)| names.contains(&bare)).map(|(list, _)| *list)
}

/// Keys that other tools use for the same thing. Of several the first counts that the entry has.
const KEYS: [(&str, &[&str]); 17] = [
    ("verdict", &["action", "decision", "effect", "policy", "result", "rule_action", "then"]),
    ("severity", &["level", "priority", "risk"]),
    (
        "reason",
        &[
            "because",
            "comment",
            "description",
            "desc",
            "justification",
            "message",
            "note",
            "rationale",
            "ticket",
            "why",
        ],
    ),
    (
        "from",
        &[
            "cidr",
            "cidr_block",
            "cidr_blocks",
            "cidr_ip",
            "cidr_ipv4",
            "cidr_ipv6",
            "cidrip",
            "cidrs",
            "ip",
            "ip_ranges",
            "peer",
        ],
    ),
    (
        "from",
        &[
            "ipv6_cidr_blocks",
            "origin",
            "peers",
            "prefix_list_ids",
            "security_groups",
            "source",
            "source_security_group_id",
            "sources",
        ],
    ),
    ("to", &["destination", "destinations", "dest", "dst", "target", "targets"]),
    ("ports", &["from_port", "fromport", "port_range", "portrange", "to_port", "toport"]),
    ("protocol", &["ip_protocol", "ipprotocol", "proto"]),
    ("direction", &["type", "way"]),
    (
        "expires",
        &["end", "ends", "expiration", "expires_at", "expires_on", "expiry", "expiry_date", "until", "valid_until"],
    ),
    ("owner", &["approved_by", "approver", "by", "contact", "email", "responsible", "team", "who"]),
    ("account", &["account_id", "accountid", "aws_account"]),
    ("region", &["aws_region"]),
    ("id", &["name", "title"]),
    ("extends", &["base", "baseline", "import", "include", "inherit", "inherits", "parent"]),
    ("clauses", &["policies", "rules", "statements"]),
    ("otherwise", &["default", "default_verdict", "else", "fallback"]),
];

/// More keys of the top of a file.
const TOP_KEYS: [(&str, &[&str]); 5] = [
    ("exceptions", &["allowlist", "exemptions", "ignore", "suppressions", "waivers", "whitelist"]),
    ("networks", &["aliases", "cidrs", "ip_sets", "ranges"]),
    ("controllers", &["principals", "trusted_principals"]),
    ("groups", &["security_groups"]),
    ("requirements", &["must_be_open", "required"]),
];

/// The key that was meant, of those that an entry has.
pub(super) fn key<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let written = written.to_lowercase().replace('-', "_");
    let is_for =
        |ours: &str| TOP_KEYS.iter().chain(&KEYS).any(|(of, words)| *of == ours && words.contains(&written.as_str()));
    known.iter().copied().find(|ours| is_for(ours))
}
