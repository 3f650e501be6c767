//! The demo's output: aligned columns, colours only on a terminal.

use serde_json::Value;

use super::stage::Replayed;
use super::story::{Customer, Webhook};
use crate::domain::time::Timestamp;
use crate::output::Paint;

pub(super) struct Table {
    paint: Paint,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            paint: Paint::for_stdout(),
        }
    }

    pub(super) fn title(&self, text: &str) -> String {
        self.paint.bold(text)
    }

    pub(super) fn heading(&self, month: &str) -> String {
        self.paint.dim(&format!("── {month}"))
    }

    /// One line for a webhook: time, customer, event type, outcome, changes.
    pub(super) fn webhook(&self, webhook: &Webhook, event: &Value) -> String {
        let occurred_at = event["occurred_at"].as_str().unwrap_or_default();
        let outcome = event["outcome"].as_str().unwrap_or_default();
        let operations: Vec<String> = event["changes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(operation)
            .collect();
        format!(
            "{}  {}  {:<6}  {:<30}  {}  {}",
            clock(occurred_at),
            webhook.customer,
            webhook.provider.name.as_str(),
            webhook.event_type,
            self.outcome(outcome),
            operations.join(", "),
        )
        .trim_end()
        .to_owned()
    }

    pub(super) fn release(&self, at: Timestamp, package: &str, version: &str) -> String {
        let text = format!(
            "{}       {:<6}  {package} {version} is released",
            clock(&at.to_string()),
            ""
        );
        self.paint.dim(&text)
    }

    /// One line for an access check, with the time and customer unless they are in the line above.
    pub(super) fn access(&self, when: Option<(Timestamp, Customer)>, answer: &Value) -> String {
        let asked = answer["asked"].as_str().unwrap_or_default();
        let code = answer["code"].as_str().unwrap_or_default();
        let status = answer["http_status"].as_u64().unwrap_or_default();
        let verdict = format!("{status} {code}");
        let verdict = if status == 200 {
            self.paint.green(&verdict)
        } else {
            self.paint.red(&verdict)
        };
        let place = match when {
            Some((at, customer)) => format!("{}  {customer}  ", clock(&at.to_string())),
            None => "     ".to_owned(),
        };
        format!(
            "{place}{}  {:<30}  {verdict}",
            self.paint.cyan("access"),
            format!("{asked} ?")
        )
    }

    pub(super) fn shuffled(replayed: &Replayed) -> String {
        let outcomes: Vec<String> = replayed
            .outcomes
            .iter()
            .map(|(outcome, count)| format!("{count} {outcome}"))
            .collect();
        format!(
            "{} webhooks: {} events ({}), {} duplicates counted",
            replayed.posted,
            replayed.outcomes.values().sum::<usize>(),
            outcomes.join(", "),
            replayed.duplicates,
        )
    }

    pub(super) fn same(&self, one: Customer, other: Customer) -> String {
        self.paint
            .green(&format!("{other} ended exactly as {one} did"))
    }

    /// One line for a customer at the end of the story.
    pub(super) fn customer(&self, customer: Customer, shown: &Value) -> String {
        let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
        let status = text("status");
        let painted = match status.as_str() {
            "active" => self.paint.green(&format!("{status:<9}")),
            "suspended" | "expired" => self.paint.red(&format!("{status:<9}")),
            _ => self.paint.yellow(&format!("{status:<9}")),
        };
        let frozen_at = shown["frozen_at"].as_str();
        let since = frozen_at.map_or_else(String::new, |at| format!("what was out by {at}"));
        format!(
            "{customer}  {painted}  {:<38}  {since}",
            text("external_id")
        )
        .trim_end()
        .to_owned()
    }

    pub(super) fn done(&self, posted: usize, seconds: f64) -> String {
        let text = format!("{posted} webhooks in {seconds:.1} s; every step was as it should be");
        self.paint.green(&text)
    }

    fn outcome(&self, outcome: &str) -> String {
        let padded = format!("{outcome:<10}");
        match outcome {
            "applied" => self.paint.green(&padded),
            "failed" => self.paint.red(&padded),
            _ => self.paint.dim(&padded),
        }
    }
}

/// Shortens an instant to day and time: `03-02 09:00:03`.
fn clock(at: &str) -> String {
    at.get(5..19).unwrap_or(at).replace('T', " ")
}

/// Describes a change in a few words; `None` if the story does not need it.
fn operation(change: &Value) -> Option<String> {
    let packages = || {
        let names = change["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| {
                let part = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
                format!("{} {}", part("package"), part("constraint"))
            });
        names.collect::<Vec<_>>().join(" + ")
    };
    let reason = || {
        change["reason"]
            .as_str()
            .map_or_else(String::new, |it| format!(" ({it})"))
    };
    match change["operation"].as_str()? {
        "create" => Some("create customer".to_owned()),
        "suspend" => Some(format!("suspend{}", reason())),
        "reactivate" => Some("reactivate".to_owned()),
        "freeze" => Some(format!("freeze{}", reason())),
        "expire" => Some(format!("expire{}", reason())),
        "grant" => Some(format!("grant {}", packages())),
        "revoke" => Some(format!("revoke {}", packages())),
        "update_contact" => Some("update contact".to_owned()),
        "update_subscription" => subscription(change).map(str::to_owned),
        "link_account" => None,
        other => Some(other.replace('_', " ")),
    }
}

/// Describes a change of a subscription; `None` if the other changes say it.
fn subscription(change: &Value) -> Option<&'static str> {
    let (from, to) = (&change["from"], &change["to"]);
    let is_new = |pointer: &str| from.pointer(pointer) != to.pointer(pointer);
    let text = |pointer: &str| {
        to.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if is_new("/status") {
        Some(match text("/status") {
            "active" => "subscription active",
            "trialing" => "trial begins",
            "past_due" => "subscription past due",
            "paused" => "subscription paused",
            "canceled" => "subscription ended",
            _ => "subscription updated",
        })
    } else if is_new("/cancel_at") {
        let planned = to.pointer("/cancel_at").is_some_and(|at| !at.is_null());
        Some(if planned {
            "cancellation scheduled"
        } else {
            "cancellation undone"
        })
    } else if is_new("/items") {
        Some("plan changed")
    } else if is_new("/period_end") {
        Some("period extended")
    } else {
        None
    }
}
