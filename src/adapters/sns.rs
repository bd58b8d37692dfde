//! An SNS topic as a channel: text for people, or the record for machines.

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;

use super::failure::cloud_error;
use crate::model::error::Cause;
use crate::model::text;
use crate::ports::Channel;
use crate::report::notice::{Message, email, q};

/// The most that SNS takes unless the topic says otherwise: body and attributes together, in bytes.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
const MAX_MESSAGE_LEN: usize = 256 * 1024;

/// The last line of a text that was too long.
const CUT: &str = "\n… cut: the message was too long for SNS; the record has all of it\n";

/// Structure `json` would lose the attributes on delivery, so each audience has a topic of its own and gets plain strings.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>
const STRING: &str = "String";

/// A topic and who listens to it.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
    audience: Audience,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    People,
    Chat,
    Machines,
}

impl Topic {
    /// A topic that people read, by e-mail for example: subject and text, of the messages that are for people.
    pub fn people(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into(), audience: Audience::People }
    }

    /// A topic that Amazon Q Developer in chat applications reads: its custom notifications, without a subject.
    pub fn chat(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into(), audience: Audience::Chat }
    }

    /// A topic that machines read: every record, as JSON, without a subject.
    pub fn records(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into(), audience: Audience::Machines }
    }
}

#[async_trait]
impl Channel for Topic {
    fn name(&self) -> &'static str {
        match self.audience {
            Audience::People => "people",
            Audience::Chat => "chat",
            Audience::Machines => "records",
        }
    }

    async fn send(&self, message: &Message) -> Result<(), Cause> {
        let mut call = self.client.publish().topic_arn(&self.arn);
        match self.audience {
            Audience::People => {
                let Some(notice) = &message.notice else { return Ok(()) };
                let room = MAX_MESSAGE_LEN.saturating_sub(attribute_bytes(message) + notice.subject.len());
                call = call.subject(&notice.subject).message(text::fit(&email::text(notice), room, CUT));
            }
            Audience::Chat => {
                let Some(notice) = &message.notice else { return Ok(()) };
                call = call.message(q::json(notice, &message.attributes));
            }
            // Half a record is no JSON. Records come in parts far below the limit; SNS refuses a larger one, aloud.
            Audience::Machines => {
                let Some(record) = &message.record else { return Ok(()) };
                call = call.message(record);
            }
        }
        for (name, value) in &message.attributes {
            let value = MessageAttributeValue::builder().data_type(STRING).string_value(value).build();
            call = call.message_attributes(*name, value?);
        }
        call.send().await.map_err(|error| cloud_error("sns:Publish", &error))?;
        Ok(())
    }
}

/// SNS counts the name, the type and the value of each attribute.
fn attribute_bytes(message: &Message) -> usize {
    message.attributes.iter().map(|(name, value)| name.len() + STRING.len() + value.len()).sum()
}
