//! The lines of a customer's timeline.

use serde_json::{Map, Value};

use super::when::When;
use super::words::{self, Badge};
use crate::pipeline::timeline::{TimelineEntry, TimelineKind};

/// A line.
pub(super) struct Line {
    pub(super) at: When,
    pub(super) kind: Badge,
    /// What happened, in words.
    pub(super) text: String,
    /// What it changed or how it ended.
    pub(super) detail: String,
    /// Who did it.
    pub(super) author: Option<String>,
    /// The event whose page tells more.
    pub(super) event: Option<String>,
}

impl From<TimelineEntry> for Line {
    fn from(entry: TimelineEntry) -> Self {
        let TimelineEntry {
            at,
            kind,
            title,
            subject,
            actor,
            details,
            ..
        } = entry;
        let event = match kind {
            TimelineKind::Payment | TimelineKind::Refund => None,
            _ => subject.clone(),
        };
        let author = match kind {
            TimelineKind::Act => actor.as_deref().map(words::author),
            _ => None,
        };
        let (text, detail) = match kind {
            TimelineKind::Webhook => (title, outcome(&details)),
            TimelineKind::Payment | TimelineKind::Refund => {
                (payment(&title, subject.as_deref()), money(&details))
            }
            TimelineKind::Flag => (flag(&title), subject_of(&details)),
            TimelineKind::Change | TimelineKind::Act | TimelineKind::Timer => {
                (operation(&title).to_owned(), change(&details))
            }
        };
        Self {
            at: When(at),
            kind: words::kind(kind.as_str()),
            text,
            detail,
            author,
            event,
        }
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn outcome(details: &Value) -> String {
    let outcome = text(details, "outcome").unwrap_or_default();
    match text(details, "error_code") {
        Some(code) => format!("{outcome}: {code}"),
        None => outcome.to_owned(),
    }
}

fn payment(title: &str, id: Option<&str>) -> String {
    let what = match title {
        "paid" => "Paid",
        "failed" => "Payment failed",
        "void" => "Voided",
        "refunded" => "Given back",
        other => other,
    };
    format!("{what} {}", id.unwrap_or_default())
}

/// Amounts in the smallest unit of their currency, as providers have them.
fn money(details: &Value) -> String {
    let amount = ["amount_paid", "amount_refunded"];
    let amount = amount.iter().find_map(|name| details.get(name));
    let amount = amount.and_then(Value::as_i64);
    let next = text(details, "next_attempt").map(|at| format!("next attempt {at}"));
    let amount = amount.map(|it| format!("{it} in the currency's minor unit"));
    amount.or(next).unwrap_or_default()
}

fn flag(title: &str) -> String {
    if title == "flag" {
        "Flag raised"
    } else {
        "Flag closed"
    }
    .to_owned()
}

fn subject_of(details: &Value) -> String {
    let flag = details.get("flag").unwrap_or(details);
    let kind = text(flag, "kind").unwrap_or_default();
    format!("{kind} {}", text(flag, "subject").unwrap_or_default())
}

/// Names an operation of the audit for people.
pub(super) fn operation(name: &str) -> &str {
    match name {
        "create" => "Customer made",
        "delete" => "Customer deleted",
        "suspend" => "Suspended",
        "reactivate" => "Active again",
        "freeze" => "Frozen",
        "expire" => "Expired",
        "grant" => "Packages given",
        "revoke" => "Packages taken",
        "grant_expire" => "Package ran out",
        "update_contact" => "Contact changed",
        "update_profile" => "Profile changed",
        "update_external_id" => "External id changed",
        "update_holds" => "Holds changed",
        "update_subscription" => "Subscription changed",
        "link_account" => "Billing account linked",
        "part_account" => "Billing account parted",
        "pin_account" => "Billing account kept with this customer",
        "merge" => "Joined with another customer",
        "split" => "Separated from another customer",
        "hide" => "Hidden",
        "show" => "Shown again",
        "token_create" => "Access token made",
        "token_rotate" => "Access token rotated",
        "token_revoke" => "Access token revoked",
        "token_set" => "Access token set",
        "license_create" => "Licence made",
        "license_revoke" => "Licence revoked",
        "license_reinstate" => "Licence reinstated",
        "license_renew" => "Licence renewed",
        "license_change" => "Licence changed",
        "license_reissue" => "Licence given another key",
        "license_delete" => "Licence deleted",
        "activation_delete" => "Place of a licence freed",
        "portal_link" => "Link to the customer's own page made",
        "export" => "Data exported",
        "purge" => "Erased",
        "app_create" => "App made",
        "app_delete" => "App deleted",
        "app_rename" => "App renamed",
        "app_settings" | "app_registry" => "Settings of the app changed",
        "app_pause" => "App paused",
        "app_resume" => "App goes on",
        "admin_token_create" => "Admin token made",
        "admin_token_revoke" => "Admin token revoked",
        "plan_put" => "Plan set",
        "plan_delete" => "Plan deleted",
        "policy_put" => "Policy changed",
        "package_put" => "Package declared",
        "package_delete" => "Package forgotten",
        "release_add" => "Releases named",
        "release_remove" => "Release taken back",
        "event_replay" => "Event replayed",
        "event_replay_many" => "Replay ordered",
        "event_replay_cancel" => "Replay stopped",
        "event_dismiss" => "Event dismissed",
        "event_dismiss_many" => "Events dismissed",
        "reconcile" => "Comparison ordered",
        "reconcile_cancel" => "Comparison stopped",
        "secret_add" => "Webhook secret added",
        "secret_expire" => "Webhook secret given an end",
        "secret_delete" => "Webhook secret removed",
        "endpoint_test" => "Test event sent",
        "hook_create" => "Hook made",
        "hook_change" => "Hook changed",
        "hook_rotate" => "Hook given another secret",
        "hook_test" => "Hook tried",
        "hook_resend" => "Delivery sent again",
        "hook_delete" => "Hook removed",
        "flag" => "Flag raised",
        "unflag" => "Flag closed",
        other => other,
    }
}

/// Says what changed, in one line.
pub(super) fn change(details: &Value) -> String {
    changes(details).join(" · ")
}

/// Says what changed, each in a few words.
pub(super) fn changes(details: &Value) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    let packages = details.get("packages").and_then(Value::as_array);
    let packages = packages.into_iter().flatten().filter_map(|it| {
        let package = text(it, "package")?;
        Some(format!(
            "{package} {}",
            text(it, "constraint").unwrap_or("*")
        ))
    });
    said.extend(packages);
    said.extend(details.get("flag").map(|_| subject_of(details)));
    if let Some(package) = text(details, "package") {
        let constraint = text(details, "constraint").unwrap_or_default();
        said.push(format!("{package} {constraint}").trim_end().to_owned());
    }
    // What has a state after it too is no status: those say the new one by their operation.
    let before = details.get("from").filter(|_| details.get("to").is_none());
    let status = before.and_then(|from| text(from, "name"));
    said.extend(status.map(|from| format!("was {from}")));
    for name in ["reason", "price", "name"] {
        said.extend(text(details, name).map(|it| format!("{name}: {it}")));
    }
    said.extend(text(details, "at").map(|at| format!("as of {at}")));
    said.extend(moved(details));
    said
}

/// The longest value that a line shows, in letters.
const LONGEST: usize = 80;

/// The values before and after: of objects those that differ, by their names.
fn moved(details: &Value) -> Vec<String> {
    let (Some(from), Some(to)) = (details.get("from"), details.get("to")) else {
        return Vec::new();
    };
    let (before, after) = match (from, to) {
        (Value::Object(before), Value::Object(after)) => (before, after),
        // What was made or is gone is known by its name, or by what it says first.
        (Value::Object(only), Value::Null) | (Value::Null, Value::Object(only)) => {
            if let Some(name) = text_of(only, "name") {
                return vec![name];
            }
            let told = ["status", "items", "packages"].iter();
            let told =
                told.filter_map(|name| Some(format!("{name}: {}", brief(only.get(*name)?)?)));
            return told.collect();
        }
        _ => return step(from, to).into_iter().collect(),
    };
    let added = after.keys().filter(|name| !before.contains_key(*name));
    let names = before.keys().chain(added);
    let steps = names.filter_map(|name| {
        let value = |of: &Map<String, Value>| of.get(name).cloned().unwrap_or_default();
        let step = step(&value(before), &value(after))?;
        Some(format!("{}: {step}", name.replace('_', " ")))
    });
    steps.collect()
}

fn text_of(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// A value before and after; `None` if it stayed.
fn step(from: &Value, to: &Value) -> Option<String> {
    (from != to).then(|| match (brief(from), brief(to)) {
        (Some(from), Some(to)) => format!("{from} → {to}"),
        _ => "another".to_owned(),
    })
}

/// A value in a few letters; `None` if it takes more.
fn brief(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => words::unturned(text).into_owned(),
        Value::Array(all) if !all.is_empty() => {
            let all: Option<Vec<String>> = all.iter().map(brief).collect();
            all?.join(", ")
        }
        // An item of a subscription, or what else is known by one name.
        Value::Object(fields) => {
            let name = ["price", "package", "name", "id"]
                .iter()
                .find_map(|it| fields.get(*it));
            let only = fields.values().next().filter(|_| fields.len() == 1);
            let name = name.or(only).and_then(Value::as_str)?;
            match fields.get("quantity").and_then(Value::as_i64) {
                Some(quantity) if quantity != 1 => format!("{name} × {quantity}"),
                _ => name.to_owned(),
            }
        }
        other => other.to_string(),
    };
    (text.chars().count() <= LONGEST).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_what_changed() {
        for (details, said) in [
            (
                json!({"from": {"name": "Ann", "email": "a@x.com", "address": null},
                    "to": {"name": "Ann", "email": "b@x.com", "address": {"line1": "1", "city": "B"}}}),
                "address: another · email: a@x.com → b@x.com",
            ),
            (
                json!({"from": {"status": "active", "cancel_at": null,
                        "items": [{"price": "price_1", "quantity": 1}]},
                    "to": {"status": "past_due", "cancel_at": null,
                        "items": [{"price": "price_1", "quantity": 2}]}}),
                "items: price_1 → price_1 × 2 · status: active → past_due",
            ),
            (
                json!({"from": null, "to": {"name": "ci", "prefix": "tok_1"}}),
                "ci",
            ),
            (
                json!({"from": null, "to": {"status": "active", "items": [{"price": "price_1"}]}}),
                "status: active · items: price_1",
            ),
            (
                json!({"flag": {"kind": "overdue", "subject": "sub_1"}}),
                "overdue sub_1",
            ),
            (
                json!({"from": {"name": "active"}, "reason": "asked"}),
                "was active · reason: asked",
            ),
            (json!({"from": "a", "to": "b"}), "a → b"),
            (json!({"from": "a", "to": "a"}), ""),
            (
                json!({"from": {"x": "y".repeat(81)}, "to": {"x": 1}}),
                "x: another",
            ),
        ] {
            assert_eq!(change(&details), said, "{details}");
        }
    }
}
