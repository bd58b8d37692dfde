//! Whether EC2 may have carried out a call that ended in an error. An attempt without an answer may have been carried out;
//! when the SDK asks once more, EC2 only says of what is gone that it is gone. Where EC2 refused each attempt, nothing was
//! done.
//!
//! Must not: decide whose doing it was (a read-back and the journal do).

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_sdk_ec2::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::{BoxError, SdkError};
use aws_smithy_runtime_api::client::interceptors::context;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::failure::cloud_error;
use crate::model::error::CloudError;

/// The attempts of one call that changes something.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    may_be_done: Arc<AtomicBool>,
    code: fn(&context::Error) -> Option<&str>,
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Err(error)) = context.output_or_error() {
            let code = error.as_operation_error().and_then(self.code);
            let status = context.response().map(|response| response.status().as_u16());
            if !code.is_some_and(|code| is_refusal(status, code)) {
                self.may_be_done.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

impl Attempts {
    /// Of a call whose operation ends in such errors.
    pub(super) fn of<E: ProvideErrorMetadata + Error + Send + Sync + 'static>() -> Self {
        Self { may_be_done: Arc::default(), code: |error| error.downcast_ref::<E>()?.code() }
    }

    /// The error of the call: after an attempt that may have been carried out, a rule that is gone may be gone by that one.
    pub(super) fn error<E: ProvideErrorMetadata + Error + 'static>(
        &self,
        action: &str,
        error: &SdkError<E>,
    ) -> CloudError {
        let may_be_done = self.may_be_done.load(Ordering::Relaxed);
        match cloud_error(action, error) {
            CloudError::RuleGone(source) if may_be_done => CloudError::Failed { action: action.to_owned(), source },
            // One that was cut off by its time may have an attempt under way.
            CloudError::Failed { action, source } if !may_be_done && matches!(error, SdkError::ServiceError(_)) => {
                CloudError::NotDone { action, source }
            }
            error => error,
        }
    }
}

/// Whether an answer says that nothing was carried out. EC2 throttles with status 503.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
fn is_refusal(status: Option<u16>, code: &str) -> bool {
    THROTTLING_ERRORS.contains(&code) || status.is_some_and(|status| (400..500).contains(&status))
}
