//! Ids of AWS: which texts are one, and where a thing lives. What people write asks here (policy files, variables and
//! snapshots), so that all of them refuse the same ids. Events are read more kindly (case, length, leading zeros that a
//! number lost): an event only tells where to look.
//!
//! Must not: say it to people; each reader has its own form of error.

use serde::{Deserialize, Serialize};

/// An account and a region of it: what one guard looks after.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Twelve digits.
    pub account: String,
    /// `us-east-1`, …
    pub region: String,
}

impl Location {
    /// A location, as it is written.
    pub fn new(account: impl Into<String>, region: impl Into<String>) -> Self {
        Self { account: account.into(), region: region.into() }
    }
}

/// As messages have it: each id in backticks.
impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "account `{}`, region `{}`", self.account, self.region)
    }
}

/// `111122223333`.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `us-east-1`, `us-gov-west-1`: words, then a number.
pub fn is_region(text: &str) -> bool {
    let is_word = |part: &str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.rsplit_once('-')
        .is_some_and(|(words, number)| is_number(number) && words.contains('-') && words.split('-').all(is_word))
}

/// How the regions of each partition begin, but for the one that most accounts are in.
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eusc-", "aws-eusc"),
];

/// The partition of a region: what its ARNs begin with after `arn:`.
pub fn partition_of(region: &str) -> &'static str {
    PARTITIONS.iter().find(|(start, _)| region.starts_with(start)).map_or("aws", |(_, partition)| partition)
}

/// The name of an IAM role, without its path.
pub fn is_role_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| is_name_character(c, "_+=,.@-"))
}

/// What a role may ask for of whoever assumes it, as IAM takes it.
pub fn is_external_id(text: &str) -> bool {
    (2..=1224).contains(&text.len()) && text.chars().all(|c| is_name_character(c, "_+=,.@:/-"))
}

/// The name of a DynamoDB table.
pub fn is_table_name(text: &str) -> bool {
    (3..=255).contains(&text.len()) && text.chars().all(|c| is_name_character(c, "_.-"))
}

/// An SQS queue: whose it is, and its name. Its address and its ARN both say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Twelve digits.
    pub account: String,
    /// Its name.
    pub name: String,
}

impl Queue {
    /// The queue of an address, `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`.
    pub fn of_url(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme))?;
        let mut parts = rest.split('/');
        let (host, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        let is_queue = !host.is_empty() && !host.contains(char::is_whitespace) && parts.next().is_none();
        Self::new(account, name).filter(|_| is_queue)
    }

    /// The queue of an ARN.
    pub fn of_arn(text: &str) -> Option<Self> {
        let arn = Arn::parse(text).filter(|arn| arn.service == "sqs")?;
        Self::new(arn.account, arn.resource)
    }

    fn new(account: &str, name: &str) -> Option<Self> {
        let is_name = (1..=80).contains(&name.len()) && name.chars().all(|c| is_name_character(c, "_-"));
        (is_account(account) && is_name).then(|| Self { account: account.to_owned(), name: name.to_owned() })
    }
}

fn is_name_character(c: char, others: &str) -> bool {
    c.is_ascii_alphanumeric() || others.contains(c)
}

/// A rule of EventBridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRule {
    /// `None`: the default one.
    pub bus: Option<String>,
    /// Its name.
    pub name: String,
}

impl EventRule {
    /// The rule of a name or an ARN, `arn:aws:events:REGION:ACCOUNT:rule/[BUS/]NAME`.
    pub fn of(text: &str) -> Option<Self> {
        let is_name = |name: &&str| (1..=64).contains(&name.len()) && name.chars().all(|c| is_name_character(c, "_.-"));
        let named = match Arn::parse(text) {
            Some(arn) => arn.named("events", "rule/")?,
            None if text.contains('/') => return None,
            None => text,
        };
        let (bus, name) = named.rsplit_once('/').map_or((None, named), |(bus, name)| (Some(bus), name));
        let name = Some(name).filter(is_name)?;
        let has_bus = bus.is_none_or(|bus| !bus.is_empty());
        has_bus.then(|| Self { bus: bus.map(str::to_owned), name: name.to_owned() })
    }
}

/// What EC2 gives an id to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `sg-…`
    Group,
    /// `sgr-…`
    Rule,
    /// `pl-…`
    PrefixList,
    /// `eni-…`
    Interface,
    /// `i-…`
    Instance,
    /// `vpc-…`
    Vpc,
}

