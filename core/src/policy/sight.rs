//! Whether the guard would see what happens: whether a trail logs EC2's management write events in a region, without which
//! `EventBridge` has nothing to deliver, and whether its own event rule delivers. Event data stores do not count: what they
//! log goes nowhere else.
//!
//! Must not: read anything. What could not be read makes nobody blind; it is said.

use crate::model::text::{first_few, plain, quoted};
use crate::model::trails::{BasicSelector, FieldSelector, RuleState, Selectors, Trail};

/// The management write event that has to come through, by the fields that a trail may select by.
const WANTED: [(&str, &str); 3] =
    [("eventCategory", "Management"), ("readOnly", "false"), ("eventSource", "ec2.amazonaws.com")];
/// The one of them that each selector has.
const CATEGORY: &str = WANTED[0].0;
const SOURCE: &str = WANTED[2].1;
/// Which reads and writes a selector of the older kind has: with writes, and without.
const WITH_WRITES: [&str; 2] = ["All", "WriteOnly"];
const WITHOUT_WRITES: &str = "ReadOnly";
/// Trails written out; the rest is counted.
const MAX_NAMED: usize = 5;

/// Whether events come. Of what is wrong: a line for each, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// They do.
    Clear,
    /// They surely do not.
    Blind(Vec<String>),
    /// Nobody knows.
    Unknown(Vec<String>),
}

/// What is known of one trail.
enum Logs {
    Yes,
    No(String),
    Maybe(String),
}

/// Whether one of the trails logs what EC2 is told in this region.
pub fn of_trails(trails: &[Trail], region: &str) -> Sight {
    let (mut blind, mut unknown) = (Vec::new(), Vec::new());
    let mut here: Vec<&Trail> =
        trails.iter().filter(|trail| trail.is_multi_region || trail.home_region == region).collect();
    here.sort_by_key(|trail| &trail.arn);
    if here.is_empty() {
        blind.push("no trail covers this region: have one log its management events".to_owned());
    }
    for trail in here {
        match logs(trail) {
            Logs::Yes => return Sight::Clear,
            Logs::No(why) => blind.push(why),
            Logs::Maybe(why) => unknown.push(why),
        }
    }
    if unknown.is_empty() { Sight::Blind(shortened(blind)) } else { Sight::Unknown(shortened(unknown)) }
}

/// Whether the guard's own rule delivers.
pub fn of_rule(name: &str, state: RuleState) -> Sight {
    let blind = |why: String| Sight::Blind(vec![format!("event rule {} {why}", quoted(name))]);
    match state {
        RuleState::Delivers => Sight::Clear,
        RuleState::Disabled => {
            blind(format!("is disabled\nSwitch it on: `aws events enable-rule --name {}`", plain(name)))
        }
        RuleState::Elsewhere => blind("does not have the guard as a target: deploy the guard's stack again".to_owned()),
        RuleState::Gone => blind("is gone: deploy the guard's stack again".to_owned()),
    }
}

fn shortened(lines: Vec<String>) -> Vec<String> {
    first_few(lines, MAX_NAMED, |rest| format!("… and {rest} more"))
}

fn logs(trail: &Trail) -> Logs {
    let name = trail.arn.rsplit('/').next().unwrap_or_default();
    let called = format!("trail {} ({})", quoted(name), plain(&trail.home_region));
    let unread = |what: &str, why: &str| Logs::Maybe(format!("{called}: {what} could not be read:\n{}", plain(why)));
    // What it selects does not matter while it is stopped, and the other way round.
    let selected = match &trail.selectors {
        Ok(selectors) => selects(selectors),
        Err(why) => Selected::Unread(why),
    };
    match (&trail.is_logging, selected) {
        (Ok(false), _) => Logs::No(format!("{called} is stopped{}", start(name, &trail.home_region))),
        (_, Selected::No) => {
            Logs::No(format!("{called} leaves out the write calls of EC2: change its event selectors"))
        }
        (Err(why), _) => unread("whether it logs", why),
        (Ok(true), Selected::Unread(why)) => unread("what it logs", why),
        (Ok(true), Selected::Maybe(what)) => Logs::Maybe(format!("{called}: the guard does not know {what}")),
        (Ok(true), Selected::Yes) => Logs::Yes,
    }
}

