//! Words about somebody else in a customer's history.
//!
//! A billing account can be a customer's for a time and another one's afterwards. What the customer was
//! shown with meanwhile stays in the audit and in the changes of events, and is about the other one by
//! now: whoever is told what is kept of the first must not read it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::erased::only_ids;

/// The fields of a contact that tell who somebody is, wherever a document has them.
const TELLING: [&str; 5] = ["email", "line1", "line2", "name", "phone"];

/// The fields whose keys are e-mail addresses.
const ADDRESSES: [&str; 2] = ["emails", "secondary_emails"];

/// What is known of others and not of the customer.
#[derive(Clone, Debug, Default)]
pub struct OtherPerson {
    /// Their ids and those of what they bought.
    ids: BTreeSet<String>,
    /// The words of their contacts, in lower case.
    words: BTreeSet<String>,
}

impl OtherPerson {
    /// Collects what the documents about others say that those about the customer do not. `ids` are
    /// theirs alone.
    pub fn new<'a>(
        ids: BTreeSet<String>,
        others: impl IntoIterator<Item = &'a Value>,
        own: impl IntoIterator<Item = &'a Value>,
    ) -> Self {
        let mut words = BTreeSet::new();
        for document in others {
            collect(document, &mut words);
        }
        let mut known = BTreeSet::new();
        for document in own {
            collect(document, &mut known);
        }
        words.retain(|word| !known.contains(word));
        Self { ids, words }
    }

    /// Returns the details of an operation, without all that they say if any of it is about somebody
    /// else.
    pub fn left_out(&self, details: Value) -> Value {
        if self.is_in(&details) {
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
                self.ids.contains(id)
                    || self.ids.contains(text)
                    || self.words.contains(&text.to_lowercase())
            }
            Value::Array(members) => members.iter().any(|it| self.is_in(it)),
            Value::Object(fields) => fields.values().any(|it| self.is_in(it)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

fn collect(document: &Value, words: &mut BTreeSet<String>) {
    match document {
        Value::Array(members) => members.iter().for_each(|it| collect(it, words)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if TELLING.contains(&name.as_str()) => {
                        words.insert(text.to_lowercase());
                    }
                    Value::Object(held) if ADDRESSES.contains(&name.as_str()) => {
                        words.extend(held.keys().map(|it| it.to_lowercase()));
                    }
                    other => collect(other, words),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_about_somebody_else_is_left_out() {
        let bob = json!({
            "contacts": [{"state": {"email": "Bob@x.com", "name": "Bob", "address": {"city": "Ely"}}}],
            "emails": {"old-bob@x.com": {"at": 1}, "shared@x.com": {"at": 2}},
        });
        let ada = json!({"profile": {"name": "Ada"}, "emails": {"shared@x.com": {}}});
        let ids = BTreeSet::from(["sub_bob".to_owned(), "cust_bob".to_owned()]);
        let other = OtherPerson::new(ids, [&bob], [&ada]);
        let update = |from: &str, to: &str| json!({"from": {"email": from}, "to": {"email": to}});
        for (details, is_kept) in [
            (update("ada@x.com", "shared@x.com"), true),
            (update("ada@x.com", "bob@x.com"), false),
            (update("old-bob@x.com", "ada@x.com"), false),
            (json!({"contact": {"name": "BOB"}}), false),
            (json!({"contact": {"address": {"city": "Ely"}}}), true),
            (
                json!({"source": "subscription:stripe:live::sub_bob"}),
                false,
            ),
            (json!({"source": "subscription:stripe:live::sub_ada"}), true),
            (json!({"flag": {"subject": "sub_bob"}}), false),
            (json!({"into": "cust_bob"}), false),
            (json!([{"contact": {"name": "Ada"}}]), true),
        ] {
            let shown = other.left_out(details.clone());
            let expected = if is_kept {
                details
            } else {
                json!({"erased": true})
            };
            assert_eq!(shown, expected);
        }
    }
}
