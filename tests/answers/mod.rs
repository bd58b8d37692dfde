//! What the function reads in a payload, and what must be true of it whatever came.

use eks_sg_guard::event::batch::{self, Delivery};
use eks_sg_guard::event::payload::parse;
use eks_sg_guard::event::{EventError, GroupRef, Parsed, Target, Trigger};
use serde_json::Value;

pub(crate) type Answer = Result<Parsed, EventError>;

/// Each message of a payload as the function reads it.
pub(crate) fn answers(payload: &Value) -> Vec<Answer> {
    match batch::read(payload) {
        None => vec![parse(payload)],
        Some(Err(error)) => vec![Err(error)],
        Some(Ok(batch)) => batch.deliveries.into_iter().map(|Delivery { parsed, .. }| parsed).collect(),
    }
}

/// What must be true of any answer: messages fit on one line, and nothing is an id or a name that cannot be one.
pub(crate) fn is_sound(answer: &Answer) -> bool {
    let is_message = |text: &str| !text.is_empty() && text.len() < 4096 && !text.contains(char::is_control);
    let is_name = |name: &str, most| (1..=most).contains(&name.chars().count());
    match answer {
        Ok(Parsed::Ignored(reason)) => is_message(reason),
        Err(error) => is_message(&error.to_string()),
        Ok(Parsed::Trigger(Trigger::Lost)) => true,
        Ok(Parsed::Trigger(Trigger::Sweep { groups })) => groups.iter().all(|id| is_id(id, "sg-")),
        Ok(Parsed::Trigger(Trigger::Change(change))) => match &change.subject {
            Target::Groups(touched) => {
                !touched.is_empty()
                    && touched.iter().all(|touched| match &touched.group {
                        GroupRef::Name(name) => is_name(name, 255),
                        GroupRef::Id(id) => is_id(id, "sg-"),
                    })
            }
            Target::Attached { attachment, groups } => {
                let is_attachment = attachment.iter().all(|id| is_id(id, "eni-") || is_id(id, "i-"));
                (attachment.is_some() || !groups.is_empty())
                    && is_attachment
                    && groups.iter().all(|id| is_id(id, "sg-"))
            }
            Target::PrefixList(change) => is_id(&change.list, "pl-"),
            Target::Cluster { name, node_group } => [Some(name), node_group.as_ref()]
                .into_iter()
                .flatten()
                .all(|name| is_name(name, 100) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))),
            Target::EventRule(name) => name.iter().all(|name| is_name(name, 64)),
            Target::Trails | Target::Unknown => true,
        },
    }
}

fn is_id(id: &str, prefix: &str) -> bool {
    let digits = id.strip_prefix(prefix).unwrap_or_default();
    (1..=40).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
