//! AWS Security Hub, which takes the findings of an audit.
//!
//! Owns: what its answers mean. Must not: know what a finding says (`audit::report::asff` does); it is sent as written.

use aws_config::SdkConfig;
use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use aws_sdk_securityhub::Client;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use super::failure::cloud_error;
use crate::model::error::CloudError;

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Findings that it took.
    pub taken: usize,
    /// Those that it did not take, by id, and why.
    pub refused: Vec<(String, String)>,
}

/// Sends one batch into the account and region of this configuration: `{"Findings": […]}`, at most 100 of them.
///
/// # Errors
/// The call failed, or Security Hub is not enabled there.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html>
pub async fn import(config: &SdkConfig, batch: &Value) -> Result<Imported, CloudError> {
    let text = batch.to_string();
    // The text is that of `--format asff`, and not what the SDK would make of its own types.
    let call = Client::new(config).batch_import_findings().customize().mutate_request(move |request| {
        request.headers_mut().insert("content-length", text.len().to_string());
        *request.body_mut() = SdkBody::from(text.clone());
    });
    let answer = match call.send().await {
        Ok(answer) => answer,
        Err(error) if error.code() == Some("InvalidAccessException") => {
            let region = config.region().map(ToString::to_string).unwrap_or_default();
            return Err(CloudError::Withheld(format!(
                "Security Hub is not enabled in {region}, which `aws securityhub enable-security-hub --region {region}` does"
            )));
        }
        Err(error) => return Err(cloud_error("securityhub:BatchImportFindings", &error)),
    };
    let refused = answer.failed_findings().iter().map(|failed| {
        let text = |text: Option<&str>| text.unwrap_or("unknown").to_owned();
        (text(failed.id()), format!("{}: {}", text(failed.error_code()), text(failed.error_message())))
    });
    let taken = usize::try_from(answer.success_count().unwrap_or_default()).unwrap_or_default();
    Ok(Imported { taken, refused: refused.collect() })
}
