//! What an SDK error says, on one line, and which of the ports' errors it is.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::SdkError;
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::model::error::CloudError;
use crate::model::error::chain;

/// The group is gone. Both spellings are in EC2's list of error codes.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
const GROUP_GONE: [&str; 2] = ["InvalidGroup.NotFound", "InvalidGroupId.NotFound"];

/// A rule is gone. The first answers a revoke by id, the second a revoke by content; emulators mix them up.
const RULE_GONE: [&str; 2] = ["InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound"];

/// A prefix list is gone, or no longer shared with this account.
const LIST_GONE: [&str; 2] = ["InvalidPrefixListID.NotFound", "InvalidPrefixListId.NotFound"];

/// EC2 understood the call, and no repeat of it will make it take that content.
const NOT_TAKEN: [&str; 6] = [
    "InvalidPermission.Duplicate",
    "InvalidPermission.Malformed",
    "InvalidParameter",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "RulesPerSecurityGroupLimitExceeded",
];

/// What AWS answered, or why no answer came. `SdkError` itself prints only `service error`, and the SDK's
/// `DisplayErrorContext` adds a dump of the whole response, headers included, which does not belong in a notice. So we
/// keep the code, the message, the HTTP status and the request id, or else the whole chain of causes.
#[derive(Debug)]
struct AwsError(String);

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for AwsError {}

impl AwsError {
    fn new<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> Self {
        let said = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            (None, _) => chain(error),
        };
        let answered = error.raw_response().map(|response| {
            let id = error.request_id().unwrap_or("unknown");
            format!(" (HTTP {}, request id {id})", response.status().as_u16())
        });
        Self(format!("{said}{}", answered.unwrap_or_default()).replace(char::is_control, " "))
    }
}

/// For `map_err`: the ports' error of a call that needs the IAM action `action`.
pub(super) fn during<E: ProvideErrorMetadata + Error + 'static>(action: &str) -> impl Fn(SdkError<E>) -> CloudError {
    move |error| cloud_error(action, &error)
}

/// The ports' error of a call that needs the IAM action `action`.
pub(super) fn cloud_error<E: ProvideErrorMetadata + Error + 'static>(action: &str, error: &SdkError<E>) -> CloudError {
    let source = AwsError::new(error).into();
    let action = action.to_owned();
    match error.code() {
        Some(code) if GROUP_GONE.contains(&code) => CloudError::GroupGone(source),
        Some(code) if RULE_GONE.contains(&code) => CloudError::RuleGone(source),
        Some(code) if LIST_GONE.contains(&code) => CloudError::ListGone(source),
        Some(code) if is_denied(code) => CloudError::Denied { action, source },
        None if lacks_credentials(error) => CloudError::Denied { action: "sts:AssumeRole".to_owned(), source },
        _ => CloudError::Failed { action, source },
    }
}

/// For `map_err`: the same of a call that gives rules a content, which EC2 may not take.
pub(super) fn taking<E: ProvideErrorMetadata + Error + 'static>(action: &str) -> impl Fn(SdkError<E>) -> CloudError {
    move |error| match cloud_error(action, &error) {
        CloudError::Failed { source, .. } if is_not_taken(&error) => CloudError::NotTaken(source),
        error => error,
    }
}

/// Whether EC2 does not take that content.
pub(super) fn is_not_taken<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code().is_some_and(|code| NOT_TAKEN.contains(&code))
}

/// Whether the call was not made because the credentials for it were refused.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// EC2 says `UnauthorizedOperation` or `AuthFailure`, EKS `AccessDeniedException`, SNS `AuthorizationError`.
pub(super) fn is_denied(code: &str) -> bool {
    code.starts_with("AccessDenied") || ["UnauthorizedOperation", "AuthFailure", "AuthorizationError"].contains(&code)
}

/// AWS answered, but not with what we can use.
pub(super) fn unusable(action: &str, what: impl fmt::Display) -> CloudError {
    CloudError::Failed { action: action.to_owned(), source: AwsError(what.to_string()).into() }
}
