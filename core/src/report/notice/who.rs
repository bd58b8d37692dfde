//! Who made a call, in words: a person, a role or a service; whose account, if it is not this one; with what program.
//!
//! The words are for people. Must not: let anything hang on them, or show text from outside as it came.

use super::situation::Topic;
use super::source;
use crate::event::Actor;
use crate::model::ids::Arn;
use crate::model::text::plain;

/// How the roles begin that IAM Identity Center makes for its permission sets.
const SSO: &str = "AWSReservedSSO_";
/// Digits that IAM Identity Center puts behind the name of a permission set.
const SSO_SUFFIX_LEN: usize = 17;

/// Who it was. `account`: the one that was changed.
pub(super) fn name(actor: &Actor, account: &str) -> String {
    let (who, of) = match actor.arn.as_deref() {
        Some(arn) => of_arn(arn, actor.r#type.as_deref()),
        None => (without_arn(actor), None),
    };
    let of = of.or_else(|| actor.account.clone()).filter(|of| of != account);
    match of {
        Some(of) if who.is_empty() => format!("somebody in account {} (not this account)", plain(&of)),
        Some(of) => format!("{who} of account {} (not this account)", plain(&of)),
        None if who.is_empty() => "somebody in this account, whom CloudTrail does not name".to_owned(),
        None => who,
    }
}

/// Whom to ask what a call was for; strangers, services and whoever is not named can't be asked.
pub(super) fn to_ask(actor: &Actor, account: &str) -> String {
    let who = name(actor, account);
    let is_named = actor.arn.is_some();
    match account_of(actor).filter(|of| of != account) {
        Some(of) => format!(
            "Find out from those who run account {} (not this account) who did it and what for: until you know, it may be \
             an intruder.",
            plain(&of)
        ),
        None if is_named => format!("Ask {who} whether it was them, and what it was for."),
        None if actor.invoked_by.is_some() => format!("Find out what had {who} do it, and what for."),
        None => "Find out in CloudTrail who did it and what for: until you know, it may be an intruder.".to_owned(),
    }
}

/// The account of whoever made a call, as far as it is known.
fn account_of(actor: &Actor) -> Option<String> {
    let of_arn = actor.arn.as_deref().and_then(Arn::parse).map(|arn| arn.account.to_owned());
    of_arn.filter(|of| !of.is_empty()).or_else(|| actor.account.clone())
}

/// Who it was, from where and with what.
pub(super) fn in_full(actor: &Actor, account: &str) -> String {
    let address = actor.source_ip.as_deref().filter(|from| from.parse::<std::net::IpAddr>().is_ok());
    let from = address.map(|address| format!(", from {address}")).unwrap_or_default();
    let service = actor.invoked_by.as_deref().filter(|_| actor.arn.is_some());
    let through = service.map(|service| format!(", through {}", of_service(service))).unwrap_or_default();
    let tool = source::program(actor).filter(|_| service.is_none());
    let how = |tool: &str| if tool.ends_with("console") { "in" } else { "with" };
    let with = tool.map(|tool| format!(", {} {tool}", how(tool))).unwrap_or_default();
    format!("{}{with}{through}{from}", name(actor, account))
}

/// A principal that is known by its ARN alone.
pub(super) fn of_principal(arn: &str, account: &str) -> String {
    name(&Actor { arn: Some(arn.to_owned()), ..Actor::default() }, account)
}

/// Whether it was the root user, whom nobody has to be on an ordinary day.
pub(super) fn is_root(actor: &Actor) -> bool {
    let is_arn = |arn: &str| Arn::parse(arn).is_some_and(|parsed| parsed.resource == "root");
    actor.r#type.as_deref() == Some("Root") || (actor.r#type.is_none() && actor.arn.as_deref().is_some_and(is_arn))
}

/// That it may be an intruder, which has to be known before all else where it was the root user.
pub(super) fn suspect(topics: &[Topic<'_>]) -> Option<String> {
    let is_it = |topic: &&Topic<'_>| topic.was_opened() && topic.record.actor.as_ref().is_some_and(is_root);
    topics.iter().find(is_it).map(|_| "This may be an intruder: the root user made the call".to_owned())
}

/// In words, and the account.
fn of_arn(arn: &str, kind: Option<&str>) -> (String, Option<String>) {
    let Some(parsed) = Arn::parse(arn) else { return (plain(arn), None) };
    let account = Some(parsed.account.to_owned()).filter(|account| !account.is_empty());
    let resource = parsed.resource;
    let who = match resource.split_once('/') {
        None if resource == "root" || kind == Some("Root") => "the root user".to_owned(),
        Some(("user", path)) => format!("user {}", plain(last(path))),
        Some(("federated-user", name)) => format!("federated user {}", plain(name)),
        Some(("role", path)) => format!("role {}", plain(last(path))),
        Some(("assumed-role", rest)) => session(rest),
        _ => plain(arn),
    };
    (who, account)
}

/// A session of a role: people of IAM Identity Center by the name that they have there.
fn session(text: &str) -> String {
    let (role, session) = text.split_once('/').unwrap_or((text, ""));
    if let Some(set) = role.strip_prefix(SSO) {
        let end = set.len().saturating_sub(SSO_SUFFIX_LEN);
        let set = set.get(..end).filter(|set| !set.is_empty()).unwrap_or(set);
        return format!("{} (IAM Identity Center, {})", plain(session), plain(set));
    }
    let named = if session.is_empty() { String::new() } else { format!(", session {}", plain(session)) };
    format!("role {}{named}", plain(role))
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn without_arn(actor: &Actor) -> String {
    match (actor.r#type.as_deref(), actor.invoked_by.as_deref()) {
        (Some("Root"), _) => "the root user".to_owned(),
        (_, Some(service)) => of_service(service),
        (Some("AWSService"), None) => "an AWS service".to_owned(),
        (Some("IdentityCenterUser"), None) => "a person of IAM Identity Center".to_owned(),
        _ => String::new(),
    }
}

fn of_service(service: &str) -> String {
    match source::writer(service) {
        Some(name) => name.to_owned(),
        None => format!("the AWS service {}", plain(service)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_roles_services_and_strangers_have_words() {
        let arn = |arn: &str| Actor { arn: Some(arn.to_owned()), ..Actor::default() };
        let text = |text: &str| Some(text.to_owned());
        for (actor, expected) in [
            (arn("arn:aws:iam::111122223333:user/ops/alice"), "user alice"),
            (arn("arn:aws-cn:iam::111122223333:root"), "the root user"),
            (Actor { r#type: text("Root"), ..Actor::default() }, "the root user"),
            (arn("arn:aws:sts::111122223333:assumed-role/Admin/kim"), "role Admin, session kim"),
            (
                arn("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_NetOps_0123456789abcdef/kim@example.com"),
                "kim@example.com (IAM Identity Center, NetOps)",
            ),
            (arn("arn:aws:sts::111122223333:federated-user/bob"), "federated user bob"),
            (arn("arn:aws:iam::999988887777:user/eve"), "user eve of account 999988887777 (not this account)"),
            (
                Actor { r#type: text("AWSAccount"), account: text("999988887777"), ..Actor::default() },
                "somebody in account 999988887777 (not this account)",
            ),
            (Actor { r#type: text("AWSService"), invoked_by: text("eks.amazonaws.com"), ..Actor::default() }, "EKS"),
            (Actor { invoked_by: text("x.amazonaws.com"), ..Actor::default() }, "the AWS service x.amazonaws.com"),
            (Actor::default(), "somebody in this account, whom CloudTrail does not name"),
            (arn("no\nARN"), "no\u{fffd}ARN"),
        ] {
            assert_eq!(name(&actor, "111122223333"), expected);
        }
    }

    #[test]
    fn only_who_can_answer_is_asked() {
        let arn = |arn: &str| Actor { arn: Some(arn.to_owned()), ..Actor::default() };
        let text = |text: &str| Some(text.to_owned());
        for (actor, expected) in [
            (arn("arn:aws:iam::111122223333:user/alice"), "Ask user alice whether it was them"),
            (arn("arn:aws:iam::999988887777:user/eve"), "Find out from those who run account 999988887777 (not this"),
            (Actor { account: text("999988887777"), ..Actor::default() }, "Find out from those who run account 9999"),
            (Actor { invoked_by: text("x.amazonaws.com"), ..Actor::default() }, "Find out what had the AWS service x."),
            (Actor::default(), "Find out in CloudTrail who did it"),
        ] {
            let step = to_ask(&actor, "111122223333");
            assert!(step.starts_with(expected), "{step}");
        }
    }

    #[test]
    fn the_console_is_called_so_and_a_host_name_is_no_address() {
        let actor = Actor {
            arn: Some("arn:aws:iam::111122223333:user/alice".to_owned()),
            source_ip: Some("AWS Internal".to_owned()),
            user_agent: Some("AWS Internal".to_owned()),
            ..Actor::default()
        };
        assert_eq!(in_full(&actor, "111122223333"), "user alice, in the AWS console");
        let actor = Actor { source_ip: Some("198.51.100.9".to_owned()), user_agent: None, ..actor };
        assert_eq!(in_full(&actor, "111122223333"), "user alice, from 198.51.100.9");
    }
}
