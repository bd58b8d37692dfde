//! What is read of trails and of the own event rule: what an answer may leave out, and what a refusal says.
#![expect(clippy::unwrap_used, reason = "helpers make canned answers and read what was sent")]

use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use eks_sg_guard::adapters::trails::{CloudTrail, InvokingRule};
use eks_sg_guard::model::error::{CloudError, chain};
use eks_sg_guard::model::ids;
use eks_sg_guard::model::trails::{BasicSelector, FieldSelector, Pattern, RuleState, Selectors, Trail};
use eks_sg_guard::ports::{EventRule, Trails};

const ARN: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/audit";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:111122223333:function:guard";

type OfTrails = aws_sdk_cloudtrail::Client;
type OfEvents = aws_sdk_eventbridge::Client;

fn answer(status: u16, body: &str) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}

fn refusal(code: &str) -> HttpResponse {
    answer(400, &format!(r#"{{"__type":"{code}","message":"no"}}"#))
}

fn described() -> Rule {
    mock!(OfTrails::describe_trails).then_http_response(|| {
        let trail = format!(r#"{{"TrailARN":"{ARN}","HomeRegion":"us-east-1","IsMultiRegionTrail":true}}"#);
        answer(200, &format!(r#"{{"trailList":[{trail}]}}"#))
    })
}

fn logging(body: &'static str) -> Rule {
    mock!(OfTrails::get_trail_status).then_http_response(move || answer(200, body))
}

fn selecting(body: &'static str) -> Rule {
    mock!(OfTrails::get_event_selectors).then_http_response(move || answer(200, body))
}

async fn read(rules: [&Rule; 3]) -> Trail {
    let client: OfTrails = mock_client!(aws_sdk_cloudtrail, RuleMode::MatchAny, rules);
    let mut trails = CloudTrail::new(client).trails().await.unwrap();
    assert_eq!(trails.len(), 1);
    trails.remove(0)
}

#[tokio::test]
async fn a_trail_is_read_with_its_status_and_its_selectors() {
    let older = r#"{"EventSelectors":[{"ReadWriteType":"WriteOnly","IncludeManagementEvents":false,
        "ExcludeManagementEventSources":["kms.amazonaws.com"]},{}]}"#;
    let trail = read([&described(), &logging(r#"{"IsLogging":true}"#), &selecting(older)]).await;
    assert_eq!((trail.arn.as_str(), trail.home_region.as_str(), trail.is_multi_region), (ARN, "us-east-1", true));
    assert_eq!(trail.is_logging, Ok(true));
    let basic = |has_management_events, read_write: &str, excluded: &[&str]| BasicSelector {
        has_management_events,
        read_write: read_write.to_owned(),
        excluded_sources: excluded.iter().map(|source| (*source).to_owned()).collect(),
    };
    let expected = vec![basic(false, "WriteOnly", &["kms.amazonaws.com"]), basic(true, "All", &[])];
    assert_eq!(trail.selectors, Ok(Selectors::Basic(expected)), "what is left out is what CloudTrail does without");
}

#[tokio::test]
async fn each_operator_of_a_newer_selector_is_read() {
    let newer = r#"{"AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventSource","Equals":["a"],"StartsWith":["b"],
        "EndsWith":["c"],"NotEquals":["d"],"NotStartsWith":["e"],"NotEndsWith":["f"]}]}]}"#;
    let trail = read([&described(), &logging(r#"{"IsLogging":false}"#), &selecting(newer)]).await;
    let patterns = |each: [&str; 3]| {
        let [is, begins, ends] = each.map(str::to_owned);
        vec![Pattern::Is(is), Pattern::Begins(begins), Pattern::Ends(ends)]
    };
    let field = "eventSource".to_owned();
    let expected = FieldSelector { field, any_of: patterns(["a", "b", "c"]), none_of: patterns(["d", "e", "f"]) };
    assert_eq!(trail.selectors, Ok(Selectors::Advanced(vec![vec![expected]])));
}

#[tokio::test]
async fn what_cannot_be_read_of_one_trail_stands_in_it() {
    let denied = mock!(OfTrails::get_trail_status).then_http_response(|| refusal("AccessDeniedException"));
    let gone = mock!(OfTrails::get_event_selectors).then_http_response(|| refusal("TrailNotFoundException"));
    let trail = read([&described(), &denied, &gone]).await;
    let (status, selectors) = (trail.is_logging.unwrap_err(), trail.selectors.unwrap_err());
    assert!(status.starts_with("not allowed to call `cloudtrail:GetTrailStatus`"), "{status}");
    assert!(selectors.contains("`cloudtrail:GetEventSelectors` failed: TrailNotFoundException"), "{selectors}");
    let trail = read([&described(), &logging("{}"), &selecting("{}")]).await;
    assert!(trail.is_logging.unwrap_err().contains("`IsLogging`"));
    assert_eq!(trail.selectors, Ok(Selectors::Default));
}

#[tokio::test]
async fn a_refusal_of_trails_names_the_right_that_is_missing() {
    let rule = mock!(OfTrails::describe_trails).then_http_response(|| refusal("AccessDeniedException"));
    let client: OfTrails = mock_client!(aws_sdk_cloudtrail, RuleMode::MatchAny, [&rule]);
    let error = CloudTrail::new(client).trails().await.unwrap_err();
    assert!(matches!(error, CloudError::Denied { .. }), "{error:?}");
    assert!(chain(&error).starts_with("not allowed to call `cloudtrail:DescribeTrails`"), "{}", chain(&error));
}

async fn state(described: HttpAnswer, targets: &'static str) -> Result<RuleState, CloudError> {
    let describe = mock!(OfEvents::describe_rule).then_http_response(move || described.response());
    let list = mock!(OfEvents::list_targets_by_rule).then_http_response(move || answer(200, targets));
    let client: OfEvents = mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, [&describe, &list]);
    InvokingRule::new(client, ids::EventRule::of("guard").unwrap(), FUNCTION).state().await
}

#[derive(Clone, Copy)]
struct HttpAnswer(&'static str, &'static str);

impl HttpAnswer {
    fn response(self) -> HttpResponse {
        if self.0.is_empty() { answer(200, self.1) } else { refusal(self.0) }
    }
}

const ENABLED: HttpAnswer = HttpAnswer("", r#"{"State":"ENABLED"}"#);

#[tokio::test]
async fn the_rule_delivers_if_it_is_on_and_the_function_is_a_target_in_whatever_version() {
    let others = r#"{"Targets":[{"Id":"a","Arn":"arn:aws:lambda:us-east-1:111122223333:function:guard-dog"}]}"#;
    let ours = r#"{"Targets":[{"Id":"a","Arn":"arn:aws:lambda:us-east-1:111122223333:function:guard:live"}]}"#;
    for (described, targets, expected) in [
        (ENABLED, ours, RuleState::Delivers),
        (HttpAnswer("", r#"{"State":"ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"}"#), ours, RuleState::Delivers),
        (ENABLED, others, RuleState::Elsewhere),
        (ENABLED, "{}", RuleState::Elsewhere),
        (HttpAnswer("", r#"{"State":"DISABLED"}"#), ours, RuleState::Disabled),
        (HttpAnswer("ResourceNotFoundException", ""), ours, RuleState::Gone),
    ] {
        assert_eq!(state(described, targets).await.unwrap(), expected, "{targets}");
    }
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_is_an_error() {
    let denied = state(HttpAnswer("AccessDeniedException", ""), "{}").await.unwrap_err();
    assert!(chain(&denied).starts_with("not allowed to call `events:DescribeRule`"), "{}", chain(&denied));
    let silent = state(HttpAnswer("", "{}"), "{}").await.unwrap_err();
    assert!(chain(&silent).contains("`State`"), "{}", chain(&silent));
}
