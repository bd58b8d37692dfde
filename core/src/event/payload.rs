//! Recognises what a payload is, one message at a time; `batch` takes batches apart.
//!
//! Events are read tolerantly, because AWS renders them in many ways; commands that people write (`{"sweep": …}`) are read
//! strictly, because a misspelt field of a command would sweep everything.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::Value;

use super::fields::{get, id, is_present, kind, text};
use super::{Call, Change, Event, EventError, Parsed, Trigger, actor, change, envelope, json};
use crate::model::ids::{Location, is_region};
use crate::model::text::quoted;

const API_CALL: &str = "AWS API Call via CloudTrail";
const SCHEDULE: &str = "Scheduled Event";
/// The field of an item of `LookupEvents` that holds the record.
const LOOKED_UP: &str = "CloudTrailEvent";
/// EventBridge rules with a schedule, and EventBridge Scheduler.
const SCHEDULERS: &[&str] = &["aws.events", "aws.scheduler"];
/// Insights, service events and sign-ins come from CloudTrail as well.
const FROM_CLOUDTRAIL: &str = " via CloudTrail";
const PAYLOADS: &str = "an EventBridge event `AWS API Call via CloudTrail`, its `detail`, an EventBridge schedule, \
                        `{\"sweep\": true}` or `{\"sweep\": {\"groups\": [\"sg-…\"]}}`";
/// What tools send to keep a function warm: a field and its value, in a payload that says nothing else we know.
const WARM_UPS: &[(&str, &str)] = &[("warmup", "true"), ("warmer", "true"), ("source", "serverless-plugin-warmup")];

/// Turns the payload of an invocation into what it asks of us.
///
/// # Errors
/// A payload of another shape, or one that does not say what is needed: where, what came and what was expected.
pub fn parse(payload: &Value) -> Result<Parsed, EventError> {
    let has = |name| payload.get(name).is_some();
    if has("sweep") {
        return sweep(payload);
    }
    match envelope::content(payload) {
        Some((path, inner)) => return parse(inner).map_err(|error| error.inside(path)),
        None if envelope::is_one(payload) => return Ok(Parsed::Trigger(Trigger::Lost)),
        None => {}
    }
    if has(LOOKED_UP) {
        return looked_up(payload);
    }
    let envelope = Envelope::of(payload);
    if has("detail-type") || has("detail") || envelope.is_of_scheduler() {
        enveloped(payload, &envelope)
    } else if has("eventName") || has("eventSource") {
        // A transformer that keeps only the detail may have copied fields of the envelope beside it.
        record("$", payload, &envelope)
    } else if has("Records") {
        Err(error(
            "$.Records",
            get(payload, "Records"),
            "one message: a batch cannot be read as one, nor be part of another",
        ))
    } else if WARM_UPS.iter().any(|(field, value)| text(get(payload, field)).as_deref() == Some(value)) {
        Ok(Parsed::Ignored("the call keeps the function warm and asks for nothing".to_owned()))
    } else {
        Err(error("$", payload, PAYLOADS))
    }
}

/// Where a schedule is that this payload comes from, as EventBridge wrote it; also of one that an invocation failed on.
/// `None`: it comes from none, or does not say.
pub fn schedule(payload: &Value) -> Option<Location> {
    if let Some((_, inner)) = envelope::content(payload) {
        return schedule(inner);
    }
    let is_schedule = get(payload, "detail-type").as_str() == Some(SCHEDULE)
        && get(payload, "source").as_str().is_some_and(|source| SCHEDULERS.contains(&source));
    let location = || Some(Location::new(account(get(payload, "account"))?, region(get(payload, "region"))?));
    is_schedule.then(location)?
}

/// An item of what `LookupEvents` of CloudTrail answers: the record stands in it as text.
fn looked_up(item: &Value) -> Result<Parsed, EventError> {
    let path = format!("$.{LOOKED_UP}");
    let stated = get(item, LOOKED_UP);
    let record = stated.as_str().ok_or_else(|| error(&*path, stated, "a CloudTrail record, JSON as text"))?;
    parse(&json::read_at(&path, record)?).map_err(|error| error.inside(&path))
}

