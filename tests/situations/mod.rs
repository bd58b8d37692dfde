//! Each situation that people are notified of, as the function would make it, and its message.

use std::collections::BTreeMap;

use eks_sg_guard::event::{Actor, CALLS, Event};
use eks_sg_guard::model::group::{Beside, Evidence, Group, Role, RoleEvidence};
use eks_sg_guard::model::ids::Location;
use eks_sg_guard::model::rule::{Direction, Packets, Peer, Rule};
use eks_sg_guard::policy::builtin;
use eks_sg_guard::policy::controller::Author;
use eks_sg_guard::policy::judge::judge;
use eks_sg_guard::policy::model::{Mode, Severity, Verdict};
use eks_sg_guard::report::finding::{Check, Finding, ListRecord, PortionRecord, Subject};
use eks_sg_guard::report::notice::{self, Message};
use eks_sg_guard::report::outcome::{Action, Contested, Left, Opener};
use eks_sg_guard::report::record::{About, Attachment, Record};
use jiff::Timestamp;

use crate::read_back::read_back;

pub(crate) fn location() -> Location {
    Location::new("111122223333", "eu-west-1")
}

pub(crate) fn at(minute: u32) -> Timestamp {
    format!("2026-11-23T03:{minute:02}:05Z").parse().unwrap()
}

/// When a rule that came back was opened first.
fn earlier() -> Timestamp {
    "2026-11-22T21:14:40Z".parse().unwrap()
}

pub(crate) fn event(actor: Actor) -> Event {
    Event { id: "e-1".to_owned(), call: &CALLS[0], time: Some(at(0)), location: location(), actor }
}

pub(crate) fn kim() -> Actor {
    Actor {
        arn: Some("arn:aws:sts::111122223333:assumed-role/Admin/kim".to_owned()),
        r#type: Some("AssumedRole".to_owned()),
        session_issuer: Some("arn:aws:iam::111122223333:role/Admin".to_owned()),
        federated_provider: None,
        account: None,
        source_ip: Some("198.51.100.9".to_owned()),
        user_agent: Some("APN/1.0 HashiCorp/1.0 Terraform/1.9.5".to_owned()),
        invoked_by: None,
    }
}

pub(crate) fn rule(id: &str, packets: Packets, cidr: &str) -> Rule {
    let peer = Peer::cidr(cidr).unwrap();
    Rule { id: id.to_owned(), direction: Direction::Ingress, packets, peer, description: None, tags: BTreeMap::new() }
}

pub(crate) fn group(rules: Vec<Rule>) -> Group {
    let node = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };
    Group {
        id: "sg-0a1b2c3d4e5f60718".to_owned(),
        name: "prod-node".to_owned(),
        vpc: "vpc-0a1".to_owned(),
        clusters: ["prod".to_owned()].into(),
        roles: [node].into(),
        rules,
        ..Group::default()
    }
}

/// The findings of these rules, each with what became of it.
pub(crate) fn findings(group: &Group, actions: &[Action]) -> Vec<Finding> {
    let judged = judge(builtin::policy("standard").unwrap(), group, &location(), at(0), |_| Author::Unknown);
    let each = judged.into_iter().zip(actions.iter().cycle());
    let detail = |action: Action| match action {
        Action::Refused => Some("more rules than GUARD_MAX_REVOKES (1)".to_owned()),
        Action::Failed => Some("not allowed to call `ec2:RevokeSecurityGroupIngress`".to_owned()),
        _ => None,
    };
    let finding = |(judged, action): (_, &Action)| Finding::of_rule(judged, (true, false), *action, detail(*action));
    let mut findings: Vec<Finding> = each.map(finding).collect();
    for finding in &mut findings {
        finding.close(at(2), &group.rules);
    }
    findings
}

pub(crate) fn record(group: &Group, findings: Vec<Finding>, event: Option<&Event>) -> Record {
    record_about(About::Group(group), findings, event)
}

pub(crate) fn record_about(about: About<'_>, findings: Vec<Finding>, event: Option<&Event>) -> Record {
    let policy = builtin::policy("standard").unwrap();
    let record = Record::of(&location(), policy, Mode::Enforce, about, findings, event);
    record.clone().split().iter().for_each(read_back);
    record
}