impl Resource {
    /// What its ids begin with.
    pub fn prefix(self) -> &'static str {
        self.row().0
    }

    /// What it is called, with its article.
    pub fn noun(self) -> &'static str {
        self.row().1
    }

    /// Whether this is an id of one: the prefix, then eight hexadecimal digits or more. EC2 writes 8 or 17, in lower case.
    pub fn is_id(self, text: &str) -> bool {
        let digits = text.strip_prefix(self.prefix()).unwrap_or_default();
        (8..=32).contains(&digits.len()) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Group => ("sg-", "a security group"),
            Self::Rule => ("sgr-", "a security group rule"),
            Self::PrefixList => ("pl-", "a prefix list"),
            Self::Interface => ("eni-", "a network interface"),
            Self::Instance => ("i-", "an instance"),
            Self::Vpc => ("vpc-", "a VPC"),
        }
    }
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: &'a str,
    /// `iam`, `sns`, …
    pub service: &'a str,
    /// Empty for what is in no region.
    pub region: &'a str,
    /// Empty for what is in no account.
    pub account: &'a str,
    /// What is left; it may have colons of its own.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// `None`: it is no ARN. Patterns (`*`, `?`) are none: an ARN names one thing.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let is_arn = parts.next() == Some("arn");
        let mut part = || parts.next();
        let (partition, service, region, account, resource) = (part()?, part()?, part()?, part()?, part()?);
        let is_one = is_arn
            && partition.starts_with("aws")
            && !service.is_empty()
            && (region.is_empty() || is_region(region))
            && (account.is_empty() || is_account(account))
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '?'));
        (is_one && !resource.is_empty()).then_some(Self { partition, service, region, account, resource })
    }

    /// A role: its name with its path.
    pub fn role(&self) -> Option<&'a str> {
        self.named("iam", "role/")
    }

    /// A user: their name with its path.
    pub fn user(&self) -> Option<&'a str> {
        self.named("iam", "user/")
    }

    /// An SNS topic: its name.
    pub fn topic(&self) -> Option<&'a str> {
        self.named("sns", "").filter(|name| name.chars().all(|c| is_name_character(c, "_-.")))
    }

    /// A secret of Secrets Manager: its name.
    pub fn secret(&self) -> Option<&'a str> {
        self.named("secretsmanager", "secret:")
    }

    /// A DynamoDB table: its name.
    pub fn table(&self) -> Option<&'a str> {
        self.named("dynamodb", "table/").filter(|name| is_table_name(name))
    }

    /// What follows `kind` in a resource of this service. IAM is in no region; all else is in one.
    fn named(&self, service: &str, kind: &str) -> Option<&'a str> {
        let is_there = !self.account.is_empty() && self.region.is_empty() == (service == "iam");
        let name = self.resource.strip_prefix(kind).filter(|name| !name.is_empty());
        name.filter(|_| self.service == service && is_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_one: impl Fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(is_one(text), "{text}");
        }
        for text in bad.iter().chain(&["", " ", "*", "\u{661}"]) {
            assert!(!is_one(text), "{text}");
        }
    }

    #[test]
    fn accounts_and_regions() {
        check(
            is_account,
            &["111122223333", "000000000000"],
            &["11112222333", "1111222233334", "11112222333a", "١١١١٢٢"],
        );
        let regions = ["us-east-1", "us-gov-west-1", "ap-southeast-12", "eusc-de-east-1", "us-isob-east-1"];
        let others = [
            "eu-west-x",
            "eu-west-1a",
            "Ireland",
            "EU-WEST-1",
            "west-1",
            "eu--west-1",
            "eu-west-",
            "e-west-1",
            "us-east-1 ",
        ];
        check(is_region, &regions, &others);
    }

    #[test]
    fn names() {
        check(is_role_name, &["eks-sg-guard_1+=,.@", &"r".repeat(64)], &["path/to/role", "a b", &"r".repeat(65)]);
        check(
            is_external_id,
            &["x1", "eks-sg-guard:111122223333:a_b", &"x".repeat(1224)],
            &["x", "a b", "a*", &"x".repeat(1225)],
        );
        check(is_table_name, &["guard-GuardTable-1ABC_d.e", "abc"], &["ab", "a table", "a/b", &"t".repeat(256)]);
    }

    #[test]
    fn a_queue_has_the_same_name_in_its_address_and_its_arn() {
        let is_url = |text: &str| Queue::of_url(text).is_some();
        let urls = [
            "https://sqs.us-east-1.amazonaws.com/111122223333/guard-WorkQueue-1A_b",
            "http://[::1]:5000/111122223333/q",
        ];
        let long = format!("https://sqs/111122223333/{}", "q".repeat(81));
        let others = [
            "guard",
            "https://sqs.us-east-1.amazonaws.com/111122223333",
            "https://h/111122223333/q/",
            "ftp://h/111122223333/q",
        ];
        check(
            is_url,
            &urls,
            &[&others[..], &["https://h/1111/q", "https:///111122223333/q", "https://h/111122223333/a b", &long]]
                .concat(),
        );
        let arn = "arn:aws:sqs:us-east-1:111122223333:guard-WorkQueue-1A_b";
        assert_eq!(Queue::of_arn(arn), Queue::of_url(urls[0]));
        check(|text| Queue::of_arn(text).is_some(), &[arn], &["arn:aws:sns:us-east-1:111122223333:guard", urls[0]]);
    }

    #[test]
    fn a_rule_of_eventbridge_is_on_a_bus() {
        let of = |text: &str| EventRule::of(text).map(|rule| (rule.bus, rule.name));
        let rule = |bus: Option<&str>| Some((bus.map(str::to_owned), "guard.a_B-1".to_owned()));
        assert_eq!(of("guard.a_B-1"), rule(None));
        assert_eq!(of("arn:aws:events:us-east-1:111122223333:rule/guard.a_B-1"), rule(None));
        assert_eq!(of("arn:aws:events:us-east-1:111122223333:rule/ours/guard.a_B-1"), rule(Some("ours")));
        let bad = [
            "bus/guard",
            "a rule",
            "arn:aws:sns:us-east-1:111122223333:guard",
            "arn:aws:events:us-east-1:111122223333:rule/",
        ];
        check(|text| EventRule::of(text).is_some(), &["guard"], &bad);
        assert_eq!(of("arn:aws:events:us-east-1:111122223333:rule//guard"), None);
        assert_eq!(of(&"r".repeat(65)), None);
    }

    #[test]
    fn ids_of_ec2() {
        for (resource, prefix) in [
            (Resource::Group, "sg-"),
            (Resource::Rule, "sgr-"),
            (Resource::PrefixList, "pl-"),
            (Resource::Interface, "eni-"),
            (Resource::Instance, "i-"),
            (Resource::Vpc, "vpc-"),
        ] {
            let id = |digits: &str| format!("{prefix}{digits}");
            let good = [id("0a1b2c3d"), id("0123456789abcdef0")];
            let bad = [
                id(""),
                id("0a1b2c3"),
                id("0A1B2C3D"),
                id("0a1b2c3g"),
                id(&"0".repeat(33)),
                id("0a1b2c3d "),
                "x0a1b2c3d".into(),
            ];
            check(
                |text| resource.is_id(text),
                &good.each_ref().map(String::as_str),
                &bad.each_ref().map(String::as_str),
            );
            assert!(!Resource::Group.is_id("sgr-0123456789abcdef0") && !Resource::Rule.is_id("sg-0123456789abcdef0"));
        }
    }

    #[test]
    fn arns() {
        let role = "arn:aws:iam::111122223333:role/eks/guard";
        let arn = Arn::parse(role).unwrap();
        assert_eq!((arn.partition, arn.service, arn.region, arn.account), ("aws", "iam", "", "111122223333"));
        check(
            |text| Arn::parse(text).is_some_and(|arn| arn.role().is_some()),
            &[role, "arn:aws-us-gov:iam::111122223333:role/a"],
            &[
                "arn:aws:iam::111122223333:role/",
                "arn:aws:iam::111122223333:role/a*",
                "arn:aws:iam::111122223333:role/a b",
                "arn:aws:iam:us-east-1:111122223333:role/a",
                "arn:aws:iam:::role/a",
                "arn:aws:iam::11112222333:role/a",
                "arn:aws:sts::111122223333:assumed-role/a/session",
                "arn:aws:iam::111122223333:user/a",
                "aws:iam::111122223333:role/a",
                "arn:azure:iam::111122223333:role/a",
            ],
        );
        check(
            |text| Arn::parse(text).is_some_and(|arn| arn.topic().is_some()),
            &["arn:aws:sns:us-east-1:111122223333:ops", "arn:aws-cn:sns:cn-north-1:111122223333:ops_2-a"],
            &[
                "ops",
                "arn:aws:sns:::ops",
                "arn:aws:sns:us-east-1:111122223333:",
                "arn:aws:sns:us-east-1:111122223333:ops:5f1e",
                "arn:aws:sqs:us-east-1:111122223333:ops",
                "arn:aws:sns:us-east-x:111122223333:ops",
            ],
        );
        check(
            |text| Arn::parse(text).is_some_and(|arn| arn.secret().is_some()),
            &["arn:aws:secretsmanager:us-east-1:111122223333:secret:chat/hook-AbCdEf"],
            &[
                "xoxb-0",
                "arn:aws:secretsmanager:us-east-1:111122223333:hook",
                "arn:aws:ssm:us-east-1:111122223333:secret:a",
            ],
        );
        check(
            |text| Arn::parse(text).is_some_and(|arn| arn.table().is_some()),
            &["arn:aws-cn:dynamodb:cn-north-1:111122223333:table/guard"],
            &[
                "guard",
                "arn:aws:dynamodb:us-east-1:111122223333:global-table/guard",
                "arn:aws:dynamodb:::table/guard",
                "arn:aws:dynamodb:us-east-1:111122223333:table/guard/index/by-time",
            ],
        );
        check(
            |text| Arn::parse(text).is_some_and(|arn| arn.user().is_some()),
            &["arn:aws:iam::111122223333:user/a"],
            &[role],
        );
    }
}