/// What EventBridge puts around a record. Each field is read by itself: something on the way may have dropped one or given
/// it another type, and no event may be lost to that.
struct Envelope<'a> {
    detail_type: String,
    source: String,
    account: Option<String>,
    region: Option<String>,
    time: Option<Timestamp>,
    detail: &'a Value,
}

impl<'a> Envelope<'a> {
    fn of(payload: &'a Value) -> Self {
        // An object in place of an account or a region stays there as its JSON text, to be refused only if an account or a
        // region is needed.
        let stated = |name| {
            let value = Some(get(payload, name)).filter(|value| is_present(value))?;
            Some(text(value).unwrap_or_else(|| value.to_string()))
        };
        Self {
            detail_type: text(get(payload, "detail-type")).unwrap_or_default(),
            source: text(get(payload, "source")).unwrap_or_default(),
            account: stated("account"),
            region: stated("region"),
            time: time(get(payload, "time")),
            detail: get(payload, "detail"),
        }
    }

    fn is_of_scheduler(&self) -> bool {
        SCHEDULERS.contains(&self.source.as_str())
    }
}

pub(super) fn error(at: impl Into<String>, came: &Value, expected: &str) -> EventError {
    EventError { at: at.into(), what: kind(came).into_owned(), expected: expected.to_owned() }
}

fn sweep(payload: &Value) -> Result<Parsed, EventError> {
    const EXPECTED: &str = "`true` or `{\"groups\": [\"sg-…\"]}`";
    only("$", payload, "sweep")?;
    let sweep = get(payload, "sweep");
    let groups = match sweep {
        Value::Bool(true) => Vec::new(),
        Value::Object(_) => {
            only("$.sweep", sweep, "groups")?;
            match get(sweep, "groups") {
                Value::Array(groups) if !groups.is_empty() => groups
                    .iter()
                    .enumerate()
                    .map(|(n, group)| {
                        id(group, "sg-").ok_or_else(|| error(format!("$.sweep.groups[{n}]"), group, "`sg-…`"))
                    })
                    .collect::<Result<_, _>>()?,
                other => return Err(error("$.sweep.groups", other, "`[\"sg-…\"]`")),
            }
        }
        other => return Err(error("$.sweep", other, EXPECTED)),
    };
    Ok(Parsed::Trigger(Trigger::Sweep { groups }))
}

/// Refuses fields beside the only one that a command has.
fn only(at: &str, object: &Value, name: &str) -> Result<(), EventError> {
    match object.as_object().and_then(|fields| fields.keys().find(|key| *key != name)) {
        Some(other) => Err(EventError {
            at: at.to_owned(),
            what: format!("a field {}", quoted(other)),
            expected: format!("`{name}` alone"),
        }),
        None => Ok(()),
    }
}

fn enveloped(payload: &Value, envelope: &Envelope) -> Result<Parsed, EventError> {
    let detail = envelope.detail;
    // A bus that was fed with `PutEvents` cannot keep AWS's detail type, so a CloudTrail record speaks for itself.
    let is_record = is_present(get(detail, "eventName")) && is_present(get(detail, "eventSource"));
    match envelope.detail_type.as_str() {
        // A transformer may drop the type; a record that came along all the same speaks for itself.
        "" if envelope.is_of_scheduler() && !is_record => Ok(Parsed::Trigger(Trigger::Sweep { groups: Vec::new() })),
        "" | API_CALL => record("$.detail", detail, envelope),
        SCHEDULE if envelope.is_of_scheduler() => Ok(Parsed::Trigger(Trigger::Sweep { groups: Vec::new() })),
        SCHEDULE => {
            Err(error("$.source", get(payload, "source"), "`aws.events` or `aws.scheduler` in a `Scheduled Event`"))
        }
        other if other.ends_with(FROM_CLOUDTRAIL) => {
            Ok(Parsed::Ignored(format!("{} opens no path to a cluster", quoted(other))))
        }
        _ if is_record => record("$.detail", detail, envelope),
        _ => Err(error(
            "$.detail-type",
            get(payload, "detail-type"),
            "`AWS API Call via CloudTrail` or `Scheduled Event`",
        )),
    }
}