pub(crate) fn kubelet() -> Rule {
    rule("sgr-0a1", Packets::Tcp(10250, 10250), "0.0.0.0/0")
}

pub(crate) fn notified(record: &Record) -> Message {
    notice::message(record, Some(notice::notice(record, at(2))))
}

fn person(arn: &str, agent: &str, address: &str) -> Actor {
    Actor {
        arn: Some(arn.to_owned()),
        user_agent: Some(agent.to_owned()),
        source_ip: Some(address.to_owned()),
        ..Actor::default()
    }
}

fn alice() -> Actor {
    person("arn:aws:iam::111122223333:user/alice", "aws-cli/2.17.0 md/awscrt#0.20", "203.0.113.10")
}

fn by(actor: Actor, call: &str) -> Event {
    let call = CALLS.iter().find(|known| known.name == call).unwrap();
    Event { call, ..event(actor) }
}

fn world(id: &str, port: u16) -> Rule {
    rule(id, Packets::Tcp(port, port), "0.0.0.0/0")
}

/// One rule of the group, with what became of it.
fn one(rule: Rule, action: Action, actor: Actor, call: &str) -> Record {
    let group = group(vec![rule]);
    record(&group, findings(&group, &[action]), Some(&by(actor, call)))
}

fn because(mut record: Record, detail: &str) -> Record {
    record.findings[0].detail = Some(detail.to_owned());
    record
}

/// The kubelet is open, and left for this reason.
fn left(action: Action, left: Option<Left>, detail: &str) -> Record {
    let mut record = because(one(kubelet(), action, alice(), "AuthorizeSecurityGroupIngress"), detail);
    record.findings[0].for_people.left = left;
    record
}

fn edited(action: Action) -> Record {
    let mut record = one(kubelet(), action, kim(), "ModifySecurityGroupRules");
    record.findings[0].before = Some(rule("sgr-0a1", Packets::Tcp(443, 443), "10.0.0.0/16"));
    record
}

fn missing(id: &str, protocol: &str, ports: &str, what: &str) -> Finding {
    let exposed = Finding::exposed("prod", Severity::High, true);
    let policy = builtin::policy("standard").unwrap();
    let requirement = policy.requirements.iter().find(|known| known.id == id).unwrap();
    let portion = PortionRecord {
        clause: id.to_owned(),
        protocol: protocol.to_owned(),
        ports: ports.to_owned(),
        peer_class: requirement.peer_class(),
        addresses: None,
        verdict: Verdict::Report,
        reason: requirement.reason.clone(),
    };
    let detail = Some(format!("interfaces with sg-0a1b2c3d4e5f60718 attached have no {what}"));
    Finding { subject: Subject::Requirement(id.to_owned()), portions: vec![portion], detail, ..exposed }
}

/// Put on a node that has the cluster's own group.
fn attachment() -> Attachment {
    let role = RoleEvidence { role: Role::Cluster, evidence: Evidence::DescribeCluster, strong: true };
    let beside = Beside {
        id: "sg-0c0ffee0c0ffee001".to_owned(),
        name: None,
        clusters: vec!["prod".to_owned()],
        roles: vec![role],
    };
    Attachment {
        interface: Some("eni-0f1e2d3c4b5a69788".to_owned()),
        instance: Some("i-0123456789abcdef0".to_owned()),
        name: Some("worker-7".to_owned()),
        groups: vec!["sg-0a1b2c3d4e5f60718".to_owned(), "sg-0c0ffee0c0ffee001".to_owned()],
        beside: vec![beside],
    }
}

fn list(gained: &[&str]) -> ListRecord {
    let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
    ListRecord::new("pl-0a1b2c3d4e5f60718", Some("office".to_owned()), &nets(&["0.0.0.0/0"]), &nets(gained))
}

/// The groups of a sweep: two with something to say, and a clean one.
pub(crate) fn swept() -> [Record; 3] {
    let node = group(vec![kubelet(), world("sgr-0a2", 9000)]);
    let mut other = group(vec![rule("sgr-0a3", Packets::Tcp(22, 22), "::/0")]);
    (other.id, other.name) = ("sg-0other".to_owned(), "prod-bastion".to_owned());
    let clean = group(vec![]);
    let mut records = [
        record(&node, findings(&node, &[Action::WouldRevoke, Action::Reported]), None),
        record(&other, findings(&other, &[Action::WouldRevoke]), None),
        record(&clean, vec![], None),
    ];
    let why = "rules that were there before are only reported (`GUARD_SWEEP_MODE` is `report`)";
    for finding in records.iter_mut().flat_map(|record| &mut record.findings) {
        finding.known = true;
        if finding.action == Action::WouldRevoke {
            finding.detail = Some(why.to_owned());
        }
    }
    records
}

