//! The environment variables of the function, read once at start. An unknown value stops the start with its name and value.
//!
//! Must not: read files or the environment by itself; the caller passes a look-up.

use std::str::FromStr;

use crate::guard::plan::Modes;
use crate::policy::model::Mode;

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
    /// `GUARD_ACCOUNTS`: whose events count; empty: only the function's own.
    pub accounts: Vec<String>,
    /// `GUARD_REGIONS`: of which regions; empty: only the function's own.
    pub regions: Vec<String>,
    /// `GUARD_ROLE_NAME`: the role to assume for every place but the function's own account and region.
    pub role_name: Option<String>,
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
        let mode = |variable| parse(variable, get(variable), "`enforce` or `report`", Mode::from_word);
        let max_revokes =
            parse("GUARD_MAX_REVOKES", get("GUARD_MAX_REVOKES"), "a whole number", |text| usize::from_str(text).ok())?;
        let table = "the name or the ARN of a DynamoDB table";
        let state_table = parse("GUARD_STATE_TABLE", get("GUARD_STATE_TABLE"), table, |text| {
            is_table(text).then(|| text.to_owned())
        })?;
        let list = |variable, expected, is_one: fn(&str) -> bool| {
            let read = |text: &str| {
                let each: Vec<String> = text.split(',').map(|each| each.trim().to_owned()).collect();
                each.iter().all(|each| is_one(each)).then_some(each)
            };
            parse(variable, get(variable), expected, read).map(Option::unwrap_or_default)
        };
        let accounts = list("GUARD_ACCOUNTS", "account ids of 12 digits, separated by commas", is_account)?;
        let regions = list("GUARD_REGIONS", "names of regions, separated by commas", is_region)?;
        let role_name =
            parse("GUARD_ROLE_NAME", get("GUARD_ROLE_NAME"), "the name of an IAM role, without its path", |text| {
                is_role_name(text).then(|| text.to_owned())
            })?;
        if role_name.is_none() && (accounts.len() > 1 || regions.len() > 1) {
            return Err(SettingError {
                variable: "GUARD_ROLE_NAME",
                value: String::new(),
                expected: "the name of the role to assume for the accounts and regions of GUARD_ACCOUNTS and GUARD_REGIONS",
            });
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
            accounts,
            regions,
            role_name,
            own_role: parse("GUARD_OWN_ROLE_ARN", get("GUARD_OWN_ROLE_ARN"), "the ARN of an IAM role", |text| {
                (text.starts_with("arn:") && text.contains(":iam::") && text.contains(":role/"))
                    .then(|| text.to_owned())
            })?,
            max_revokes: max_revokes.unwrap_or(50),
        })
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `eu-west-1`, `us-gov-east-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    parts.len() >= 3 && parts.iter().all(is_word)
}

fn is_role_name(text: &str) -> bool {
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    (1..=64).contains(&text.len()) && text.chars().all(is_fit)
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
    fn more_than_one_place_needs_a_role_to_get_there() {
        let accounts = ("GUARD_ACCOUNTS", "111122223333, 444455556666");
        for places in [&[accounts][..], &[("GUARD_REGIONS", "eu-west-1,us-gov-east-1")]] {
            assert_eq!(read(places).unwrap_err().variable, "GUARD_ROLE_NAME");
            let settings = read(&[places, &[("GUARD_ROLE_NAME", "eks-sg-guard-member")]].concat()).unwrap();
            assert_eq!(settings.accounts.len() + settings.regions.len(), 2);
        }
        assert_eq!(read(&[("GUARD_ACCOUNTS", "111122223333")]).unwrap().accounts, ["111122223333"]);
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
            ("GUARD_ACCOUNTS", "1111222233"),
            ("GUARD_ACCOUNTS", "111122223333,"),
            ("GUARD_ACCOUNTS", "11112222333a"),
            ("GUARD_REGIONS", "Ireland"),
            ("GUARD_REGIONS", "eu-west-1;us-east-1"),
            ("GUARD_ROLE_NAME", "path/to/role"),
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
