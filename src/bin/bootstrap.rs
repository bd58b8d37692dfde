//! The Lambda function: reads the environment, builds the clients once, and hands every payload to the guard.

// The type of the whole invocation, as one future over the SDK's, nests deeper than the default limit.
#![recursion_limit = "256"]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
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
use eks_sg_guard::guard::organisation::{Doors, Organisation};
use eks_sg_guard::guard::response::GuardError;
use eks_sg_guard::guard::settings::{POLICY, Settings};
use eks_sg_guard::guard::setup::Setup;
use eks_sg_guard::guard::sight::Sources;
use eks_sg_guard::model::error::{CloudError, chain};
use eks_sg_guard::model::ids::{Location, Queue};
use eks_sg_guard::policy::model::Policy;
use eks_sg_guard::policy::{builtin, file};
use eks_sg_guard::ports::{Channel, Clock, EventRule, Ports, Register, StateStore, WorkQueue};
use eks_sg_guard::report::metrics::Metrics;
use eks_sg_guard::report::notice::RecordLog;
use eks_sg_guard::report::record::Record;
use jiff::{SignedDuration, Timestamp, tz::Offset};
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::tower::util::MapRequestLayer;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use serde_json::Value;
use tokio::sync::OnceCell;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Time at the end of an invocation in which nothing new is begun on EC2.
const TIME_TO_FINISH: SignedDuration = SignedDuration::from_secs(25);

// One thread: Lambda gives a function of this size a fraction of one processor, and what is done at once waits for AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Lambda treats lines without a timestamp as INFO, so the runtime's own subscriber, which leaves it out, would lose
    // errors to a log-level filter.
    let asked = std::env::var("RUST_LOG").ok().and_then(|levels| levels.parse::<Targets>().ok());
    let levels = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false);
    tracing_subscriber::registry().with(lines).with(levels).init();
    // Rust's own line is plain text, which a filter of log levels takes for INFO; its backtrace is many.
    // Where no error is logged at all it is better than nothing.
    let plainly = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if tracing::enabled!(tracing::Level::ERROR) {
            tracing::error!(%panic, "the program panicked and ends; Lambda starts it anew and tries the event again");
        } else {
            plainly(panic);
        }
    }));
    match Box::pin(run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %chain(error.as_ref()), "the function does not start");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        let why =
            "`AWS_LAMBDA_RUNTIME_API` is not set: AWS Lambda starts this program; elsewhere use `eks-sg-guard --help`";
        return Err(why.into());
    }
    let settings = Settings::from(|name| std::env::var(name).ok())?;
    let policy = policy(&settings.policy)?;
    if settings.state_table.is_none() {
        tracing::info!(
            "GUARD_STATE_TABLE is empty: repeats are not merged, and events are remembered in this process only"
        );
    }
    let metrics = Arc::new(Metrics::new(settings.metrics));
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

/// Guards of all accounts and regions that count. Messages go out from the function's own.
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
    let own = Location::new(account, region);
    let makings = Makings {
        partition,
        own: own.clone(),
        settings: settings.clone(),
        policy: policy.clone(),
        config: config.clone(),
        connection: connection.clone(),
        metrics: Arc::clone(metrics),
    };
    let or_own = |named: &[String], own: &str| if named.is_empty() { vec![own.to_owned()] } else { named.to_vec() };
    let regions = or_own(&settings.regions, &own.region);
    let accounts = if settings.takes_every_account() { Vec::new() } else { or_own(&settings.accounts, &own.account) };
    let mut locations: Vec<Location> = Vec::new();
    for account in accounts {
        locations.extend(regions.iter().map(|region| Location::new(account.clone(), region.clone())));
    }
    // Of the others each comes by itself.
    if settings.takes_every_account() && regions.contains(&own.region) {
        locations.push(own.clone());
    }
    // The rule is where the function is; if that is not guarded, another guard looks at it in its sweeps.
    let looks_at_rule = locations.iter().find(|there| **there == own).or(locations.iter().min()).cloned();
    let mut guards: BTreeMap<Location, Guard> = BTreeMap::new();
    for location in locations {
        let Some(there) = makings.connection_to(&location).await else {
            let Location { account, region } = &location;
            tracing::error!(account, region, "GUARD_ROLE_NAME is empty, so this location is not guarded");
            continue;
        };
        let rule = settings.event_rule.clone().filter(|_| Some(&location) == looks_at_rule.as_ref());
        let rule = rule.map(|rule| {
            let name = rule.name.clone();
            (name, Arc::new(InvokingRule::new(connection.events.clone(), rule, arn)) as Arc<dyn EventRule>)
        });
        let guard = makings.guard_with(there, &location, rule);
        guards.insert(location, guard);
    }
    let dispatcher = Dispatcher::new(guards, settings.own_role.clone()).acting_as(settings.role_name.clone());
    let dispatcher = match makings.organisation(regions) {
        Some(organisation) => dispatcher.with_organisation(organisation),
        None => dispatcher,
    };
    match work_queue(settings, connection).zip(settings.queue.as_deref().and_then(Queue::of_url)) {
        Some((queue, name)) => dispatcher.with_queue(queue, name),
        None => dispatcher,
    }
}

/// What guards are made of.
struct Makings {
    partition: String,
    /// Where the function is.
    own: Location,
    settings: Settings,
    policy: Policy,
    config: SdkConfig,
    connection: Connection,
    metrics: Arc<Metrics>,
}

impl Makings {
    /// Credentials of the role there. `None`: no role is named.
    async fn config_of(&self, location: &Location) -> Option<SdkConfig> {
        let role = self.settings.role_name.as_ref()?;
        let id = self.settings.external_id(&self.own.account, role);
        let arn = format!("arn:{}:iam::{}:role/{role}", self.partition, location.account);
        Some(connect::through(&self.config, &arn, Some(&id), &location.region).await)
    }

    async fn connection_to(&self, location: &Location) -> Option<Connection> {
        if *location == self.own {
            return Some(self.connection.clone());
        }
        self.config_of(location).await.map(|config| Connection::new(&config, &self.metrics))
    }

    fn guard_with(&self, there: Connection, location: &Location, rule: Option<(String, Arc<dyn EventRule>)>) -> Guard {
        let sources = Sources { trails: Arc::new(CloudTrail::new(there.cloudtrail.clone())), rule };
        let Self { settings, policy, connection, metrics, .. } = self;
        guard(location.clone(), settings, policy, connection, there, metrics).with_sources(sources)
    }

    /// What is needed for locations that come by themselves. `None`: they do not, or the settings would have refused it.
    fn organisation(self, regions: Vec<String>) -> Option<Organisation> {
        let Self { settings, connection, own, .. } = &self;
        let table = settings.state_table.as_deref().filter(|_| settings.takes_every_account())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let table = Arc::new(Table::new(connection.dynamodb.clone(), table, own.clone(), Arc::clone(&clock)));
        let queue = work_queue(settings, connection)?;
        let register = Arc::clone(&table) as Arc<dyn Register>;
        Some(Organisation::new(Arc::new(self), register, table, queue, clock, regions.into_iter().collect()))
    }
}

#[async_trait]
impl Doors for Makings {
    async fn may_enter(&self, location: &Location) -> Result<bool, CloudError> {
        match self.config_of(location).await {
            Some(config) => connect::may_assume(&config).await,
            None => Ok(false),
        }
    }

    async fn guard(&self, location: &Location) -> Guard {
        let there = self.connection_to(location).await.unwrap_or_else(|| self.connection.clone());
        self.guard_with(there, location, None)
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
