//! Whose credentials these are, and which regions that account uses: what only the command line has to ask.

use aws_config::SdkConfig;

use super::failure::during;
use crate::model::error::CloudError;

/// The account of the caller. AWS lets everybody ask, so an error says that the credentials are no good.
///
/// # Errors
/// What STS said, or why it was not asked.
pub async fn of_caller(config: &SdkConfig) -> Result<String, CloudError> {
    const ACTION: &str = "sts:GetCallerIdentity";
    let answer = aws_sdk_sts::Client::new(config).get_caller_identity().send().await.map_err(during(ACTION))?;
    Ok(answer.account.unwrap_or_default())
}

/// The regions that are enabled in the account.
///
/// # Errors
/// As with every read.
pub async fn regions(config: &SdkConfig) -> Result<Vec<String>, CloudError> {
    const ACTION: &str = "ec2:DescribeRegions";
    let answer = aws_sdk_ec2::Client::new(config).describe_regions().send().await.map_err(during(ACTION))?;
    let mut names: Vec<String> =
        answer.regions.unwrap_or_default().into_iter().filter_map(|region| region.region_name).collect();
    names.sort();
    Ok(names)
}
