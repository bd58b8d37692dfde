//! As whom AWS is asked: the arguments that say so, for every verb that asks.

use clap::Args;

/// What stands in place of a call to AWS in the program that was built without the SDK.
#[cfg(not(feature = "security-hub"))]
pub(super) const WITHOUT_SDK: &str = "this program was built without the AWS SDK, so it cannot talk to AWS: build the one \
                                      that can with `make release` (target/release/eks-sg-guard)";

/// As whom.
#[derive(Args)]
#[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "the arguments are the same, whatever the program can do"))]
pub(super) struct Identity {
    /// A profile of the AWS CLI.
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// A role to assume for it, also in another account.
    #[arg(long, value_name = "ARN")]
    pub(super) role_arn: Option<String>,
    /// What that role asks for.
    #[arg(long, value_name = "ID", requires = "role_arn")]
    pub(super) external_id: Option<String>,
}
