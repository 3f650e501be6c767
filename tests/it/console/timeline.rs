//! The timeline on the page of a customer: all of it, in parts.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::pipeline::process::process;
use tollgate::queue::Message;

use super::visit::{Visit, buys};
use crate::process::message;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, seconds_from_now, stripe_event, stripe_subscription};
use tollgate::domain::time::Timestamp;

on_both_stores! {
    every_line_of_a_long_timeline_is_shown_once,
}

/// Events that change nothing but the metadata, and every third an invoice that was paid.
fn events(number: i64) -> Vec<Value> {
    let now = seconds_from_now(0);
    let event = |nth: i64| {
        let at = now - number + nth;
        if nth % 3 == 0 {
            let line = json!({"id": format!("il_{nth}"), "object": "line_item", "amount": 900,
                "subscription": "sub_cus_1", "subscription_item": "si_sub_cus_1",
                "price": {"id": "price_basic"}, "period": {"start": at, "end": at + 60}});
            let invoice = json!({"id": format!("in_{nth}"), "object": "invoice",
                "customer": "cus_1", "subscription": "sub_cus_1", "status": "paid",
                "amount_paid": 900, "currency": "eur", "billing_reason": "subscription_cycle",
                "lines": {"object": "list", "data": [line]}});
            return stripe_event(&format!("evt_i{nth}"), "invoice.paid", at, invoice);
        }
        let mut subscription = stripe_subscription("sub_cus_1", "cus_1", "active");
        subscription["metadata"] = json!({"number": nth.to_string()});
        let updated = "customer.subscription.updated";
        stripe_event(&format!("evt_s{nth}"), updated, at, subscription)
    };
    (0..number).map(event).collect()
}

/// Takes events into the store as a worker does, in batches.
async fn take(server: &TestServer, events: &[Value]) {
    let now = Timestamp::from_seconds(seconds_from_now(0)).unwrap();
    for part in events.chunks(25) {
        let messages = part
            .iter()
            .map(|event| message(event, event["id"].as_str().unwrap()));
        let messages: Vec<Message> = messages.collect();
        let batch: Vec<&Message> = messages.iter().collect();
        process(server.server.store(), &batch, now).await.unwrap();
    }
}

/// The link to the older part of a page.
fn older(page: &str) -> Option<String> {
    let (before, _) = page.split_once("\">Older<")?;
    let (_, link) = before.rsplit_once("href=\"").unwrap();
    Some(link.replace("&#38;", "&").replace("#timeline", ""))
}

/// Everything between two texts.
fn all_between<'t>(text: &'t str, from: &'t str, to: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(from)
        .skip(1)
        .filter_map(move |rest| rest.split(to).next())
}

async fn every_line_of_a_long_timeline_is_shown_once(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    take(&server, &events(150)).await;
    for act in ["suspend", "reactivate"] {
        let path = format!("/api/v1/customers/{id}/{act}");
        assert_eq!(server.call("POST", &path, Some(json!({}))).await.0, 200);
    }
    let owner = Visit::owner(&server).await;
    let path = format!("/console/customers/{id}");
    let (_, all) = server
        .get(&format!("/api/v1/customers/{id}/timeline?page_size=1"))
        .await;
    let total = all["meta"]["total"].as_u64().unwrap();
    assert!(total > 200, "{all}");
    // The third is what the reactivation says of the hold.
    let (_, acts) = server
        .get(&format!("/api/v1/customers/{id}/timeline?kind=act"))
        .await;
    assert_eq!(acts["meta"]["total"], 3, "{acts}");
    for (kind, expected) in [("", total), ("webhook", 152), ("payment", 50), ("act", 3)] {
        let mut link = Some(format!("?kind={kind}"));
        let (mut events, mut paid, mut lines, mut parts) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
        while let Some(next) = link {
            let page = owner.page(&format!("{path}{next}")).await;
            let (_, timeline) = page.split_once("<ol class=\"timeline\">").unwrap();
            let timeline = timeline.split("</ol>").next().unwrap();
            lines += timeline.matches("<li>").count();
            let named = all_between(timeline, "class=\"mono\" href=\"/console/events/", "\"");
            let webhooks = named.map(str::to_owned).filter(|_| kind == "webhook");
            for event in webhooks {
                assert!(events.insert(event.clone()), "{event} is shown twice");
            }
            for payment in all_between(timeline, "<p>Paid ", " <") {
                assert!(paid.insert(payment.to_owned()), "{payment} is shown twice");
            }
            link = older(&page);
            parts += 1;
            assert!(parts < 10, "there is no end");
        }
        assert_eq!(lines as u64, expected, "{kind:?}");
        if kind == "webhook" {
            assert_eq!(events.len(), 152);
        }
        if kind.is_empty() || kind == "payment" {
            assert_eq!(paid.len(), 50, "{kind:?}");
        }
    }
    let made_up = owner.page(&format!("{path}?before=nonsense")).await;
    assert!(made_up.contains(">Older<"), "{made_up}");
    server.stop_and_give_back().await;
}
