//! What others are told of a change: those who cache access, and those who operate Tollgate.
//!
//! Whatever changes a customer writes an entry of the audit that holds the difference of before and
//! after. What is announced is a pure function of that entry, so the two cannot disagree. An
//! announcement names packages, prices and ids; who a customer is (name, address, e-mail) it never
//! says, so it can be handed to queues and receivers that keep what they get.

mod hand_grants;
pub mod joined;

use serde_json::{Map, Value, json};

use crate::domain::customer::flag::Flag;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;

/// Something that others are told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// The app.
    pub app: AppSlug,
    /// The customer who was changed, if it was one.
    pub customer: Option<CustomerId>,
    /// The kind, one of [`KINDS`].
    pub kind: &'static str,
    /// When, by the local clock.
    pub occurred_at: Timestamp,
    /// What changed.
    pub data: Map<String, Value>,
}

/// A kind of announcement, for the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name: with the app before it, the routing key on the broker.
    pub name: &'static str,
    /// What it means, as a sentence.
    pub about: &'static str,
}

const fn kind(name: &'static str, about: &'static str) -> Kind {
    Kind { name, about }
}

/// The kind of another contact, external id or profile.
const UPDATED: &str = "customer.updated";
/// The kind of deliveries that an admin orders to try a hook.
pub const TEST: &str = "hook.test";
/// The kind of a flag that was not there before.
const FLAG_RAISED: &str = "flag.raised";
/// The kind of an event that could not be processed.
pub const EVENT_FAILED: &str = "event.failed";
/// The kind of a comparison with a provider that found a difference.
pub const RECONCILE_DRIFT: &str = "reconcile.drift";
/// The kind of a hook that was disabled because it failed.
pub const HOOK_DISABLED: &str = "hook.disabled";

/// The kind of a provider's endpoint to which nothing came for some time.
pub const ENDPOINT_SILENT: &str = "endpoint.silent";

/// All kinds, in the order of the catalogue.
pub const KINDS: [Kind; 34] = [
    kind("customer.created", "A customer came to be."),
    kind(
        UPDATED,
        "Contact, external id or profile changed; `fields` names what.",
    ),
    kind("customer.suspended", "The customer has no access."),
    kind("customer.reactivated", "The customer has access again."),
    kind(
        "customer.frozen",
        "The customer keeps what was released up to `at`, or `versions`.",
    ),
    kind("customer.expired", "The customer has no access any more."),
    kind(
        "customer.held",
        "Holds or the reason changed, and not the status.",
    ),
    kind(
        "customer.granted",
        "The customer may have packages that it could not have before.",
    ),
    kind(
        "customer.revoked",
        "The customer may not have packages any more.",
    ),
    kind(
        "customer.merged",
        "The customer is the one named in `into` from now on.",
    ),
    kind(
        "customer.split",
        "The customer is one of its own again, no more the one named in `from`.",
    ),
    kind(
        "customer.hidden",
        "The customer is shown to nobody: none of the facts about it counts.",
    ),
    kind("customer.shown", "The customer is shown again."),
    kind(
        "customer.deleted",
        "The customer was deleted; `permanent` if for good.",
    ),
    kind(
        "customer.flagged",
        "Something about the customer is to be looked at.",
    ),
    kind(
        "customer.unflagged",
        "A flag of the customer is no longer open.",
    ),
    kind("license.created", "A licence was issued."),
    kind(
        "license.updated",
        "End, limit or metadata of a licence changed.",
    ),
    kind("license.renewed", "A licence ends later."),
    kind("license.revoked", "A licence was revoked."),
    kind("license.reinstated", "A licence is no longer revoked."),
    kind("license.reissued", "A licence has another key."),
    kind("license.deleted", "A licence was deleted."),
    kind("token.created", "An access token was made."),
    kind("token.rotated", "An access token has another text."),
    kind("token.revoked", "An access token was revoked."),
    kind(
        "plan.updated",
        "Who pays for a price may have other packages; of no customer alone.",
    ),
    kind(
        "plan.deleted",
        "Who pays for a price may have nothing for it any more; of no customer alone.",
    ),
    kind(
        FLAG_RAISED,
        "For operators: something is to be looked at, of a customer or of nobody's.",
    ),
    kind(
        EVENT_FAILED,
        "For operators: an event could not be processed, and waits for a replay.",
    ),
    kind(
        RECONCILE_DRIFT,
        "For operators: a comparison with a provider found differences.",
    ),
    kind(
        ENDPOINT_SILENT,
        "For operators: a provider's endpoint had no webhook for longer than `TOLLGATE_ENDPOINT_SILENT_AFTER`.",
    ),
    kind(
        HOOK_DISABLED,
        "For operators: a hook failed for too long, or said 410 Gone.",
    ),
    kind(TEST, "An admin tries a hook. It changes nothing."),
];

