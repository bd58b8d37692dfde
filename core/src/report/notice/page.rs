//! The page of the console that shows what the guard wrote to its log about a call: its records.
//!
//! Must not: know which channel shows it.

use super::compose::console_host;
use super::{Link, Message, Notice};

/// Characters that the console's page takes as they are.
const PLAIN: &[u8] = b"-_.";
/// What stands in each line of a record, where no event is known.
const EACH_RECORD: &str = "record";

/// Where the guard writes its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLog {
    /// The function's region.
    pub region: String,
    /// The function's log group.
    pub group: String,
}

impl Message {
    /// The same message, whose notice leads to the records too.
    #[must_use]
    pub fn with_records_in(&self, log: &RecordLog) -> Self {
        let link =
            |notice: &Notice| Notice { links: [&notice.links[..], &[log.page(notice)]].concat(), ..notice.clone() };
        Self { notice: self.notice.as_ref().map(link), ..self.clone() }
    }
}

impl RecordLog {
    fn page(&self, notice: &Notice) -> Link {
        let event = notice.more.iter().find(|(name, _)| *name == "Event").map(|(_, id)| id.as_str());
        let wanted = event.filter(|id| !id.contains('"')).unwrap_or(EACH_RECORD);
        let (region, host) = (&self.region, console_host(&self.region));
        let (group, wanted) = (twice(&self.group), twice(&format!("\"{wanted}\"")));
        Link {
            title: "The record in the guard's log".to_owned(),
            url: format!(
                "https://{host}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}/log-events\
                 $3FfilterPattern$3D{wanted}"
            ),
        }
    }
}

/// The page's own way to write text behind its `#`: percent-encoded, and the percent signs encoded again as `$25`.
fn twice(text: &str) -> String {
    let of = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) => char::from(byte).to_string(),
        byte => format!("$25{byte:02X}"),
    };
    text.bytes().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(more: Vec<(&'static str, String)>, region: &str) -> String {
        let log = RecordLog { region: region.to_owned(), group: "/aws/lambda/guard".to_owned() };
        let message = Message { notice: Some(Notice { more, ..Notice::default() }), ..Message::default() };
        message.with_records_in(&log).notice.unwrap().links[0].url.clone()
    }

    #[test]
    fn the_page_shows_the_records_of_the_call() {
        assert_eq!(
            page(vec![("Event", "0a1b-2c".to_owned())], "eu-west-1"),
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/\
             $252Faws$252Flambda$252Fguard/log-events$3FfilterPattern$3D$25220a1b-2c$2522"
        );
    }

    #[test]
    fn without_an_event_it_shows_all_records_and_text_from_outside_breaks_nothing() {
        assert!(page(vec![], "cn-north-1").starts_with("https://cn-north-1.console.amazonaws.cn/cloudwatch/"));
        assert!(page(vec![], "eu-west-1").ends_with("$2522record$2522"));
        assert!(page(vec![("Event", "a\" b".to_owned())], "eu-west-1").ends_with("$2522record$2522"));
        assert!(
            page(vec![("Event", "a b/#|>é".to_owned())], "eu-west-1")
                .ends_with("a$2520b$252F$2523$257C$253E$25C3$25A9$2522")
        );
    }
}
