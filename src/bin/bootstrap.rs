//! The Lambda function: reads the environment, builds the clients once, and hands every payload to the guard.

// The type of the whole invocation, as one future over the SDK's, nests deeper than the default limit.
#![recursion_limit = "256"]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use aws_config::SdkConfig;
use eks_sg_guard::adapters::clock::SystemClock;
use eks_sg_guard::adapters::connect::{self, Connection};
use eks_sg_guard::adapters::queue::Sqs;
use eks_sg_guard::adapters::slack::Webhook;
use eks_sg_guard::adapters::sns::Topic;
use eks_sg_guard::adapters::table::Table;
use eks_sg_guard::adapters::trails::{CloudTrail, InvokingRule};
use eks_sg_guard::event::json;
use eks_sg_guard::guard::Guard;
use eks_sg_guard::guard::dispatch::Dispatcher;
use eks_sg_guard::guard::response::GuardError;
use eks_sg_guard::guard::settings::{POLICY, Settings};
use eks_sg_guard::guard::setup::{Ports, Setup};
use eks_sg_guard::guard::sight::Sources;
use eks_sg_guard::model::error::chain;
use eks_sg_guard::model::ids::{Location, Queue};
use eks_sg_guard::policy::model::Policy;
use eks_sg_guard::policy::{builtin, file};
use eks_sg_guard::ports::{Channel, Clock, EventRule, StateStore, WorkQueue};
use eks_sg_guard::report::metrics::Metrics;
use eks_sg_guard::report::notice::RecordLog;
use eks_sg_guard::report::record::Record;
use jiff::{SignedDuration, Timestamp, tz::Offset};
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::tower::util::MapRequestLayer;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use serde_json::Value;
use tokio::sync::OnceCell;
use tracing_subscriber::EnvFilter;

/// Time at the end of an invocation in which nothing new is begun on EC2.
const TIME_TO_FINISH: SignedDuration = SignedDuration::from_secs(25);

#[tokio::main]
async fn main() -> ExitCode {
    // Lambda treats lines without a timestamp as INFO, so the runtime's own subscriber, which leaves it out, would lose
    // errors to a log-level filter.
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false).with_env_filter(level).init();
    match Box::pin(run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %chain(error.as_ref()), "the function does not start");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let settings = Settings::from(|name| std::env::var(name).ok())?;
    let policy = policy(&settings.policy)?;
    if settings.state_table.is_none() {
        tracing::info!(
            "GUARD_STATE_TABLE is empty: repeats are not merged, and events are remembered in this process only"
        );
    }
    let metrics = Arc::new(Metrics::default());
    let config = connect::config().await;
    let connection = Connection::new(&config, &metrics);
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "eks-sg-guard".to_owned());
    let dispatcher: OnceCell<Dispatcher> = OnceCell::new();
    let (dispatcher, settings, policy, connection) = (&dispatcher, &settings, &policy, &connection);
    let (metrics, function, config) = (&metrics, &function, &config);
    let handle = |event: LambdaEvent<String>| async move {
        // The account is known from the first invocation on: its ARN is the function's own.
        let dispatcher = dispatcher
            .get_or_init(|| build(&event.context.invoked_function_arn, settings, policy, config, connection, metrics))
            .await;
        let answer = match json::read_at("$", &event.payload) {
            Ok(payload) => dispatcher.handle(&payload, deadline(&event.context)).await,
            Err(error) => Err(error.into()),
        };
        measure(metrics, function, answer.is_err());
        answer.map_err(|error| diagnostic(&error))
    };
    let runtime = Runtime::new(service_fn(handle)).layer(MapRequestLayer::new(as_text)).layer(TracingLayer::new());
    Box::pin(runtime.run()).await
}

/// Hands the payload on as one JSON text, for us to read. The runtime reads JSON before it calls a handler, and refuses a
/// payload for text in it that nobody judges.
fn as_text(mut invocation: LambdaInvocation) -> LambdaInvocation {
    invocation.body = Value::from(json::text(&invocation.body)).to_string().into();
    invocation
}

/// When to begin nothing new on EC2. A revoke with its retries may take 12 s, reading it back as long, and notifying people
/// too, so with Lambda's timeout of a minute the last third is kept for what has to be finished.
fn deadline(context: &Context) -> Timestamp {
    let deadline = i64::try_from(context.deadline).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let deadline = deadline.and_then(|deadline| deadline.checked_sub(TIME_TO_FINISH).ok());
    deadline.unwrap_or(Timestamp::MAX)
}