/// Returns what is announced of an entry of the audit: nothing of most, two things of a flag.
pub fn announced(
    app: &AppSlug,
    customer: Option<&CustomerId>,
    operation: &str,
    details: &Value,
    occurred_at: Timestamp,
) -> Vec<Announcement> {
    let announcement = |kind, data| Announcement {
        app: app.clone(),
        customer: customer.cloned(),
        kind,
        occurred_at,
        data,
    };
    if let Some(told) = hand_grants::told(operation, details, occurred_at) {
        let told = told.into_iter();
        return told.map(|(kind, data)| announcement(kind, data)).collect();
    }
    // A plan that waits behind one of the settings changes nothing yet.
    let Some((kind, fields)) = kind_of(operation).filter(|_| details["waiting"] != json!(true))
    else {
        return Vec::new();
    };
    let mut data = picked(details, fields);
    match operation {
        "update_contact" => drop(data.insert("fields".to_owned(), json!(["contact"]))),
        "update_external_id" => drop(data.insert("fields".to_owned(), json!(["external_id"]))),
        "update_profile" => drop(data.insert("fields".to_owned(), json!(["profile"]))),
        "delete" | "purge" => {
            drop(data.insert("permanent".to_owned(), json!(operation == "purge")));
        }
        _ => {}
    }
    let raised = (operation == "flag").then(|| announcement(FLAG_RAISED, data.clone()));
    let told = announcement(kind, data);
    [told].into_iter().chain(raised).collect()
}

/// What operators are told of a flag that the audit has no entry of.
pub fn raised(app: &AppSlug, flag: &Flag, now: Timestamp) -> Announcement {
    Announcement {
        app: app.clone(),
        customer: None,
        kind: FLAG_RAISED,
        occurred_at: now,
        data: Map::from_iter([("flag".to_owned(), json!(flag))]),
    }
}

/// The kind of an operation, and which of its details are told.
fn kind_of(operation: &str) -> Option<(&'static str, &'static [&'static str])> {
    Some(match operation {
        "create" => ("customer.created", &["external_id"]),
        "update_contact" | "update_external_id" | "update_profile" => (UPDATED, &[]),
        "suspend" => ("customer.suspended", &["from", "reason"]),
        "reactivate" => ("customer.reactivated", &["from"]),
        "freeze" => ("customer.frozen", &["at", "versions", "from", "reason"]),
        "expire" => ("customer.expired", &["from", "reason"]),
        "update_holds" => ("customer.held", &["from", "to", "reason"]),
        "grant" => ("customer.granted", &["packages", "price", "source"]),
        "revoke" => ("customer.revoked", &["packages", "price", "source"]),
        "merge" => ("customer.merged", &["into"]),
        "split" => ("customer.split", &["from"]),
        "hide" => ("customer.hidden", &[]),
        "show" => ("customer.shown", &[]),
        "delete" | "purge" => ("customer.deleted", &[]),
        "flag" => ("customer.flagged", &["flag"]),
        "unflag" => ("customer.unflagged", &["flag"]),
        "license_create" => ("license.created", &["id", "product", "plan", "source"]),
        "license_change" => ("license.updated", &["id"]),
        "license_renew" => ("license.renewed", &["id", "from", "to"]),
        "license_revoke" => ("license.revoked", &["id", "from", "to"]),
        "license_reinstate" => ("license.reinstated", &["id", "from", "to"]),
        "license_reissue" => ("license.reissued", &["id"]),
        "license_delete" => ("license.deleted", &["id", "product", "merged_into"]),
        "plan_put" => ("plan.updated", &["provider", "price_id", "from", "to"]),
        "plan_delete" => ("plan.deleted", &["provider", "price_id", "from"]),
        "token_create" => ("token.created", &["id"]),
        "token_rotate" => ("token.rotated", &["id"]),
        "token_revoke" => ("token.revoked", &["id"]),
        _ => return None,
    })
}

fn picked(details: &Value, fields: &[&str]) -> Map<String, Value> {
    let given = fields
        .iter()
        .filter_map(|field| Some((*field, details.get(field)?)));
    let told = given.filter(|(_, value)| !value.is_null());
    told.map(|(field, value)| (field.to_owned(), value.clone()))
        .collect()
}

/// The body of a message or delivery. `full`: with what changed, not only ids.
pub fn body(id: &str, announcement: &AnnouncedRow<'_>, full: bool) -> String {
    let mut body = json!({
        "id": id,
        "type": announcement.kind,
        "app": announcement.app,
        "timestamp": announcement.occurred_at.to_string(),
        "customer_id": announcement.customer,
    });
    if full && let Some(body) = body.as_object_mut() {
        body.insert("data".to_owned(), announcement.data.clone());
    }
    body.to_string()
}

/// An announcement as it was kept.
#[derive(Clone, Copy, Debug)]
pub struct AnnouncedRow<'a> {
    /// The app.
    pub app: &'a AppSlug,
    /// The customer, if it is about one.
    pub customer: Option<&'a CustomerId>,
    /// The kind.
    pub kind: &'a str,
    /// When it was.
    pub occurred_at: Timestamp,
    /// What changed.
    pub data: &'a Value,
}