/// On a line of its own the command that has it log again, where nothing in it means anything to a shell.
fn start(name: &str, home_region: &str) -> String {
    let is_harmless = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if is_harmless(name) && is_harmless(home_region) {
        format!("\nStart it: `aws cloudtrail start-logging --name {name} --region {home_region}`")
    } else {
        String::new()
    }
}

/// Whether selectors let the wanted events through.
enum Selected<'a> {
    Yes,
    No,
    Maybe(String),
    Unread(&'a str),
}

fn selects(selectors: &Selectors) -> Selected<'static> {
    let each: Vec<Selected<'static>> = match selectors {
        Selectors::Default => return Selected::Yes,
        Selectors::Basic(all) => all.iter().map(basic).collect(),
        Selectors::Advanced(all) => all.iter().map(|fields| advanced(fields)).collect(),
    };
    if each.iter().any(|selected| matches!(selected, Selected::Yes)) {
        return Selected::Yes;
    }
    each.into_iter().find(|selected| matches!(selected, Selected::Maybe(_))).unwrap_or(Selected::No)
}

fn basic(BasicSelector { has_management_events, read_write, excluded_sources }: &BasicSelector) -> Selected<'static> {
    if !has_management_events || read_write == WITHOUT_WRITES || excluded_sources.iter().any(|source| source == SOURCE)
    {
        Selected::No
    } else if WITH_WRITES.contains(&read_write.as_str()) {
        Selected::Yes
    } else {
        Selected::Maybe(format!("its `ReadWriteType` `{}`", plain(read_write)))
    }
}

