//! The environment variables of the function, read once at start. An unknown value stops the start with its name and value.
//!
//! Owns: the table of variables, which errors, README, template and tests follow. Must not: read files or the environment by
//! itself; the caller passes a look-up.

use crate::model::ids::{Arn, EventRule, Queue, is_account, is_external_id, is_region, is_role_name, is_table_name};
use crate::model::mode::Restore;
use crate::plan::modes::Modes;
use crate::policy::model::Mode;
use crate::report::metrics::Published;

/// One environment variable, in the words that people read of it.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// `GUARD_…`
    pub name: &'static str,
    /// What it may hold, after "expected".
    pub expected: &'static str,
    /// What counts where it is unset or empty. Empty: nothing.
    pub default: &'static str,
    /// What it sets.
    pub meaning: &'static str,
    /// The parameter of `template.yaml` that sets it. Empty: the template knows the value.
    pub parameter: &'static str,
}

/// Every variable that the function reads of its own.
#[rustfmt::skip]
pub const VARIABLES: [Variable; 18] = [
    Variable {
        name: "GUARD_MODE", expected: "`enforce` or `report`", default: "enforce", parameter: "GuardMode",
        meaning: "what becomes of new rules that are forbidden; `report` stops sweeps from revoking, too",
    },
    Variable {
        name: "GUARD_RESTORE", expected: "`known` or `never`", default: "known", parameter: "GuardRestore",
        meaning: "whether a rule that was edited in place to something forbidden is put back to what it was known as",
    },
    Variable {
        name: "GUARD_SWEEP_MODE", expected: "`report` or `enforce`", default: "report", parameter: "GuardSweepMode",
        meaning: "the same for known rules",
    },
    Variable {
        name: "GUARD_POLICY", expected: "`standard`, `strict`, `none` or the path of a policy file", default: "standard",
        parameter: "GuardPolicy", meaning: "the policy",
    },
    Variable {
        name: "GUARD_TOPIC_ARN", expected: "the ARN of an SNS topic", default: "", parameter: "TopicArn",
        meaning: "topic for people; the template makes one where none is named",
    },
    Variable {
        name: "GUARD_RECORD_TOPIC_ARN", expected: "the ARN of an SNS topic", default: "", parameter: "RecordTopicArn",
        meaning: "topic for machines; the template makes one where none is named",
    },
    Variable {
        name: "GUARD_CHAT_TOPIC_ARN", expected: "the ARN of an SNS topic", default: "", parameter: "ChatTopicArn",
        meaning: "topic of Amazon Q Developer in chat applications",
    },
    Variable {
        name: "GUARD_SLACK_SECRET_ARN", expected: "the ARN of a secret in Secrets Manager", default: "",
        parameter: "SlackSecretArn", meaning: "secret with the address of a Slack incoming webhook",
    },
    Variable {
        name: "GUARD_STATE_TABLE", expected: "the name or the ARN of a DynamoDB table", default: "",
        parameter: "StateTable",
        meaning: "table of what is known of rules and of what people were notified; the template makes or adopts it",
    },
    Variable {
        name: "GUARD_QUEUE_URL", expected: "the address of an SQS queue", default: "", parameter: "",
        meaning: "the guard's work queue: what has to be tried or looked at again waits there; the template makes it",
    },
    Variable {
        name: "GUARD_ACCOUNTS", expected: "account ids of 12 digits, separated by commas, or `*`", default: "",
        parameter: "GuardAccounts",
        meaning: "accounts whose events count; empty: the function's own; `*`: every one in which the role can be assumed",
    },
    Variable {
        name: "GUARD_REGIONS", expected: "regions such as `us-east-1`, separated by commas", default: "",
        parameter: "GuardRegions", meaning: "regions whose events count; empty: the function's own",
    },
    Variable {
        name: "GUARD_ROLE_NAME", expected: "the name of an IAM role, without its path", default: "",
        parameter: "GuardRoleName", meaning: "role to assume in every other account and region",
    },
    Variable {
        name: "GUARD_EXTERNAL_ID", expected: "an external id: 2 to 1,224 letters, digits and `+=,.@:/_-`", default: "",
        parameter: "ExternalId",
        meaning: "what that role asks for; empty: `eks-sg-guard:ACCOUNT:ROLE`, with the function's account and that role",
    },
    Variable {
        name: "GUARD_OWN_ROLE_ARN", expected: "the ARN of an IAM role", default: "", parameter: "",
        meaning: "the function's role: its own revokes come back as events, which are left alone",
    },
    Variable {
        name: "GUARD_MAX_REVOKES", expected: "a whole number", default: "50", parameter: "GuardMaxRevokes",
        meaning: "most rules that one invocation may revoke; and, of rules that no event made, one location in an hour",
    },
    Variable {
        name: "GUARD_EVENT_RULE", expected: "the name or the ARN of an EventBridge rule", default: "", parameter: "",
        meaning: "the rule that invokes the function: people hear when it does not any more; empty: it is not looked at",
    },
    Variable {
        name: "GUARD_METRICS", expected: "`needed` or `all`", default: "all", parameter: "GuardMetrics",
        meaning: "which figures of the log become metrics: those of alarms and dashboard where they are not zero, or each",
    },
];

