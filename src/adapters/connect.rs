//! One connection to AWS: how long a call may take, how often it is tried, and how our calls are recognised.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_ec2::config::SharedCredentialsProvider;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};

use super::count::Counting;
use super::ec2::Ec2Client;
use super::eks::Clusters;
use super::failure::is_denied;
use crate::model::error::{Cause, CloudError, chain};
use crate::report::metrics::Metrics;

/// One try. EC2 has been seen to take ten seconds over the interfaces of a large account
/// (<https://github.com/cilium/cilium/issues/37983>), and giving up earlier would mean never to know. A stuck call still
/// leaves time for another try.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(11);
/// All tries of a call with the pauses between them, so that a throttled call ends as an error that people are notified of
/// and not as a function that was cut off: two of them, one after the other, leave time for the revoke.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);
/// The same, and how many tries, on the command line.
const PATIENT_TIMEOUT: Duration = Duration::from_secs(90);
const PATIENT_ATTEMPTS: u32 = 8;
/// The same for the state store. It is asked after the rules are closed and before people are notified, and must not delay a
/// notice for long: a healthy answer takes some milliseconds, and without one the guard goes on.
const STATE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// All tries of a call to the state store.
const STATE_TIMEOUT: Duration = Duration::from_secs(3);
/// `app/eks-sg-guard` in the user agent, so that CloudTrail shows which calls are ours. Anybody can send the same text:
/// it is no proof of anything.
const APP_NAME: &str = "eks-sg-guard";

/// The clients, made once and shared: they hold the connections that make the second call fast.
#[derive(Clone, Debug)]
pub struct Connection {
    /// [`crate::ports::Ec2`].
    pub ec2: Ec2Client,
    /// [`crate::ports::Eks`].
    pub eks: Clusters,
    /// For [`super::trails::CloudTrail`].
    pub cloudtrail: aws_sdk_cloudtrail::Client,
    /// For [`super::trails::InvokingRule`].
    pub events: aws_sdk_eventbridge::Client,
    /// For [`super::sns::Topic`].
    pub sns: aws_sdk_sns::Client,
    /// For [`super::table::Table`]. It connects when it is first used.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// For [`super::queue::Sqs`]. It connects when it is first used.
    pub sqs: aws_sdk_sqs::Client,
    /// For [`super::slack::Webhook`].
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl Connection {
    /// Clients for one account and region. `metrics` counts their calls.
    pub fn new(config: &SdkConfig, metrics: &Arc<Metrics>) -> Self {
        let counting = || Counting(Arc::clone(metrics));
        let ec2 = aws_sdk_ec2::config::Builder::from(config).interceptor(counting()).build();
        let ec2 = aws_sdk_ec2::Client::from_conf(ec2);
        let eks = aws_sdk_eks::config::Builder::from(config).interceptor(counting()).build();
        let eks = Clusters::new(aws_sdk_eks::Client::from_conf(eks), ec2.clone());
        let cloudtrail = aws_sdk_cloudtrail::config::Builder::from(config).interceptor(counting()).build();
        let events = aws_sdk_eventbridge::config::Builder::from(config).interceptor(counting()).build();
        let sns = aws_sdk_sns::config::Builder::from(config).interceptor(counting()).build();
        let dynamodb = of_state_store(config).interceptor(counting()).build();
        let sqs = of_work_queue(config).interceptor(counting()).build();
        let secrets = aws_sdk_secretsmanager::config::Builder::from(config).interceptor(counting()).build();
        Self {
            ec2: ec2.into(),
            eks,
            cloudtrail: aws_sdk_cloudtrail::Client::from_conf(cloudtrail),
            events: aws_sdk_eventbridge::Client::from_conf(events),
            sns: aws_sdk_sns::Client::from_conf(sns),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            sqs: aws_sdk_sqs::Client::from_conf(sqs),
            secrets: aws_sdk_secretsmanager::Client::from_conf(secrets),
        }
    }
}

fn short_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(STATE_ATTEMPT_TIMEOUT).operation_timeout(STATE_TIMEOUT).build()
}

fn of_state_store(config: &SdkConfig) -> aws_sdk_dynamodb::config::Builder {
    aws_sdk_dynamodb::config::Builder::from(config).timeout_config(short_timeouts())
}

/// A queue that does not answer must not delay a notice either.
fn of_work_queue(config: &SdkConfig) -> aws_sdk_sqs::config::Builder {
    aws_sdk_sqs::config::Builder::from(config).timeout_config(short_timeouts())
}

/// Credentials, region, endpoints and proxies as the SDK's standard variables say.
pub async fn config() -> SdkConfig {
    loader().load().await
}