fn advanced(fields: &[FieldSelector]) -> Selected<'static> {
    let mut unknown = None;
    for FieldSelector { field, any_of, none_of } in fields {
        let Some((_, value)) = WANTED.iter().find(|(name, _)| name == field) else {
            unknown = Some(format!("the field `{}` of its event selectors", plain(field)));
            continue;
        };
        let is_wanted = any_of.is_empty() || any_of.iter().any(|pattern| pattern.fits(value));
        if !is_wanted || none_of.iter().any(|pattern| pattern.fits(value)) {
            return Selected::No;
        }
    }
    if !fields.iter().any(|selector| selector.field == CATEGORY) {
        return Selected::Maybe(format!("event selectors without `{CATEGORY}`"));
    }
    unknown.map_or(Selected::Yes, Selected::Maybe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trails::Pattern;

    const HERE: &str = "eu-west-1";

    fn trail() -> Trail {
        Trail {
            arn: "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit".to_owned(),
            home_region: HERE.to_owned(),
            is_multi_region: false,
            is_logging: Ok(true),
            selectors: Ok(Selectors::Default),
        }
    }

    fn basic(has_management_events: bool, read_write: &str, excluded: &[&str]) -> Selectors {
        let excluded_sources = excluded.iter().map(|source| (*source).to_owned()).collect();
        Selectors::Basic(vec![BasicSelector {
            has_management_events,
            read_write: read_write.to_owned(),
            excluded_sources,
        }])
    }

    fn is(field: &str, value: &str) -> FieldSelector {
        FieldSelector { field: field.to_owned(), any_of: vec![Pattern::Is(value.to_owned())], none_of: vec![] }
    }

    fn not(field: &str, pattern: Pattern) -> FieldSelector {
        FieldSelector { field: field.to_owned(), any_of: vec![], none_of: vec![pattern] }
    }

    fn management(more: Vec<FieldSelector>) -> Selectors {
        Selectors::Advanced(vec![[vec![is("eventCategory", "Management")], more].concat()])
    }

    fn word(trails: &[Trail]) -> &'static str {
        match of_trails(trails, HERE) {
            Sight::Clear => "clear",
            Sight::Blind(_) => "blind",
            Sight::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn a_trail_has_to_be_of_this_region_or_of_all_and_to_log() {
        let elsewhere = Trail { home_region: "us-east-1".to_owned(), ..trail() };
        let multi = Trail { is_multi_region: true, ..elsewhere.clone() };
        let stopped = Trail { is_logging: Ok(false), ..trail() };
        let unread = Trail { is_logging: Err("AccessDenied".to_owned()), ..trail() };
        for (trails, expected) in [
            (vec![], "blind"),
            (vec![trail()], "clear"),
            (vec![elsewhere.clone()], "blind"),
            (vec![multi.clone()], "clear"),
            (vec![stopped.clone()], "blind"),
            (vec![stopped.clone(), multi], "clear"),
            (vec![unread.clone()], "unknown"),
            (vec![stopped.clone(), unread.clone()], "unknown"),
            (vec![unread.clone(), trail()], "clear"),
            (vec![Trail { home_region: "us-east-1".to_owned(), ..unread.clone() }], "blind"),
            // Whether it logs does not matter where it would log nothing of ours.
            (vec![Trail { selectors: Ok(basic(false, "All", &[])), ..unread }], "blind"),
            (vec![Trail { selectors: Err("AccessDenied".to_owned()), ..stopped }], "blind"),
            (vec![Trail { selectors: Err("AccessDenied".to_owned()), ..trail() }], "unknown"),
        ] {
            assert_eq!(word(&trails), expected, "{trails:?}");
        }
    }

    #[test]
    fn its_selectors_have_to_let_the_write_calls_of_ec2_through() {
        for (selectors, expected) in [
            (Selectors::Default, "clear"),
            (basic(true, "All", &[]), "clear"),
            (basic(true, "WriteOnly", &["kms.amazonaws.com", "rdsdata.amazonaws.com"]), "clear"),
            (basic(true, "ReadOnly", &[]), "blind"),
            (basic(false, "All", &[]), "blind"),
            (basic(true, "All", &["ec2.amazonaws.com"]), "blind"),
            (basic(true, "SomeOfThem", &[]), "unknown"),
            (Selectors::Basic(vec![]), "blind"),
            (Selectors::Advanced(vec![]), "blind"),
            (management(vec![]), "clear"),
            (management(vec![is("readOnly", "false")]), "clear"),
            (management(vec![is("readOnly", "true")]), "blind"),
            (management(vec![not("eventSource", Pattern::Is("kms.amazonaws.com".to_owned()))]), "clear"),
            (management(vec![not("eventSource", Pattern::Is("ec2.amazonaws.com".to_owned()))]), "blind"),
            (management(vec![not("eventSource", Pattern::Begins("ec2.".to_owned()))]), "blind"),
            (management(vec![not("eventSource", Pattern::Ends(".amazonaws.com".to_owned()))]), "blind"),
            (management(vec![is("eventSource", "kms.amazonaws.com")]), "blind"),
            (management(vec![is("eventName", "RunInstances")]), "unknown"),
            (management(vec![is("eventName", "RunInstances"), is("readOnly", "true")]), "blind"),
            (Selectors::Advanced(vec![vec![is("eventCategory", "Data")]]), "blind"),
            (Selectors::Advanced(vec![vec![is("readOnly", "false")]]), "unknown"),
            (
                Selectors::Advanced(vec![vec![is("eventCategory", "Data")], vec![is("eventCategory", "Management")]]),
                "clear",
            ),
        ] {
            assert_eq!(word(&[Trail { selectors: Ok(selectors.clone()), ..trail() }]), expected, "{selectors:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_of_few_trails_in_one_order_and_with_what_to_do() {
        let number = |n: usize| Trail { arn: format!("arn:trail/{n}"), is_logging: Ok(false), ..trail() };
        let Sight::Blind(lines) = of_trails(&(0..8).rev().map(number).collect::<Vec<_>>(), HERE) else { panic!() };
        assert_eq!(lines.len(), 6);
        assert_eq!(
            lines[0],
            "trail `0` (eu-west-1) is stopped\nStart it: `aws cloudtrail start-logging --name 0 --region eu-west-1`"
        );
        assert_eq!(lines[5], "… and 3 more");
        for arn in ["arn:trail/a; reboot", "arn:trail/a\nb", "arn:trail/$(a)"] {
            let Sight::Blind(lines) = of_trails(&[Trail { arn: arn.to_owned(), ..number(0) }], HERE) else { panic!() };
            assert!(lines[0].ends_with("is stopped") && !lines[0].contains('\n'), "nothing to copy: {lines:?}");
        }
    }

    #[test]
    fn that_there_is_no_trail_is_said() {
        let Sight::Blind(lines) = of_trails(&[], HERE) else { panic!() };
        assert_eq!(lines, ["no trail covers this region: have one log its management events"]);
    }

    #[test]
    fn the_own_rule_has_to_lead_to_the_guard() {
        assert_eq!(of_rule("guard", RuleState::Delivers), Sight::Clear);
        for state in [RuleState::Disabled, RuleState::Elsewhere, RuleState::Gone] {
            assert!(matches!(of_rule("guard", state), Sight::Blind(_)), "{state:?}");
        }
    }
}