/// In place of the accounts: every one in which the guard's role can be assumed.
pub const EVERY_ACCOUNT: &str = "*";

/// The variable whose value is read as a file, by whoever may read files.
pub const POLICY: Variable = VARIABLES[3];

impl Variable {
    /// It holds a value that cannot be used.
    pub fn refuses(&self, value: &str) -> SettingError {
        SettingError { variable: self.name, value: value.to_owned(), expected: self.expected }
    }
}

/// Everything the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Of new rules and of sweeps.
    pub modes: Modes,
    /// The name of a built-in, or a path.
    pub policy: String,
    /// ARN: people.
    pub topic: Option<String>,
    /// ARN: machines.
    pub record_topic: Option<String>,
    /// ARN: Amazon Q Developer in chat applications.
    pub chat_topic: Option<String>,
    /// ARN.
    pub slack_secret: Option<String>,
    /// A name or an ARN.
    pub state_table: Option<String>,
    /// An address.
    pub queue: Option<String>,
    /// Empty: only the function's own. [`EVERY_ACCOUNT`]: those in which the role can be assumed.
    pub accounts: Vec<String>,
    /// Empty: only the function's own.
    pub regions: Vec<String>,
    /// Without its path.
    pub role_name: Option<String>,
    /// What that role asks for, where it is not what it asks for by default ([`Settings::external_id`]).
    pub external_id: Option<String>,
    /// ARN.
    pub own_role: Option<String>,
    /// Rules.
    pub max_revokes: usize,
    /// The one that invokes the function.
    pub event_rule: Option<EventRule>,
    /// Of what is counted.
    pub metrics: Published,
}

/// A value that is not understood, or that cannot be used.
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
        let values = Values { look_up };
        let [mode, restore, sweep_mode, policy, topic, record_topic, chat_topic, slack_secret, state_table, more @ ..] =
            &VARIABLES;
        let [queue, accounts, regions, role_name, external_id, own_role, max_revokes, event_rule, metrics] = more;
        let new = values.needed(mode, a_mode)?;
        let restore = values.needed(restore, Restore::from_word)?;
        let settings = Self {
            modes: Modes::new(new, values.needed(sweep_mode, a_mode)?).restoring(restore),
            policy: values.needed(policy, |text| Some(text.to_owned()))?,
            topic: values.text(topic, is_topic)?,
            record_topic: values.text(record_topic, is_topic)?,
            chat_topic: values.text(chat_topic, is_topic)?,
            slack_secret: values
                .text(slack_secret, |text| Arn::parse(text).is_some_and(|arn| arn.secret().is_some()))?,
            state_table: values.text(state_table, is_table)?,
            queue: values.text(queue, |text| Queue::of_url(text).is_some())?,
            accounts: values.list(accounts, |text| is_account(text) || text == EVERY_ACCOUNT)?,
            regions: values.list(regions, is_region)?,
            role_name: values.text(role_name, is_role_name)?,
            external_id: values.text(external_id, is_external_id)?,
            own_role: values.text(own_role, |text| Arn::parse(text).is_some_and(|arn| arn.role().is_some()))?,
            max_revokes: values.needed(max_revokes, |text| text.parse().ok())?,
            event_rule: values.read(event_rule, EventRule::of)?,
            metrics: values.needed(metrics, Published::from_word)?,
        };
        let is_every = settings.takes_every_account();
        if is_every && settings.accounts.len() > 1 {
            return Err(accounts.refuses(&settings.accounts.join(",")));
        }
        // What comes by itself is kept in the table, and looked at through the queue.
        for (variable, is_there) in [(state_table, settings.state_table.is_some()), (queue, settings.queue.is_some())] {
            if is_every && !is_there {
                return Err(variable.refuses(""));
            }
        }
        let is_elsewhere = is_every || settings.accounts.len() > 1 || settings.regions.len() > 1;
        if is_elsewhere && settings.role_name.is_none() {
            let expected =
                "the name of the role to assume for the accounts and regions of GUARD_ACCOUNTS and GUARD_REGIONS";
            return Err(SettingError { variable: role_name.name, value: String::new(), expected });
        }
        Ok(settings)
    }

    /// Whether accounts come by themselves.
    pub fn takes_every_account(&self) -> bool {
        self.accounts.iter().any(|account| account == EVERY_ACCOUNT)
    }

    /// What the guard of this account says when it assumes that role; `member.yaml` makes the same of it. A request that
    /// somebody else has a program of this account make is not taken for ours.
    pub fn external_id(&self, account: &str, role: &str) -> String {
        self.external_id.clone().unwrap_or_else(|| format!("eks-sg-guard:{account}:{role}"))
    }
}

