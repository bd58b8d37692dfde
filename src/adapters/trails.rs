//! What brings events to the guard: CloudTrail's trails, and the rule of `EventBridge` that invokes the function.
//!
//! Owns: which calls answer, and what may be missing from an answer. Must not: say whether it suffices.

use async_trait::async_trait;
use aws_sdk_cloudtrail::config::{Builder, Region};
use aws_sdk_cloudtrail::types::{AdvancedFieldSelector, EventSelector, ReadWriteType, Trail as Described};
use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use aws_sdk_eventbridge::types::RuleState as State;
use futures::future::join;
use futures::stream::{self, StreamExt as _};

use super::failure::{cloud_error, during, unusable};
use crate::model::error::{CloudError, chain};
use crate::model::ids::{self, is_region};
use crate::model::trails::{BasicSelector, FieldSelector, Pattern, Read, RuleState, Selectors, Trail};
use crate::ports::{EventRule, Trails};

/// Trails looked at at once. CloudTrail gives an account ten such reads a second.
const MAX_CONCURRENT_READS: usize = 4;
/// A rule has at most five targets unless AWS raised that.
const MAX_PAGES: usize = 5;
const DESCRIBE_RULE: &str = "events:DescribeRule";

/// CloudTrail of one account and region.
#[derive(Clone, Debug)]
pub struct CloudTrail(aws_sdk_cloudtrail::Client);

impl CloudTrail {
    /// The trails that this client's region shows.
    pub fn new(client: aws_sdk_cloudtrail::Client) -> Self {
        Self(client)
    }

    async fn trail(&self, described: Described) -> Trail {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let arn = text(described.trail_arn().or(described.name()));
        let home_region = text(described.home_region());
        let (is_logging, selectors) = join(self.is_logging(&arn), self.selectors(&arn, &home_region)).await;
        let is_multi_region = described.is_multi_region_trail().unwrap_or_default();
        Trail { arn, home_region, is_multi_region, is_logging, selectors }
    }

    /// Here, whatever its home: by its ARN each region answers for itself.
    async fn is_logging(&self, arn: &str) -> Read<bool> {
        const ACTION: &str = "cloudtrail:GetTrailStatus";
        let status = self.0.get_trail_status().name(arn).send().await;
        let status = status.map_err(|error| chain(&cloud_error(ACTION, &error)))?;
        status.is_logging().ok_or_else(|| chain(&unusable(ACTION, "the answer does not say `IsLogging`")))
    }

    /// At its home.
    async fn selectors(&self, arn: &str, home_region: &str) -> Read<Selectors> {
        let call = self.0.get_event_selectors().trail_name(arn).customize();
        let home = Builder::new().region(is_region(home_region).then(|| Region::new(home_region.to_owned())));
        let call = if is_region(home_region) { call.config_override(home) } else { call };
        let answer = call.send().await.map_err(|error| chain(&cloud_error("cloudtrail:GetEventSelectors", &error)))?;
        let (older, newer) = (answer.event_selectors(), answer.advanced_event_selectors());
        Ok(if !older.is_empty() {
            Selectors::Basic(older.iter().map(basic).collect())
        } else if newer.is_empty() {
            Selectors::Default
        } else {
            Selectors::Advanced(newer.iter().map(|each| each.field_selectors().iter().map(field).collect()).collect())
        })
    }
}

#[async_trait]
impl Trails for CloudTrail {
    async fn trails(&self) -> Result<Vec<Trail>, CloudError> {
        let answer = self.0.describe_trails().include_shadow_trails(true).send().await;
        let described = answer.map_err(during("cloudtrail:DescribeTrails"))?.trail_list.unwrap_or_default();
        let trails = stream::iter(described).map(|described| self.trail(described));
        Ok(trails.buffered(MAX_CONCURRENT_READS).collect().await)
    }
}

fn basic(selector: &EventSelector) -> BasicSelector {
    BasicSelector {
        // What is not said is what CloudTrail does without.
        has_management_events: selector.include_management_events().unwrap_or(true),
        read_write: selector.read_write_type().unwrap_or(&ReadWriteType::All).as_str().to_owned(),
        excluded_sources: selector.exclude_management_event_sources().to_vec(),
    }
}

fn field(selector: &AdvancedFieldSelector) -> FieldSelector {
    let patterns = |whole: &[String], start: &[String], end: &[String]| {
        let whole = whole.iter().cloned().map(Pattern::Is);
        let start = start.iter().cloned().map(Pattern::Begins);
        whole.chain(start).chain(end.iter().cloned().map(Pattern::Ends)).collect()
    };
    FieldSelector {
        field: selector.field().to_owned(),
        any_of: patterns(selector.equals(), selector.starts_with(), selector.ends_with()),
        none_of: patterns(selector.not_equals(), selector.not_starts_with(), selector.not_ends_with()),
    }
}

/// The rule that invokes a function.
#[derive(Clone, Debug)]
pub struct InvokingRule {
    client: aws_sdk_eventbridge::Client,
    rule: ids::EventRule,
    function: String,
}

impl InvokingRule {
    /// A rule by its name, and the function by its ARN.
    pub fn new(client: aws_sdk_eventbridge::Client, rule: ids::EventRule, function: impl Into<String>) -> Self {
        Self { client, rule, function: function.into() }
    }

    /// Whether the function, in whatever version, is a target.
    async fn is_target(&self) -> Result<bool, CloudError> {
        let is_version_of =
            |one: &str, of: &str| one.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        let is_it = |target: &str| is_version_of(target, &self.function) || is_version_of(&self.function, target);
        let mut token = None;
        for _ in 0..MAX_PAGES {
            let call =
                self.client.list_targets_by_rule().rule(&self.rule.name).set_event_bus_name(self.rule.bus.clone());
            let page = call.set_next_token(token).send().await.map_err(during("events:ListTargetsByRule"))?;
            if page.targets().iter().any(|target| is_it(target.arn())) {
                return Ok(true);
            }
            token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(false)
    }
}

#[async_trait]
impl EventRule for InvokingRule {
    async fn state(&self) -> Result<RuleState, CloudError> {
        let call = self.client.describe_rule().name(&self.rule.name).set_event_bus_name(self.rule.bus.clone());
        let described = match call.send().await {
            Ok(described) => described,
            Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(RuleState::Gone),
            Err(error) => return Err(cloud_error(DESCRIBE_RULE, &error)),
        };
        match described.state() {
            Some(State::Disabled) => Ok(RuleState::Disabled),
            Some(_) if self.is_target().await? => Ok(RuleState::Delivers),
            Some(_) => Ok(RuleState::Elsewhere),
            None => Err(unusable(DESCRIBE_RULE, "the answer does not say `State`")),
        }
    }
}