/// Checks the name of a kind.
///
/// # Errors
/// When there is none of this name, with the end of a sentence about it.
pub fn known(text: String) -> Result<String, String> {
    if KINDS.iter().any(|kind| kind.name == text) {
        Ok(text)
    } else {
        Err("must be a kind of change such as `customer.suspended`".to_owned())
    }
}

/// Checks a filter of kinds: a kind, or a beginning with `*` for the rest, such as `customer.*`.
///
/// # Errors
/// When nothing passes it, with the end of a sentence about it.
pub fn filter(text: &str) -> Result<String, String> {
    if KINDS.iter().any(|kind| passes(text, kind.name)) {
        Ok(text.to_owned())
    } else {
        Err(
            "must be a kind of change such as `customer.suspended`, or the beginning of some with \
             `*` behind it, such as `customer.*`"
                .to_owned(),
        )
    }
}

/// True if a kind passes a filter.
pub fn passes(filter: &str, kind: &str) -> bool {
    match filter.strip_suffix('*') {
        Some("") => true,
        Some(start) => start.ends_with('.') && kind.starts_with(start),
        None => filter == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::operation::OPERATIONS;

    fn kinds_of(operation: &str, details: &Value) -> Vec<&'static str> {
        let app = AppSlug::default_app();
        let at = Timestamp::from_nanos(0);
        let all = announced(&app, None, operation, details, at);
        all.iter().map(|it| it.kind).collect()
    }

    #[test]
    fn each_kind_is_in_the_catalogue_and_each_operation_exists() {
        for operation in OPERATIONS {
            for kind in kinds_of(operation, &json!({})) {
                assert!(KINDS.iter().any(|it| it.name == kind), "{kind}");
            }
        }
        assert_eq!(kinds_of("suspend", &json!({})), ["customer.suspended"]);
        assert_eq!(
            kinds_of("flag", &json!({})),
            ["customer.flagged", "flag.raised"]
        );
        assert_eq!(kinds_of("plan_put", &json!({})), ["plan.updated"]);
        assert!(kinds_of("plan_put", &json!({"waiting": true})).is_empty());
    }

    #[test]
    fn what_a_person_is_called_is_never_told() {
        let app = AppSlug::default_app();
        let contact = json!({"email": "jo@example.com", "name": "Jo"});
        let details = json!({"from": contact, "to": contact, "contact": contact});
        for operation in ["create", "update_contact", "update_profile"] {
            let at = Timestamp::from_nanos(0);
            let all = announced(&app, None, operation, &details, at);
            assert!(!format!("{all:?}").contains("example.com"), "{operation}");
        }
    }

    #[test]
    fn filters_are_kinds_or_their_beginnings() {
        for (pattern, kind, expected) in [
            ("*", "customer.created", true),
            ("customer.*", "customer.created", true),
            ("customer.created", "customer.created", true),
            ("customer.created", "customer.updated", false),
            ("cust*", "customer.created", false),
            ("license.*", "customer.created", false),
        ] {
            assert_eq!(passes(pattern, kind), expected, "{pattern} {kind}");
        }
        assert!(filter("token.*").is_ok());
        assert!(filter("nothing.*").is_err());
        assert!(filter("").is_err());
    }
}