/// The values of the variables.
struct Values<F> {
    look_up: F,
}

impl<F: Fn(&str) -> Option<String>> Values<F> {
    /// `None`: it is empty, and so is its default.
    fn read<T>(&self, of: &Variable, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, SettingError> {
        let value = (self.look_up)(of.name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let value = value.unwrap_or_else(|| of.default.to_owned());
        if value.is_empty() {
            return Ok(None);
        }
        parse(&value).map(Some).ok_or_else(|| of.refuses(&value))
    }

    /// Of a variable with a default.
    fn needed<T>(&self, of: &Variable, parse: impl Fn(&str) -> Option<T>) -> Result<T, SettingError> {
        self.read(of, parse)?.ok_or_else(|| of.refuses(""))
    }

    fn text(&self, of: &Variable, is_one: impl Fn(&str) -> bool) -> Result<Option<String>, SettingError> {
        self.read(of, |text| is_one(text).then(|| text.to_owned()))
    }

    fn list(&self, of: &Variable, is_one: impl Fn(&str) -> bool) -> Result<Vec<String>, SettingError> {
        let parse = |text: &str| {
            let each = text.split(',').map(str::trim);
            each.map(|each| is_one(each).then(|| each.to_owned())).collect()
        };
        self.read(of, parse).map(Option::unwrap_or_default)
    }
}

fn a_mode(text: &str) -> Option<Mode> {
    [Mode::Enforce, Mode::Report].into_iter().find(|mode| mode.word() == text)
}

fn is_topic(text: &str) -> bool {
    Arn::parse(text).is_some_and(|arn| arn.topic().is_some())
}

fn is_table(text: &str) -> bool {
    is_table_name(text) || Arn::parse(text).is_some_and(|arn| arn.table().is_some())
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
        assert_eq!(settings.modes, Modes::new(Mode::Enforce, Mode::Report));
        assert_eq!((settings.policy.as_str(), settings.max_revokes), ("standard", 50));
        assert_eq!((settings.topic, settings.record_topic, settings.state_table), (None, None, None));
    }

    #[test]
    fn more_than_one_location_needs_a_role_to_get_there() {
        let accounts = ("GUARD_ACCOUNTS", "111122223333, 444455556666");
        for locations in [&[accounts][..], &[("GUARD_REGIONS", "eu-west-1,us-gov-east-1")]] {
            assert_eq!(read(locations).unwrap_err().variable, "GUARD_ROLE_NAME");
            let settings = read(&[locations, &[("GUARD_ROLE_NAME", "eks-sg-guard-member")]].concat()).unwrap();
            assert_eq!(settings.accounts.len() + settings.regions.len(), 2);
        }
        assert_eq!(read(&[("GUARD_ACCOUNTS", "111122223333")]).unwrap().accounts, ["111122223333"]);
    }

    #[test]
    fn every_account_needs_what_it_is_kept_in_and_looked_at_through() {
        let all = [
            ("GUARD_ACCOUNTS", "*"),
            ("GUARD_ROLE_NAME", "eks-sg-guard-member"),
            ("GUARD_STATE_TABLE", "guard"),
            ("GUARD_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/111122223333/guard"),
        ];
        assert!(read(&all).unwrap().takes_every_account());
        for missing in 1..all.len() {
            let some: Vec<_> =
                all.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, variable)| *variable).collect();
            assert_eq!(read(&some).unwrap_err().variable, all[missing].0);
        }
        for value in ["*,111122223333", "111122223333,*", "*,*", "**", "11112222333*"] {
            let error = read(&[("GUARD_ACCOUNTS", value), all[1], all[2], all[3]]).unwrap_err();
            assert_eq!((error.variable, error.value.as_str()), ("GUARD_ACCOUNTS", value));
        }
        assert!(!read(&[("GUARD_ACCOUNTS", "111122223333")]).unwrap().takes_every_account());
    }

    #[test]
    fn the_role_is_assumed_with_an_external_id_whether_or_not_one_is_set() {
        for (given, expected) in [("", "eks-sg-guard:111122223333:member"), ("ours/7", "ours/7")] {
            let settings = read(&[("GUARD_EXTERNAL_ID", given)]).unwrap();
            let id = settings.external_id("111122223333", "member");
            assert_eq!(id, expected);
            assert!(is_external_id(&id), "as IAM takes it");
        }
    }

    #[test]
    fn report_mode_is_the_stop_button_for_sweeps_too() {
        let settings = read(&[("GUARD_MODE", "report"), ("GUARD_SWEEP_MODE", "enforce")]).unwrap();
        assert_eq!(settings.modes, Modes::new(Mode::Report, Mode::Report));
    }

    #[test]
    fn rules_that_were_edited_are_put_back_unless_told_not_to() {
        for (value, restore) in [("", Restore::Known), ("known", Restore::Known), ("never", Restore::Never)] {
            assert_eq!(read(&[("GUARD_RESTORE", value)]).unwrap().modes.restore, restore, "{value}");
        }
    }

    #[test]
    fn an_unknown_value_names_the_variable_the_value_and_what_would_be_right() {
        for (variable, value) in [
            ("GUARD_MODE", "enforced"),
            ("GUARD_RESTORE", "always"),
            ("GUARD_SWEEP_MODE", "off"),
            ("GUARD_MAX_REVOKES", "-1"),
            ("GUARD_TOPIC_ARN", "ops"),
            ("GUARD_CHAT_TOPIC_ARN", "ops"),
            ("GUARD_SLACK_SECRET_ARN", "xoxb-0"),
            ("GUARD_OWN_ROLE_ARN", "eks-sg-guard"),
            ("GUARD_OWN_ROLE_ARN", "arn:aws:iam::111122223333:user/eks-sg-guard"),
            ("GUARD_TOPIC_ARN", "arn:aws:sqs:us-east-1:111122223333:ops"),
            ("GUARD_ACCOUNTS", "1111222233"),
            ("GUARD_ACCOUNTS", "111122223333,"),
            ("GUARD_ACCOUNTS", "11112222333a"),
            ("GUARD_REGIONS", "Ireland"),
            ("GUARD_REGIONS", "eu-west-x"),
            ("GUARD_REGIONS", "eu-west-1,eu-west-1a"),
            ("GUARD_REGIONS", "eu-west-1;us-east-1"),
            ("GUARD_ROLE_NAME", "path/to/role"),
            ("GUARD_EXTERNAL_ID", "x"),
            ("GUARD_EXTERNAL_ID", "two words"),
            ("GUARD_EXTERNAL_ID", "id*"),
            ("GUARD_QUEUE_URL", "guard-WorkQueue"),
            ("GUARD_EVENT_RULE", "our rule"),
            ("GUARD_METRICS", "none"),
            ("GUARD_EVENT_RULE", "arn:aws:sns:us-east-1:111122223333:guard"),
            ("GUARD_QUEUE_URL", "arn:aws:sqs:us-east-1:111122223333:guard"),
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

    #[test]
    fn the_function_reads_exactly_the_variables_of_the_table() {
        let asked = std::cell::RefCell::new(Vec::new());
        let look_up = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            None
        };
        Settings::from(look_up).unwrap();
        assert_eq!(*asked.borrow(), VARIABLES.map(|variable| variable.name));
        assert_eq!(POLICY.name, "GUARD_POLICY");
    }
}