/// Two groups, one closed and one not, each of another cluster.
pub(crate) fn of_one_call() -> [Record; 2] {
    let node = group(vec![kubelet(), world("sgr-0a2", 9000)]);
    let mut other = group(vec![rule("sgr-0a3", Packets::Tcp(22, 22), "::/0")]);
    (other.id, other.name) = ("sg-0other".to_owned(), "test-node".to_owned());
    other.clusters = ["test".to_owned()].into();
    let event = by(alice(), "ModifyManagedPrefixList");
    let mut failed = findings(&other, &[Action::Failed]);
    failed[0].contested = Some(Contested { times: 3, since: earlier(), by: vec![] });
    [
        record(&node, findings(&node, &[Action::Revoked, Action::Reported]), Some(&event)),
        record(&other, failed, Some(&event)),
    ]
}

/// What is said of one group, cluster or account, by the name of the situation.
pub(crate) fn records() -> Vec<(&'static str, Record)> {
    of_rules().into_iter().chain(of_others()).collect()
}

/// What is said of rules.
fn of_rules() -> Vec<(&'static str, Record)> {
    let authorize = "AuthorizeSecurityGroupIngress";
    let mut contested = one(kubelet(), Action::Revoked, kim(), authorize);
    let opener = Opener { arn: kim().arn.unwrap(), times: 3 };
    contested.findings[0].contested = Some(Contested { times: 3, since: earlier(), by: vec![opener] });

    let several = group(vec![kubelet(), world("sgr-0a2", 22), world("sgr-0a3", 3389)]);
    let mut several_findings = findings(&several, &[Action::Revoked, Action::Failed, Action::Failed]);
    several_findings.iter_mut().filter(|finding| finding.action == Action::Failed).for_each(|finding| {
        finding.detail =
            Some("still open: `ec2:RevokeSecurityGroupIngress` was not done: RequestLimitExceeded".to_owned());
    });
    let several = record(&several, several_findings, Some(&by(kim(), authorize)));

    let mut attached = one(kubelet(), Action::Revoked, alice(), "ModifyNetworkInterfaceAttribute");
    attached.group.as_mut().unwrap().attachment = Some(attachment());
    let mut shared = left(
        Action::Refused,
        Some(Left::Shared),
        "group `sg-0a1b2c3d4e5f60718` was attached to something outside of the cluster before, and a revoke would cut \
         that too",
    );
    shared.event_name = Some("ModifyNetworkInterfaceAttribute".to_owned());
    let group_of_others = shared.group.as_mut().unwrap();
    (group_of_others.name, group_of_others.attachment) = (Some("billing-web".to_owned()), Some(attachment()));
    let mut refused = left(
        Action::Refused,
        None,
        "the guard closes at most 50 rules an hour beside those that a call has just made (`GUARD_MAX_REVOKES`), and \
         it has closed that many. This one stays until somebody closes it or raises the limit",
    );
    refused.event_name = Some("ModifyNetworkInterfaceAttribute".to_owned());
    refused.group.as_mut().unwrap().attachment = Some(attachment());
    let mut shared_beside_others = shared.clone();
    let beside_others = shared_beside_others.group.as_mut().unwrap().attachment.as_mut().unwrap();
    let of_tags = RoleEvidence { role: Role::Node, evidence: Evidence::Attachment, strong: true };
    (beside_others.beside[0].name, beside_others.beside[0].roles) = (Some("web".to_owned()), vec![of_tags]);
    beside_others.groups.push("sg-0dec0de".to_owned());

    let mut needed = left(
        Action::Refused,
        Some(Left::Needed),
        "cluster `prod` depends on this rule; without it `control-plane-to-nodes` would not be met: interfaces with \
         sg-0a1b2c3d4e5f60718 attached would have no tcp 10250 from the control plane (sg-0c1u57e4). First open tcp 10250 \
         from the control plane (sg-0c1u57e4) in `sg-0a1b2c3d4e5f60718`",
    );
    let unknown_instead = needed.clone();
    let control_plane = Peer::Group { id: "sg-0c1u57e4".to_owned(), owner: None };
    needed.findings[0].for_people.instead =
        vec![Rule::new(Direction::Ingress, Packets::Tcp(10250, 10250), control_plane)];

    let peer = Peer::PrefixList("pl-0a1b2c3d4e5f60718".to_owned());
    let mut listed = one(Rule { peer, ..kubelet() }, Action::Failed, alice(), "ModifyManagedPrefixList");
    let kubelet_of_world = findings(&group(vec![kubelet()]), &[Action::Revoked]).remove(0);
    let of_list = listed.findings[0].rule().unwrap().clone();
    listed.findings =
        vec![Finding { subject: Subject::Rule(of_list), list: Some(list(&["0.0.0.0/0"])), ..kubelet_of_world }];
    (listed.outcome, listed.severity) = (listed.findings[0].action.outcome(), listed.findings[0].severity);

    let root = person("arn:aws:iam::111122223333:root", "AWS Internal", "AWS Internal");
    let stranger = Actor { account: Some("999988887777".to_owned()), ..Actor::default() };
    let console = person(
        "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_NetOps_0123456789abcdef/kim@example.com",
        "Mozilla/5.0 (X11; Linux x86_64)",
        "198.51.100.9",
    );
    let revoke = "still open: not allowed to call `ec2:RevokeSecurityGroupIngress`; grant it to the function's role, or \
                  look for a policy that denies it: UnauthorizedOperation: User: \
                  arn:aws:sts::111122223333:assumed-role/eks-sg-guard-role/eks-sg-guard is not authorized";
    vec![
        ("remediated", contested),
        ("closed", one(kubelet(), Action::Revoked, console, authorize)),
        ("closed_all_traffic", one(rule("sgr-0a1", Packets::All, "0.0.0.0/0"), Action::Revoked, stranger, authorize)),
        ("failed", because(one(kubelet(), Action::Failed, root, authorize), revoke)),
        ("reported", left(Action::WouldRevoke, None, "`GUARD_MODE` is `report`")),
        ("refused", refused),
        ("postponed", left(Action::Postponed, None, "one invocation may revoke no more rules (`GUARD_MAX_REVOKES`)")),
        ("shared", shared),
        ("shared_beside_others", shared_beside_others),
        ("needed", needed),
        ("needed_by_addresses", unknown_instead),
        ("several", several),
        (
            "was_open",
            because(
                one(kubelet(), Action::WasOpen, alice(), authorize),
                "this is what it was according to the event; when the guard looked it was gone, or harmless",
            ),
        ),
        ("already_gone", one(kubelet(), Action::AlreadyGone, kim(), authorize)),
        ("restored", edited(Action::Restored)),
        (
            "lost",
            because(
                edited(Action::Revoked),
                "lost is what the rule was; it was not put back, because \
                                                   `GUARD_RESTORE` is `never`",
            ),
        ),
        ("attached", attached),
        ("list", listed),
        ("to_check", one(world("sgr-0a2", 9000), Action::Reported, alice(), authorize)),
    ]
}

