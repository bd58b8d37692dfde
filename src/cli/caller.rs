//! Who calls AWS, and through which clients: credentials as the AWS CLI finds them, and a role if one is named.
//!
//! Must not: ask for more than whose credentials these are.

use anyhow::{Context as _, anyhow, bail};
use aws_config::SdkConfig;

use crate::adapters::account;
use crate::adapters::connect;
use crate::audit::saved::live::{is_about_credentials, why};
use crate::cli::identity::Identity;
use crate::model::ids::Arn;
use crate::model::text::plain;

/// For credentials of kinds that the SDK is not built with: single sign-on, processes.
const EXPORT: &str =
    "`eval \"$(aws configure export-credentials --format env)\"` hands on those that the AWS CLI finds";

/// Waits for what is asked of AWS.
pub(super) fn answered<T>(asked: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("the program cannot wait for answers")?.block_on(asked))
}

/// Whoever runs the program.
pub(super) struct Caller<'a> {
    identity: &'a Identity,
    config: SdkConfig,
}

impl<'a> Caller<'a> {
    pub(super) async fn of(identity: &'a Identity) -> anyhow::Result<Self> {
        let is_role = |arn: &&str| Arn::parse(arn).and_then(|arn| arn.role()).is_some();
        if let Some(arn) = identity.role_arn.as_deref().filter(|arn| !is_role(arn)) {
            bail!("`{}` is no role; expected an ARN such as `arn:aws:iam::111122223333:role/audit`", plain(arn));
        }
        Ok(Self { identity, config: connect::config_of(identity.profile.as_deref()).await })
    }

    /// The region that profile or environment name.
    pub(super) fn region(&self) -> Option<String> {
        self.config.region().map(ToString::to_string)
    }

    /// Without the role.
    pub(super) fn own(&self) -> &SdkConfig {
        &self.config
    }

    pub(super) async fn config_in(&self, region: &str) -> SdkConfig {
        match &self.identity.role_arn {
            Some(role) => connect::through(&self.config, role, self.identity.external_id.as_deref(), region).await,
            None => connect::in_region(&self.config, region),
        }
    }

    /// The account that is asked with this.
    pub(super) async fn account(&self, config: &SdkConfig) -> anyhow::Result<String> {
        let error = match account::of_caller(config).await {
            Ok(account) => return Ok(account),
            Err(error) => error,
        };
        let said = why(&error);
        Err(match &self.identity.role_arn {
            _ if !is_about_credentials(&error) => anyhow!("{said}"),
            Some(role) => anyhow!("role `{}` could not be assumed, or may not ask: {said}; {EXPORT}", plain(role)),
            None => anyhow!("AWS does not take the credentials, or there are none: {said}; log in, or {EXPORT}"),
        })
    }
}