/// One guard for every account and region that counts. Messages go out from the function's own.
async fn build(
    arn: &str,
    settings: &Settings,
    policy: &Policy,
    config: &SdkConfig,
    connection: &Connection,
    metrics: &Arc<Metrics>,
) -> Dispatcher {
    let mut parts = arn.split(':').skip(1);
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (partition, _, region, account) = (part(), part(), part(), part());
    let or_own = |named: &[String], own: &str| if named.is_empty() { vec![own.to_owned()] } else { named.to_vec() };
    let mut guards: BTreeMap<Location, (Guard, Sources)> = BTreeMap::new();
    for account_there in or_own(&settings.accounts, &account) {
        for region_there in or_own(&settings.regions, &region) {
            let there = match &settings.role_name {
                _ if (&account_there, &region_there) == (&account, &region) => connection.clone(),
                Some(role) => {
                    let id = settings.external_id(&account, role);
                    let role = format!("arn:{partition}:iam::{account_there}:role/{role}");
                    Connection::new(&connect::through(config, &role, Some(&id), &region_there).await, metrics)
                }
                None => {
                    tracing::error!(
                        account = account_there,
                        region = region_there,
                        "GUARD_ROLE_NAME is empty, so this location is not guarded"
                    );
                    continue;
                }
            };
            let location = Location::new(&account_there, &region_there);
            let sources = Sources { trails: Arc::new(CloudTrail::new(there.cloudtrail.clone())), rule: None };
            let guard = guard(location.clone(), settings, policy, connection, there, metrics);
            guards.insert(location, (guard, sources));
        }
    }
    // The rule is where the function is; if that is not guarded, another guard looks at it in its sweeps.
    let own = Location::new(account, region);
    let looks_at_rule = guards.keys().find(|there| **there == own).or(guards.keys().next()).cloned();
    let with_sources = |(there, (guard, mut sources)): (Location, (Guard, Sources))| {
        let rule = settings.event_rule.clone().filter(|_| Some(&there) == looks_at_rule.as_ref());
        sources.rule = rule.map(|rule| {
            let name = rule.name.clone();
            (name, Arc::new(InvokingRule::new(connection.events.clone(), rule, arn)) as Arc<dyn EventRule>)
        });
        (there, guard.with_sources(sources))
    };
    let guards: BTreeMap<Location, Guard> = guards.into_iter().map(with_sources).collect();
    let dispatcher = Dispatcher::new(guards, settings.own_role.clone());
    match work_queue(settings, connection).zip(settings.queue.as_deref().and_then(Queue::of_url)) {
        Some((queue, name)) => dispatcher.with_queue(queue, name),
        None => dispatcher,
    }
}

/// There is one for all locations, beside the function.
fn work_queue(settings: &Settings, own: &Connection) -> Option<Arc<dyn WorkQueue>> {
    let url = settings.queue.as_deref()?;
    Some(Arc::new(Sqs::new(own.sqs.clone(), url)))
}

fn guard(
    location: Location,
    settings: &Settings,
    policy: &Policy,
    own: &Connection,
    there: Connection,
    metrics: &Arc<Metrics>,
) -> Guard {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let people = settings.topic.iter().map(|arn| Topic::people(own.sns.clone(), arn));
    let records = settings.record_topic.iter().map(|arn| Topic::records(own.sns.clone(), arn));
    let chat = settings.chat_topic.iter().map(|arn| Topic::chat(own.sns.clone(), arn));
    let topics = people.chain(chat).chain(records).map(|topic| Arc::new(topic) as Arc<dyn Channel>);
    let slack = settings.slack_secret.iter();
    let slack = slack.map(|arn| Arc::new(Webhook::new(own.secrets.clone(), arn, clock.clone())) as Arc<dyn Channel>);
    let state = settings.state_table.as_ref().map(|name| {
        Arc::new(Table::new(own.dynamodb.clone(), name, location.clone(), clock.clone())) as Arc<dyn StateStore>
    });
    Guard::new(Setup {
        ports: Ports {
            ec2: Arc::new(there.ec2),
            eks: Arc::new(there.eks),
            state,
            queue: work_queue(settings, own),
            channels: topics.chain(slack).collect(),
            metrics: Arc::clone(metrics),
            record_log,
            log_page: log_page(),
            clock,
        },
        policy: policy.clone(),
        modes: settings.modes,
        max_revokes: settings.max_revokes,
        location,
    })
}

/// Reads the policy that `GUARD_POLICY` names: a built-in, or the path of a file.
fn policy(setting: &str) -> Result<Policy, Box<dyn std::error::Error + Send + Sync>> {
    if builtin::NAMES.contains(&setting) {
        return Ok(builtin::policy(setting)?.clone());
    }
    let refused = |cause: &dyn std::error::Error| format!("{}: {cause}", POLICY.refuses(setting));
    let text = std::fs::read_to_string(setting).map_err(|error| refused(&error))?;
    let name = Path::new(setting).file_name().unwrap_or_default().to_string_lossy();
    let today = Offset::UTC.to_datetime(Timestamp::now()).date();
    let loaded = file::load(&name, &text, today).map_err(|rejected| refused(&rejected))?;
    for warning in &loaded.warnings {
        tracing::warn!("{}", warning.render(&name, &text, false));
    }
    Ok(loaded.policy)
}

/// Lambda says where the function's log is.
fn log_page() -> Option<RecordLog> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some(RecordLog { region: variable("AWS_REGION")?, group: variable("AWS_LAMBDA_LOG_GROUP_NAME")? })
}

/// Writes a record as one log line with the members that log queries expect.
fn record_log(record: &Record) {
    let line = serde_json::json!({
        "timestamp": Timestamp::now(),
        "level": "INFO",
        "target": "record",
        "record": record,
    });
    print(&line, "a record");
}

/// Writes what was counted as one line of CloudWatch's embedded metrics, with the members that every line of the log has.
fn measure(metrics: &Metrics, function: &str, is_error: bool) {
    let mut document = metrics.document(function, is_error, Timestamp::now());
    if let Some(members) = document.as_object_mut() {
        members.insert("timestamp".to_owned(), Timestamp::now().to_string().into());
        members.insert("level".to_owned(), "INFO".into());
        members.insert("target".to_owned(), "metrics".into());
    }
    print(&document, "the metrics");
}

fn print(line: &Value, what: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}") {
        tracing::error!(%error, "{what} could not be written to standard output");
    }
}

fn diagnostic(error: &GuardError) -> Diagnostic {
    tracing::error!(kind = error.kind(), error = %chain(error), "the invocation failed");
    Diagnostic { error_type: error.kind().to_owned(), error_message: chain(error) }
}
