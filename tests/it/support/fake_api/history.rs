//! What a provider has after a history of events: each object as its last event shows it.

use serde_json::{Value, json};

use super::objects::{List, Memory};

/// Puts the objects of Stripe's events and the events themselves into memory. Events come in their true
/// order. What is not the seller's own live data is left out, since his key does not show it.
pub(crate) fn fold(events: &[Value]) -> (Memory, Memory) {
    let (stripe, paddle) = (Memory::default(), Memory::default());
    for event in events {
        if event["event_id"].is_string() {
            fold_paddle(&paddle, event);
        } else {
            fold_stripe(&stripe, event);
        }
    }
    for memory in [&stripe, &paddle] {
        memory.sort(List::Events);
    }
    (stripe, paddle)
}

/// Whether an event is of the seller's own live objects.
pub(crate) fn is_own(event: &Value) -> bool {
    let simulated = event["event_id"].as_str();
    let simulated = simulated.is_some_and(|it| it.starts_with("ntfsim"));
    event["account"].is_null() && event["livemode"] != false && !simulated
}

fn fold_stripe(memory: &Memory, event: &Value) {
    if !is_own(event) {
        return;
    }
    memory.put(List::Events, event.clone());
    let event_type = event["type"].as_str().unwrap_or_default();
    let mut object = event["data"]["object"].clone();
    let at = &event["created"];
    if object["object"] == "entitlements.active_entitlement_summary" {
        let data = object["entitlements"]["data"].take();
        let kept = json!({"id": object["customer"], "data": data});
        memory.put(List::Features, kept);
        return;
    }
    if object["id"].is_null() {
        return;
    }
    let list = match object["object"].as_str() {
        Some("customer") => List::Customers,
        Some("subscription") => List::Subscriptions,
        Some("invoice") => List::Payments,
        Some("dispute") => List::Disputes,
        Some("refund") => List::Refunds,
        Some("invoice_payment") => {
            let invoice = object["invoice"].as_str().unwrap_or_default().to_owned();
            if memory
                .all(List::Payments)
                .iter()
                .any(|it| it["id"] == invoice)
            {
                memory.change(List::Payments, &invoice, |invoice| {
                    invoice["payments"] = json!({"object": "list", "data": [object]});
                });
            }
            return;
        }
        _ => return,
    };
    if event_type == "customer.deleted" {
        object["deleted"] = json!(true);
    }
    if list == List::Payments {
        let known = memory.all(list);
        let known = known.iter().find(|it| it["id"] == object["id"]);
        let mut transitions = known.map_or(json!({}), |it| it["status_transitions"].clone());
        let (status, place) = match event_type {
            "invoice.paid" | "invoice.payment_succeeded" => ("paid", "paid_at"),
            "invoice.voided" => ("void", "voided_at"),
            "invoice.marked_uncollectible" => ("uncollectible", "marked_uncollectible_at"),
            "invoice.created" => ("draft", "created_at"),
            _ => ("open", "finalized_at"),
        };
        if transitions[place].is_null() {
            transitions[place] = at.clone();
        }
        let was_paid = known.is_some_and(|it| it["status"] == "paid");
        object["status"] = json!(if was_paid { "paid" } else { status });
        object["payments"] = known.map_or(Value::Null, |it| it["payments"].clone());
        object["status_transitions"] = transitions;
    }
    memory.put(list, object);
}

fn fold_paddle(memory: &Memory, event: &Value) {
    if !is_own(event) {
        return;
    }
    let mut listed = event.clone();
    listed.as_object_mut().unwrap().remove("notification_id");
    memory.put(List::Events, listed);
    let event_type = event["event_type"].as_str().unwrap_or_default();
    let mut object = event["data"].clone();
    let list = match event_type.split('.').next() {
        Some("customer") => List::Customers,
        Some("subscription") => List::Subscriptions,
        Some("transaction") => List::Payments,
        Some("adjustment") => List::Refunds,
        _ => return,
    };
    if object["id"].is_null() {
        return;
    }
    if matches!(event_type, "transaction.completed" | "transaction.paid") {
        let captured = json!({"captured_at": event["occurred_at"]});
        object["payments"] = json!([captured]);
    }
    memory.put(list, object);
}