/// What is said of what is no rule.
fn of_others() -> Vec<(&'static str, Record)> {
    let authorize = "AuthorizeSecurityGroupIngress";
    let needed = group(vec![]);
    let revoked = by(alice(), "RevokeSecurityGroupIngress");
    let dns = missing("node-dns", "udp", "53", "udp 53 from nodes (sg-0a1b2c3d4e5f60718)");
    let exec =
        missing("control-plane-to-nodes", "tcp", "443,10250", "tcp 443,10250 from the control plane (sg-0c1u57e4)");
    let control_plane = Peer::Group { id: "sg-0c1u57e4".to_owned(), owner: None };
    let removed = |from: u16, to: u16| Rule::new(Direction::Ingress, Packets::Tcp(from, to), control_plane.clone());
    let mut broken = record(&needed, vec![exec.clone(), dns], Some(&revoked));
    broken.group.as_mut().unwrap().removed = vec![removed(443, 443), removed(1025, 65535)];
    let node = group(vec![rule("sgr-0a1", Packets::Tcp(0, 65535), "0.0.0.0/0")]);
    let mut both = findings(&node, &[Action::Revoked]);
    both.push(exec);
    let closed_and_broken = record(&node, both, Some(&by(alice(), authorize)));

    let exposed = Finding::exposed("prod", Severity::Medium, true);
    let denied = "not allowed to call `ec2:DescribeSecurityGroups`; grant it to the function's role, or look for a policy \
                  that denies it";
    let unfinished = "the rules of `sg-0a1b2c3d4e5f60718` could not be read: RequestLimitExceeded\n\
                      `AuthorizeSecurityGroupIngress` by arn:aws:iam::111122223333:user/alice\n\
                      On sg-0a1b2c3d4e5f60718\nIt says: TCP 10250 from anywhere (0.0.0.0/0), rule sgr-0a1\n\
                      It is tried again for more than an hour, where the guard has its work queue";
    let unread = "not everything was done: the groups of `vpc-0a1` could not be read in the time of one invocation\n\
                  It was tried for more than an hour and is given up";
    let unheard = format!("{} (STILL OPEN, forbidden)", notice::rule_in_words(&world("sgr-0a7", 22)));
    let mut all = vec![
        ("broken", broken),
        ("closed_and_broken", closed_and_broken),
        ("endpoint", record_about(About::Cluster("prod"), vec![exposed], Some(&by(alice(), "CreateCluster")))),
        ("joined", record(&needed, vec![Finding::new_cluster("prod")], Some(&by(alice(), "ModifyInstanceAttribute")))),
        ("lost_events", record(&needed, vec![Finding::lost_events(vec![unheard], at(0))], None)),
        (
            "blind_denied",
            record_about(About::Account, vec![Finding::read_denied(denied.to_owned())], Some(&by(alice(), authorize))),
        ),
        (
            "blind_unfinished",
            record_about(
                About::Account,
                vec![Finding::unfinished(unfinished.to_owned())],
                Some(&by(alice(), authorize)),
            ),
        ),
        ("blind_unfinished_swept", record_about(About::Account, vec![Finding::unfinished(unread.to_owned())], None)),
    ];
    all.extend(of_sight());
    all
}