/// The same with the profile of that name, for somebody who waits: nobody's deadline is near, and a large account is read
/// although others use up its limits.
pub async fn config_of(profile: Option<&str>) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).operation_timeout(PATIENT_TIMEOUT).build();
    let mut loader = loader().timeout_config(timeouts);
    if std::env::var_os("AWS_MAX_ATTEMPTS").is_none() {
        loader = loader.retry_config(RetryConfig::standard().with_max_attempts(PATIENT_ATTEMPTS));
    }
    match profile {
        Some(name) => loader.profile_name(name).load().await,
        None => loader.load().await,
    }
}

/// The same in another region.
pub fn in_region(config: &SdkConfig, region: &str) -> SdkConfig {
    config.to_builder().region(Region::new(region.to_owned())).build()
}

/// The same for another location, through a role there, which may ask for an external id. The role is assumed when it is
/// first needed, and again before its credentials end.
pub async fn through(config: &SdkConfig, role_arn: &str, external_id: Option<&str>, region: &str) -> SdkConfig {
    // Somebody on a laptop may have no region of their own, and STS is asked in one, too.
    let config = if config.region().is_some() { config.clone() } else { in_region(config, region) };
    let role = AssumeRoleProvider::builder(role_arn).configure(&config).session_name(APP_NAME);
    let role = match external_id {
        Some(id) => role.external_id(id),
        None => role,
    };
    let credentials = SharedCredentialsProvider::new(role.build().await);
    in_region(&config, region).to_builder().credentials_provider(credentials).build()
}

/// Whether the role behind these credentials can be assumed. `false`: STS refused it, as it does where there is none.
///
/// # Errors
/// STS could not be asked, or had another answer.
pub async fn may_assume(config: &SdkConfig) -> Result<bool, CloudError> {
    let failed = |source: Cause| CloudError::Failed { action: "sts:AssumeRole".to_owned(), source };
    let Some(provider) = config.credentials_provider() else { return Ok(false) };
    let Err(error) = provider.provide_credentials().await else { return Ok(true) };
    let answer = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<SdkError<AssumeRoleError>>());
    match answer.and_then(ProvideErrorMetadata::code) {
        Some(code) if is_denied(code) => Ok(false),
        _ => Err(failed(chain(&error).into())),
    }
}

/// The behaviour version is pinned, so that an update of the SDK changes neither retries nor timeouts. It means standard
/// retries with three tries, which we leave to the SDK: setting them here would silence `AWS_MAX_ATTEMPTS` and
/// `AWS_RETRY_MODE`. It means no limit on the time of a call, which we do set.
fn loader() -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let defaults = aws_config::defaults(BehaviorVersion::v2026_01_12());
    let loader = defaults.timeout_config(timeouts).http_client(one_connector());
    match AppName::new(APP_NAME) {
        Ok(name) => loader.app_name(name),
        Err(_) => loader,
    }
}

/// The SDK's own HTTP client, with one connector for all services: each client would make one of its own and parse the
/// certificates of all authorities for it. They differ in no setting of a connector; a time limit on a call is not its.
fn one_connector() -> SharedHttpClient {
    let made = OnceLock::new();
    http_client_fn(move |settings, components| {
        let make = || {
            let mut connector = Connector::builder().connector_settings(settings.clone());
            connector.set_sleep_impl(components.sleep_impl());
            connector.set_proxy_config(Some(ProxyConfig::from_env()));
            let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
            SharedHttpConnector::new(connector.tls_provider(tls).build())
        };
        made.get_or_init(make).clone()
    })
}

#[cfg(test)]
mod tests {
    use aws_config::retry::RetryMode;

    use super::*;

    #[tokio::test]
    async fn a_call_is_tried_three_times_within_fifteen_seconds_and_says_whose_it_is() {
        let config =
            loader().empty_test_environment().region(Region::from_static("eu-west-1")).no_credentials().load().await;
        let retries = config.retry_config().unwrap();
        assert_eq!((retries.mode(), retries.max_attempts()), (RetryMode::Standard, 3));
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_secs(11)));
        assert_eq!(timeouts.operation_timeout(), Some(Duration::from_secs(15)));
        assert!(timeouts.connect_timeout().is_some(), "the SDK's own limit on connecting stays");
        assert_eq!(config.app_name().map(AppName::as_ref), Some(APP_NAME));
    }

    #[tokio::test]
    async fn a_call_to_the_state_store_ends_within_three_seconds() {
        let config =
            loader().empty_test_environment().region(Region::from_static("eu-west-1")).no_credentials().load().await;
        let config = of_state_store(&config).build();
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_secs(1)));
        assert_eq!(timeouts.operation_timeout(), Some(Duration::from_secs(3)));
        assert_eq!(config.app_name().map(AppName::as_ref), Some(APP_NAME));
    }
}
