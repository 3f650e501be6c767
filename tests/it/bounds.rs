//! What one event and one customer can have, and what a view shows of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::domain::billing::fact::DisputeStage;
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::id::{Kind, ObjectKey, Provider, Scope};
use tollgate::provider::{PADDLE, STRIPE};

use crate::convergence::rig::disputed;
use crate::convergence::{end_of, rig};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, seconds_from_now, stripe_event, stripe_subscription};

on_both_stores!(
    an_event_of_a_megabyte_writes_a_bounded_number_of_rows,
    views_of_one_customer_are_bounded_and_say_so,
);

/// Items of another price each, as many as fit into a webhook.
fn very_many_items() -> Value {
    (0..40_000)
        .map(|n| json!({"price": {"id": format!("p{n}")}}))
        .collect()
}

async fn total(server: &TestServer, path: &str) -> u64 {
    let (status, list) = server.get(path).await;
    assert_eq!(status, 200, "{list}");
    list["meta"]["total"].as_u64().unwrap()
}

async fn an_event_of_a_megabyte_writes_a_bounded_number_of_rows(engine: Engine) {
    let server = TestServer::start(engine).await;
    let mut of_stripe = stripe_subscription("sub_1", "cus_1", "active");
    of_stripe["items"]["data"] = very_many_items();
    let of_stripe = stripe_event(
        "evt_1",
        "customer.subscription.updated",
        seconds_from_now(-90),
        of_stripe,
    );
    let of_paddle = json!({
        "event_id": "evt_2",
        "event_type": "subscription.updated",
        "occurred_at": "2026-01-05T12:00:00Z",
        "data": {"id": "sub_1", "customer_id": "ctm_1", "status": "active",
                 "items": very_many_items()},
    });
    let cases: [(Provider, &Value, &str); 2] = [
        (STRIPE.name, &of_stripe, "stripe_cus_1"),
        (PADDLE.name, &of_paddle, "paddle_ctm_1"),
    ];
    for (provider, payload, external_id) in cases {
        let event = server.deliver(provider, payload).await;
        assert_eq!(event["outcome"], "applied", "{provider}");
        let path = format!("/api/v1/customers/by-external/{external_id}");
        let (_, customer) = server.get(&path).await;
        let id = customer["id"].as_str().unwrap();
        let flags = |kind| format!("/api/v1/flags?page=1&customer_id={id}&kind={kind}");
        assert_eq!(total(&server, &flags("items_incomplete")).await, 1);
        assert_eq!(total(&server, &flags("unmapped_price")).await, 500);
        let audit = format!("/api/v1/audit?page=1&customer_id={id}");
        let written = total(&server, &audit).await;
        // One for each price and its flag, and a few more.
        assert!(written <= 1010, "{provider}: {written}");
        assert_eq!(customer["flags"].as_array().unwrap().len(), 100);
        assert_eq!(customer["flags_truncated"], true);
    }
    server.stop().await;
}

async fn views_of_one_customer_are_bounded_and_say_so(engine: Engine) {
    const MANY: usize = 120;
    let server = TestServer::start(engine).await;
    for n in 0..MANY {
        let it = stripe_subscription(&format!("sub_{n}"), "cus_1", "active");
        let event = stripe_event(
            &format!("evt_{n}"),
            "customer.subscription.created",
            seconds_from_now(-90),
            it,
        );
        let (status, answer) = server.post(STRIPE.name, &event).await;
        assert_eq!(status, 200, "{answer}");
    }
    for n in 0..MANY {
        server.outcome(&format!("evt_{n}")).await;
    }
    let (_, customer) = server
        .get("/api/v1/customers/by-external/stripe_cus_1")
        .await;
    assert_eq!(customer["flags"], json!([]));
    assert!(customer.get("flags_truncated").is_none(), "{customer}");
    let id = customer["id"].as_str().unwrap();
    let (status, explained) = server.get(&format!("/api/v1/customers/{id}/explain")).await;
    assert_eq!(status, 200);
    let billing = &explained["billing"];
    assert_eq!(billing["subscriptions"].as_array().unwrap().len(), 100);
    assert_eq!(billing["subscriptions_truncated"], true);
    assert!(explained.get("accounts_truncated").is_none());
    let summary = explained["summary"][0].as_str().unwrap();
    assert!(
        summary.ends_with("and 110 more count as good."),
        "{summary}"
    );
    let list = format!("/api/v1/customers/{id}/subscriptions?page=1");
    assert_eq!(total(&server, &list).await, 120);
    server.stop().await;
}

#[test]
fn flags_of_one_kind_and_subject_are_one() {
    let connected = |account: &str, kind, id: &str| -> ObjectKey {
        Scope {
            provider: STRIPE.name,
            livemode: true,
            connected: Some(account.to_owned()),
        }
        .key(kind, id)
    };
    let account = rig::stripe("cus_1");
    let dispute = |of: &str, seconds| {
        let dispute = connected(of, Kind::Dispute, "dp_1");
        disputed(
            &dispute,
            DisputeStage::Open,
            std::slice::from_ref(&account),
            seconds,
        )
    };
    let end = end_of(&[
        rig::sub("active").at(5),
        dispute("acct_1", 10),
        dispute("acct_2", 20),
    ]);
    let open: BTreeSet<_> = end
        .of("cus_1")
        .flags
        .iter()
        .filter(|flag| flag.kind == FlagKind::OpenDispute)
        .map(|flag| (flag.subject.clone(), flag.at))
        .collect();
    let newest = rig::at(20);
    assert_eq!(open, BTreeSet::from([("dp_1".to_owned(), Some(newest))]));
}
