//! What stays of changes once their customer is erased: that they happened, with ids, words of ours
//! and times. What somebody wrote, or what a provider knows of a person, does not.
//!
//! The operations that may stay as they are are listed, and of all others only ids stay: one that
//! is added later is erased until somebody has looked at what it says.

use serde_json::{Map, Value, json};

use crate::domain::words::words;

/// What an erasure looks through, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasureStage {
    /// The ledger.
    Events,
    /// The audit.
    Audit,
    /// The built-in queue and the spool.
    Messages,
    /// Copies that the engine keeps of what was removed.
    Traces,
}

words!(ErasureStage, or "a stage of an erasure" {
    Events = "events",
    Audit = "audit",
    Messages = "messages",
    Traces = "traces",
});

/// The operations whose details are ids, packages, prices, words of ours and times, besides the reason
/// that an admin may have written.
const REASONED: [&str; 33] = [
    "activation_add",
    "activation_delete",
    "delete",
    "event_dismiss",
    "event_dismiss_many",
    "event_replay",
    "event_replay_many",
    "expire",
    "export",
    "flag",
    "freeze",
    "grant",
    "grant_expire",
    "hide",
    "hook_resend",
    "license_create",
    "license_delete",
    "license_reinstate",
    "license_reissue",
    "license_renew",
    "license_revoke",
    "link_account",
    "merge",
    "pin_account",
    "purge",
    "reactivate",
    "revoke",
    "show",
    "split",
    "suspend",
    "unflag",
    "update_holds",
    "update_subscription",
];

/// The operations that tell who somebody is, as billing shows it.
const TELLING: [&str; 3] = ["create", "update_contact", "update_external_id"];

/// The fields of all operations that stay.
const IDS: [&str; 3] = ["customer", "id", "operation"];

/// Reports whether an operation tells who somebody is, as billing shows it: where an account was
/// another customer's for a time, that may be either of them.
pub fn tells_of_person(operation: &str) -> bool {
    TELLING.contains(&operation)
}

/// Returns the details of an operation without what is about a person.
pub fn erased(operation: &str, details: &Value) -> Value {
    let Value::Object(fields) = details else {
        return json!({"erased": true});
    };
    let mut kept: Map<String, Value> = fields.clone();
    if REASONED.contains(&operation) {
        // Null says that there was none, and stays.
        if kept.get("reason").is_none_or(Value::is_null) {
            return details.clone();
        }
        kept.remove("reason");
    } else {
        kept.retain(|name, _| IDS.contains(&name.as_str()));
    }
    kept.insert("erased".to_owned(), Value::Bool(true));
    Value::Object(kept)
}

/// Returns the details of an operation without anything but ids of its own.
pub fn only_ids(details: &Value) -> Value {
    let mut kept = details.as_object().cloned().unwrap_or_default();
    kept.retain(|name, _| IDS.contains(&name.as_str()));
    kept.insert("erased".to_owned(), Value::Bool(true));
    Value::Object(kept)
}

/// Erases some of an event's changes, by their customer and operation. Returns true if any was
/// changed by that.
pub fn erase_changes(changes: &mut Value, is_erased: impl Fn(&str, &str) -> bool) -> bool {
    let mut any = false;
    for change in changes.as_array_mut().into_iter().flatten() {
        let text = |name: &str| change.get(name).and_then(Value::as_str);
        let operation = text("operation").unwrap_or_default();
        if !text("customer").is_some_and(|customer| is_erased(customer, operation)) {
            continue;
        }
        let after = erased(operation, change);
        any |= after != *change;
        *change = after;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_words_of_ours_and_times_stay() {
        let active = json!({"name": "active"});
        for (operation, details, expected) in [
            (
                "reactivate",
                json!({"from": active}),
                json!({"from": active}),
            ),
            (
                "grant",
                json!({"package": "acme/tool", "reason": "Ada asked for it"}),
                json!({"package": "acme/tool", "erased": true}),
            ),
            (
                "suspend",
                json!({"reason": "Ada asked for it", "from": active}),
                json!({"from": active, "erased": true}),
            ),
            (
                "suspend",
                json!({"reason": null, "from": active}),
                json!({"reason": null, "from": active}),
            ),
            (
                "create",
                json!({"operation": "create", "external_id": "ada", "contact": {"name": "Ada"}}),
                json!({"operation": "create", "erased": true}),
            ),
            (
                "token_create",
                json!({"id": "tok_1", "from": null, "to": {"name": "Ada's laptop"}}),
                json!({"id": "tok_1", "erased": true}),
            ),
            (
                "of_next_year",
                json!({"note": "Ada"}),
                json!({"erased": true}),
            ),
            ("of_next_year", json!("Ada"), json!({"erased": true})),
        ] {
            let once = erased(operation, &details);
            assert_eq!(once, expected, "{operation} {details}");
            assert_eq!(
                erased(operation, &once),
                expected,
                "twice: {operation} {details}"
            );
        }
    }

    #[test]
    fn the_changes_of_others_stay() {
        let create = |customer: &str| json!({"customer": customer, "operation": "create", "contact": {"name": "N"}});
        let mut changes = json!([create("cust_a"), create("cust_b")]);
        let is_theirs = |customer: &str, _: &str| customer == "cust_a";
        assert!(erase_changes(&mut changes, is_theirs));
        let gone = json!({"customer": "cust_a", "operation": "create", "erased": true});
        assert_eq!(changes, json!([gone, create("cust_b")]));
        assert!(!erase_changes(&mut changes, is_theirs), "twice");
    }
}