/// Reads a CloudTrail record that stands at `at`. What can be ignored is ignored before anything else is required of it.
fn record(at: &str, record: &Value, envelope: &Envelope) -> Result<Parsed, EventError> {
    let required = |name: &str, expected: &str| {
        text(get(record, name)).ok_or_else(|| error(format!("{at}.{name}"), get(record, name), expected))
    };
    if !record.is_object() {
        return Err(error(at, record, "a CloudTrail record"));
    }
    let name = required(
        "eventName",
        "the name of an API call as CloudTrail writes it, such as `AuthorizeSecurityGroupIngress`",
    )?;
    let source = required("eventSource", "the service of the call, such as `ec2.amazonaws.com`")?;
    if let Some(other) = text(get(record, "eventType")).filter(|kind| kind != "AwsApiCall") {
        return Ok(Parsed::Ignored(format!("{} of type {} is not an API call", quoted(&name), quoted(&other))));
    }
    let Some(call) = Call::find(&source, &name) else {
        return Ok(Parsed::Ignored(format!(
            "{} of {} is no call that the guard follows",
            quoted(&name),
            quoted(&source)
        )));
    };
    let subject = match change::subject(record, call) {
        Ok(subject) => subject,
        Err(reason) => return Ok(Parsed::Ignored(reason)),
    };
    let touches_endpoint = change::touches_endpoint(record, call);
    let removed = change::removed(record, call);
    let event = Event {
        // Without an id every such event would look like a repeat of the first one, and go unseen.
        id: text(get(record, "eventID"))
            .map_or_else(|| required("requestID", "`eventID` or `requestID`"), Ok)
            .map(|text| actor::cut(&text))?,
        time: time(get(record, "eventTime")).or(envelope.time),
        location: Location {
            account: agreed(
                (at, "recipientAccountId", get(record, "recipientAccountId")),
                ("account", envelope.account.as_deref()),
                account,
                "an account id of twelve digits",
            )?,
            region: agreed(
                (at, "awsRegion", get(record, "awsRegion")),
                ("region", envelope.region.as_deref()),
                region,
                "a region",
            )?,
        },
        actor: actor::read(record),
        call,
    };
    Ok(Parsed::Trigger(Trigger::Change(Change { event, subject, touches_endpoint, removed })))
}

/// A fact that stands in the envelope and in the record; one of the two may be missing. EventBridge and CloudTrail name the
/// same account and region, also for events that were forwarded or that came of a call across accounts. If they differ,
/// something on the way has rewritten one of them, and guessing could mean to act with the credentials of the wrong account:
/// that is for people to see.
fn agreed(
    (at, name, inner): (&str, &str, &Value),
    (outer_name, outer): (&str, Option<&str>),
    read: impl Fn(&Value) -> Option<String>,
    expected: &str,
) -> Result<String, EventError> {
    let inner_at = format!("{at}.{name}");
    let fact = |at: &str, value: &Value| match read(value) {
        Some(fact) => Ok(Some(fact)),
        None if is_present(value) => Err(error(at, value, expected)),
        None => Ok(None),
    };
    match (fact(&format!("$.{outer_name}"), &outer.into())?, fact(&inner_at, inner)?) {
        (Some(outer), Some(inner)) if outer != inner => Err(EventError {
            at: inner_at,
            what: quoted(&inner),
            expected: format!("{} as in `$.{outer_name}`", quoted(&outer)),
        }),
        (Some(fact), _) | (None, Some(fact)) => Ok(fact),
        (None, None) => Err(error(inner_at, inner, &format!("{expected}, here or in `$.{outer_name}`"))),
    }
}

/// An account id. One that was stored as a number has lost its leading zeros.
fn account(value: &Value) -> Option<String> {
    let digits = text(value)?;
    let valid = digits.len() <= 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| format!("{digits:0>12}"))
}

/// A region: it gets into links and commands, and nothing else may stand there.
fn region(value: &Value) -> Option<String> {
    text(value).filter(|text| is_region(text))
}

/// CloudTrail's times are UTC; some pipelines drop the `Z`.
fn time(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    let utc = || Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(utc)
}
