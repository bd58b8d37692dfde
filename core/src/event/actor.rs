//! Who made a call, from the shapes that `userIdentity` has: users, sessions of roles, federated sessions, services, the
//! root user, and records of services that have no type at all.

use serde_json::Value;

use super::Actor;
use super::fields::{at, get, text};
use crate::model::ids::is_account;
use crate::model::text;

/// Longest text that is kept, in characters. No ARN is longer, and a record has to fit into a message whatever a caller
/// writes.
const MAX_ACTOR_TEXT_LEN: usize = 1024;

/// Reads what is there. Nothing here is required: a call by nobody we can name is still a call.
pub(super) fn read(record: &Value) -> Actor {
    let short = |value: &Value| text(value).map(|text| cut(&text));
    let identity = |path: &[&str]| short(at(get(record, "userIdentity"), path));
    let arn = identity(&["arn"]);
    // An ARN has it already.
    let account = identity(&["accountId"]).filter(|text| arn.is_none() && is_account(text));
    Actor {
        arn,
        r#type: identity(&["type"]),
        account,
        session_issuer: identity(&["sessionContext", "sessionIssuer", "arn"]),
        federated_provider: identity(&["sessionContext", "webIdFederationData", "federatedProvider"]),
        source_ip: short(get(record, "sourceIPAddress")),
        user_agent: short(get(record, "userAgent")),
        invoked_by: identity(&["invokedBy"]),
    }
}

pub(super) fn cut(text: &str) -> String {
    text::cut(text, MAX_ACTOR_TEXT_LEN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_identity_of_any_other_shape_is_nobody() {
        for identity in [
            json!(null),
            json!({}),
            json!(""),
            json!("root"),
            json!([]),
            json!({"sessionContext": {"sessionIssuer": {}, "webIdFederationData": {}}}),
            json!({"sessionContext": {"webIdFederationData": {"federatedProvider": {}, "attributes": {}}}}),
        ] {
            assert_eq!(read(&json!({"userIdentity": identity})), Actor::default());
        }
    }

    #[test]
    fn a_megabyte_is_cut_visibly() {
        let agent = read(&json!({"userAgent": "é".repeat(1_000_000)})).user_agent.unwrap();
        assert_eq!(agent, "é".repeat(MAX_ACTOR_TEXT_LEN) + "… (cut)");
        assert_eq!(
            read(&json!({"userAgent": "é".repeat(MAX_ACTOR_TEXT_LEN)})).user_agent.unwrap().chars().count(),
            MAX_ACTOR_TEXT_LEN
        );
    }

    #[test]
    fn lower_cased_fields_are_read_too() {
        let actor = read(
            &json!({"userIdentity": {"sessioncontext": {"sessionissuer": {"arn": "arn:aws:iam::111122223333:role/a"}},
            "invokedby": "eks.amazonaws.com"}}),
        );
        assert_eq!(actor.session_issuer.as_deref(), Some("arn:aws:iam::111122223333:role/a"));
        assert_eq!(actor.invoked_by.as_deref(), Some("eks.amazonaws.com"));
    }
}
