//! What a customer's history says about somebody else.
//!
//! A billing account can be a customer's for a time and another one's afterwards. What the customer
//! was shown with meanwhile stays in the audit and in the changes of events, and is about the other
//! one by now: whoever is told what is kept of the first must not read it.
//!
//! Refused: to look for the words of the other one. What somebody was called then need not be
//! stored anywhere else any more. What is about the customer stands in the payloads too.

use std::collections::BTreeSet;

use serde_json::Value;

use super::erased::{only_ids, tells_of_person};

/// What is known of others who were one with the customer for a time.
#[derive(Clone, Debug, Default)]
pub struct OtherPerson {
    /// True if there are any.
    is_known: bool,
    /// Their ids and those of what they bought.
    ids: BTreeSet<String>,
}

impl OtherPerson {
    /// Takes note of others. `ids` are theirs alone.
    pub fn new(is_known: bool, ids: BTreeSet<String>) -> Self {
        Self { is_known, ids }
    }

    /// Returns the details of an operation, without all that they say if any of it may be about
    /// somebody else.
    pub fn left_out(&self, operation: &str, details: Value) -> Value {
        if self.is_known && tells_of_person(operation) || self.is_in(&details) {
            only_ids(&details)
        } else {
            details
        }
    }

    fn is_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                // Keys of objects end with the id.
                let id = text.rsplit(':').next().unwrap_or(text);
                self.ids.contains(id) || self.ids.contains(text)
            }
            Value::Array(members) => members.iter().any(|it| self.is_in(it)),
            Value::Object(fields) => fields.values().any(|it| self.is_in(it)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_may_be_about_somebody_else_is_left_out() {
        let ids = BTreeSet::from(["sub_bob".to_owned(), "cust_bob".to_owned()]);
        let other = OtherPerson::new(true, ids);
        for (operation, details, is_kept) in [
            ("update_contact", json!({"to": {"phone": "1"}}), false),
            ("update_external_id", json!({"from": "a"}), false),
            ("create", json!({"contact": {"name": "Bob"}}), false),
            ("update_profile", json!({"to": {"name": "Ada"}}), true),
            (
                "grant",
                json!({"source": "subscription:stripe:live::sub_bob"}),
                false,
            ),
            (
                "grant",
                json!({"source": "subscription:stripe:live::sub_ada"}),
                true,
            ),
            ("flag", json!({"flag": {"subject": "sub_bob"}}), false),
            ("merge", json!({"into": "cust_bob"}), false),
        ] {
            let shown = other.left_out(operation, details.clone());
            let expected = if is_kept {
                details
            } else {
                json!({"erased": true})
            };
            assert_eq!(shown, expected, "{operation}");
        }
        let alone = OtherPerson::default();
        let details = json!({"to": {"phone": "1"}});
        assert_eq!(alone.left_out("update_contact", details.clone()), details);
    }
}
