//! The environment variables of the function, read once at start. An unknown value stops the start with its name and value.
//!
//! Must not: read files or the environment by itself; the caller passes a look-up.

use std::str::FromStr;

use crate::plan::Modes;
use crate::policy::Mode;

/// Everything the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `GUARD_MODE` and `GUARD_SWEEP_MODE`.
    pub modes: Modes,
    /// `GUARD_POLICY`: the name of a built-in, or a path.
    pub policy: String,
    /// `GUARD_TOPIC_ARN`: people.
    pub topic: Option<String>,
    /// `GUARD_RECORD_TOPIC_ARN`: machines.
    pub record_topic: Option<String>,
    /// `GUARD_CHAT_TOPIC_ARN`: Amazon Q Developer in chat applications.
    pub chat_topic: Option<String>,
    /// `GUARD_SLACK_SECRET_ARN`: the secret with the address of a Slack webhook.
    pub slack_secret: Option<String>,
    /// `GUARD_STATE_TABLE`: the name or ARN of the DynamoDB table that remembers events and repeats.
    pub state_table: Option<String>,
    /// `GUARD_OWN_ROLE_ARN`: the function's role. Its own revokes come back as events, which are left alone.
    pub own_role: Option<String>,
    /// `GUARD_MAX_REVOKES`: most rules one invocation may revoke.
    pub max_revokes: usize,
}

/// A value that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {variable} is `{value}`; expected {expected}")]
pub struct SettingError {
    /// Its name.
    pub variable: &'static str,
    /// What it holds.
    pub value: String,
    /// What it may hold.
    pub expected: &'static str,
}

/// Variables of the contract that this version does not act on. Ignoring one would let somebody believe it does.
const NOT_YET: [&str; 3] = ["GUARD_ACCOUNTS", "GUARD_REGIONS", "GUARD_ROLE_NAME"];

impl Settings {
    /// Reads the variables through `look_up`. Unset and empty are the same.
    ///
    /// # Errors
    /// The first value that is not understood.
    pub fn from(look_up: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let get = |variable: &str| look_up(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let topic = |variable| {
            parse(variable, get(variable), "the ARN of an SNS topic", |text| {
                (text.starts_with("arn:") && text.contains(":sns:")).then(|| text.to_owned())
            })
        };
        let mode = |variable| {
            parse(variable, get(variable), "`enforce` or `report`", |text| match text {
                "enforce" => Some(Mode::Enforce),
                "report" => Some(Mode::Report),
                _ => None,
            })
        };
        let max_revokes =
            parse("GUARD_MAX_REVOKES", get("GUARD_MAX_REVOKES"), "a whole number", |text| usize::from_str(text).ok())?;
        let table = "the name or the ARN of a DynamoDB table";
        let state_table = parse("GUARD_STATE_TABLE", get("GUARD_STATE_TABLE"), table, |text| {
            is_table(text).then(|| text.to_owned())
        })?;
        for variable in NOT_YET {
            parse(variable, get(variable), "nothing: this version does not act on it", |_| None::<()>)?;
        }
        Ok(Self {
            modes: Modes::new(
                mode("GUARD_MODE")?.unwrap_or(Mode::Enforce),
                mode("GUARD_SWEEP_MODE")?.unwrap_or(Mode::Report),
            ),
            policy: get("GUARD_POLICY").unwrap_or_else(|| "standard".to_owned()),
            topic: topic("GUARD_TOPIC_ARN")?,
            record_topic: topic("GUARD_RECORD_TOPIC_ARN")?,
            chat_topic: topic("GUARD_CHAT_TOPIC_ARN")?,
            slack_secret: parse(
                "GUARD_SLACK_SECRET_ARN",
                get("GUARD_SLACK_SECRET_ARN"),
                "the ARN of a secret in Secrets Manager",
                |text| (text.starts_with("arn:") && text.contains(":secretsmanager:")).then(|| text.to_owned()),
            )?,
            state_table,
            own_role: parse("GUARD_OWN_ROLE_ARN", get("GUARD_OWN_ROLE_ARN"), "the ARN of an IAM role", |text| {
                (text.starts_with("arn:") && text.contains(":iam::") && text.contains(":role/"))
                    .then(|| text.to_owned())
            })?,
            max_revokes: max_revokes.unwrap_or(50),
        })
    }
}

/// A name alone, or at the end of `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`.
fn is_table(text: &str) -> bool {
    let name = match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        [name] => Some(*name),
        ["arn", _, "dynamodb", region, account, table] if !region.is_empty() && !account.is_empty() => {
            table.strip_prefix("table/")
        }
        _ => None,
    };
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    name.is_some_and(|name| (3..=255).contains(&name.len()) && name.chars().all(is_fit))
}

fn parse<T>(
    variable: &'static str,
    value: Option<String>,
    expected: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, SettingError> {
    let Some(value) = value else { return Ok(None) };
    read(&value).map(Some).ok_or(SettingError { variable, value, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingError> {
        Settings::from(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn an_empty_environment_enforces_on_events_and_reports_in_sweeps() {
        let settings = read(&[("GUARD_TOPIC_ARN", "")]).unwrap();
        assert_eq!(settings.modes, Modes { named: Mode::Enforce, others: Mode::Report });
        assert_eq!((settings.policy.as_str(), settings.max_revokes), ("standard", 50));
        assert_eq!((settings.topic, settings.record_topic, settings.state_table), (None, None, None));
    }

    #[test]
    fn report_mode_is_the_stop_button_for_sweeps_too() {
        let settings = read(&[("GUARD_MODE", "report"), ("GUARD_SWEEP_MODE", "enforce")]).unwrap();
        assert_eq!(settings.modes, Modes { named: Mode::Report, others: Mode::Report });
    }

    #[test]
    fn an_unknown_value_names_the_variable_the_value_and_what_would_be_right() {
        for (variable, value) in [
            ("GUARD_MODE", "enforced"),
            ("GUARD_SWEEP_MODE", "off"),
            ("GUARD_MAX_REVOKES", "-1"),
            ("GUARD_TOPIC_ARN", "ops"),
            ("GUARD_CHAT_TOPIC_ARN", "ops"),
            ("GUARD_SLACK_SECRET_ARN", "xoxb-0"),
            ("GUARD_OWN_ROLE_ARN", "eks-sg-guard"),
            ("GUARD_ACCOUNTS", "111122223333"),
            ("GUARD_STATE_TABLE", "ab"),
            ("GUARD_STATE_TABLE", "a table"),
            ("GUARD_STATE_TABLE", "arn:aws:dynamodb:us-east-1:111122223333:global-table/guard"),
            ("GUARD_STATE_TABLE", "arn:aws:dynamodb:us-east-1:111122223333:table/guard/index/by-time"),
            ("GUARD_STATE_TABLE", "arn:aws:dynamodb:::table/guard"),
            ("GUARD_STATE_TABLE", "arn:aws:sns:us-east-1:111122223333:guard"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err();
            assert_eq!((error.variable, error.value.as_str()), (variable, value));
            assert!(error.to_string().contains("expected"), "{error}");
        }
    }

    #[test]
    fn a_table_is_named_by_its_name_or_its_arn() {
        for table in ["guard-GuardTable-1ABC_d.e", "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/guard"] {
            assert_eq!(read(&[("GUARD_STATE_TABLE", table)]).unwrap().state_table.as_deref(), Some(table));
        }
    }
}