/// What is said of what brings events to the guard.
fn of_sight() -> Vec<(&'static str, Record)> {
    let trail = "trail `audit` (eu-west-1) is stopped\nStart it: `aws cloudtrail start-logging --name audit --region \
                 eu-west-1`\ntrail `org` (us-east-1) leaves out the write calls of EC2: change its event selectors";
    let rule = "event rule `eks-sg-guard-events` is disabled\nSwitch it on: `aws events enable-rule --name \
                eks-sg-guard-events`";
    let unread =
        "trail `org` (us-east-1): whether it logs could not be read\nnot allowed to call `cloudtrail:GetTrailStatus`";
    let of = |check: Check, severity: Severity, lines: &str, call: Option<&str>| {
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        let event = call.map(|call| by(alice(), call));
        record_about(About::Account, vec![Finding::of_sight(check, severity, &lines, call.is_some())], event.as_ref())
    };
    vec![
        ("blind_no_trail", of(Check::NoTrail, Severity::Critical, trail, Some("StopLogging"))),
        ("blind_no_trail_swept", of(Check::NoTrail, Severity::Critical, trail, None)),
        ("blind_rule_disabled", of(Check::RuleDisabled, Severity::Critical, rule, Some("DisableRule"))),
        ("trails_unread", of(Check::TrailsUnread, Severity::High, unread, None)),
    ]
}

/// Every situation with its message.
pub(crate) fn all() -> Vec<(&'static str, Message)> {
    let alone = records().into_iter().map(|(name, mut record)| {
        "(hash)".clone_into(&mut record.policy_hash);
        (name, notified(&record))
    });
    let (swept, call) = (swept(), of_one_call());
    let (swept, call): (Vec<&Record>, Vec<&Record>) = (swept.iter().collect(), call.iter().collect());
    let digest = notice::message_of_many(&swept, notice::digest(&swept).unwrap());
    let call = notice::message_of_many(&call, notice::notice_of_call(&call, at(2)));
    let mut last = notified(&records()[1].1);
    last.notice = last.notice.map(|notice| notice.summary(at(59)));
    alone.chain([("digest", digest), ("call", call), ("last_of_an_hour", last)]).collect()
}
