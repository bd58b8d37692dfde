//! Whether an attempt of a call ended without an answer. EC2 may have carried it out; when the SDK asks once more, EC2 only
//! says of what is gone that it is gone.
//!
//! Must not: decide whose doing it was (a read-back and the journal do).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_ec2::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;

use crate::model::error::CloudError;

/// The attempts of one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts {
    is_one_unanswered: Arc<AtomicBool>,
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
        // An error that EC2 answered, such as a throttle, says that nothing was carried out.
        if let Some(Err(error)) = context.output_or_error()
            && !error.is_operation_error()
        {
            self.is_one_unanswered.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Attempts {
    /// The error of the call: after an attempt without an answer a rule that is gone may be gone by that one.
    pub(super) fn with(&self, action: &str, error: CloudError) -> CloudError {
        match error {
            CloudError::RuleGone(source) if self.is_one_unanswered.load(Ordering::Relaxed) => {
                CloudError::Failed { action: action.to_owned(), source }
            }
            error => error,
        }
    }
}
