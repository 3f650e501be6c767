//! The event ledger as admins read it, and replay of one event.

use serde_json::{Value, json};

use super::rig::{NOW, ROOT, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, seconds_from_now, stripe_customer, stripe_event};
use tollgate::provider::STRIPE;

async fn three_events(rig: &Rig) -> Value {
    let account = stripe_customer("cus_1", "one@x.com");
    let created = stripe_event("evt_1", "customer.created", NOW - 50, account);
    rig.happens(&created).await;
    rig.happens(&created).await;
    rig.pass(10);
    rig.happens(&stripe_event(
        "evt_2",
        "coupon.created",
        NOW - 40,
        json!({"id": "c"}),
    ))
    .await;
    rig.pass(10);
    let other = stripe_customer("cus_2", "two@x.com");
    rig.happens(&stripe_event("evt_3", "customer.created", NOW - 30, other))
        .await;
    rig.get("/customers/by-external/cus_1").await.expect(200)
}

async fn an_event_is_shown_with_what_it_changed(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = three_events(&rig).await;
    let event = rig.get("/events/evt_1").await.expect(200);
    for (field, value) in [
        ("id", json!("evt_1")),
        ("provider", json!("stripe")),
        ("app", json!("default")),
        ("account", json!(null)),
        ("livemode", json!(true)),
        ("type", json!("customer.created")),
        ("occurred_at", json!("2026-01-05T11:59:10.000Z")),
        ("received_at", json!("2026-01-05T12:00:00.000Z")),
        ("processed_at", json!("2026-01-05T12:00:00.000Z")),
        ("outcome", json!("applied")),
        ("duplicates", json!(1)),
        ("attempts", json!(1)),
        ("error", json!(null)),
        ("customer_id", customer["id"].clone()),
    ] {
        assert_eq!(event[field], value, "{field}");
    }
    assert_eq!(event["payload"]["data"]["object"]["id"], "cus_1");
    assert!(!event["changes"].as_array().unwrap().is_empty());
    rig.get("/events/evt_9")
        .await
        .refused(404, "event_not_found");
}

async fn a_viewer_sees_payloads_where_the_settings_say_so(engine: Engine) {
    for (setting, viewer_sees) in [("admin", false), ("viewer", true)] {
        let server = TestServer::start_with(engine, |environment| {
            environment.insert("TOLLGATE_PAYLOADS_FOR".into(), setting.into());
        })
        .await;
        let account = stripe_customer("cus_1", "one@x.com");
        let created = stripe_event("evt_1", "customer.created", seconds_from_now(0), account);
        server.deliver(STRIPE.name, &created).await;
        for (role, sees) in [("viewer", viewer_sees), ("admin", true)] {
            let body = json!({"name": role, "role": role});
            let (_, made) = server
                .call("POST", "/api/v1/admin-tokens", Some(body))
                .await;
            let asked = server
                .client
                .get(format!("{}/api/v1/events/evt_1", server.base));
            let asked = asked.bearer_auth(made["token"].as_str().unwrap());
            let event: Value = asked.send().await.unwrap().json().await.unwrap();
            assert_eq!(event["outcome"], "applied", "{event}");
            assert_eq!(
                event["payload"].is_object(),
                sees,
                "{setting}, {role}: {event}"
            );
            let why = if sees {
                json!(null)
            } else {
                json!("role_insufficient")
            };
            assert_eq!(event["payload_hidden"], why, "{setting}, {role}: {event}");
        }
        server.stop_and_give_back().await;
    }
}

async fn events_are_filtered_and_newest_first(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = three_events(&rig).await;
    let id = customer["id"].as_str().unwrap();
    let cases: [(String, &[&str]); 9] = [
        ("/events".to_owned(), &["evt_3", "evt_2", "evt_1"]),
        ("/events?outcome=ignored".to_owned(), &["evt_2"]),
        ("/events?status=applied".to_owned(), &["evt_3", "evt_1"]),
        ("/events?provider=paddle".to_owned(), &[]),
        (
            "/events?type=customer.created&page_size=1".to_owned(),
            &["evt_3"],
        ),
        (format!("/events?customer_id={id}"), &["evt_1"]),
        (format!("{}/events", path_of(&customer)), &["evt_1"]),
        (
            "/events?since=2026-01-05T12:00:10.000Z".to_owned(),
            &["evt_3", "evt_2"],
        ),
        (
            "/events?until=2026-01-05T12:00:10.000Z&cursor=".to_owned(),
            &["evt_1"],
        ),
    ];
    for (path, expected) in cases {
        let listed = rig.get(&path).await.expect(200);
        let rows = listed["data"].as_array().unwrap();
        let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{path}");
        assert!(
            rows.iter().all(|row| row.get("payload").is_none()),
            "{path}"
        );
    }
    for query in [
        "outcome=lost",
        "provider=ebay",
        "customer_id=7",
        "since=now",
        "until=1",
    ] {
        rig.get(&format!("/events?{query}"))
            .await
            .refused(422, "query_invalid");
    }
}

pub(crate) async fn an_event_is_replayed_under_a_receipt_of_its_own(engine: Engine) {
    let rig = Rig::start(engine).await;
    three_events(&rig).await;
    let path = "/events/evt_1/replay";
    rig.as_admin(ROOT, "POST", path, None)
        .await
        .refused(409, "already_applied");
    assert!(rig.published().is_empty());
    rig.post(path, json!({"force": true})).await.expect(202);
    let published = rig.published();
    let headers = published[0].headers();
    assert_eq!((published.len(), headers.event_id.as_str()), (1, "evt_1"));
    assert!(headers.replay.is_some_and(|replay| replay.force));
    assert_ne!(headers.receipt, "receipt 0");
    // An ignored event may mean something to a newer version.
    rig.as_admin(ROOT, "POST", "/events/evt_2/replay", None)
        .await
        .expect(202);
    rig.post("/events/evt_9/replay", json!({}))
        .await
        .refused(404, "event_not_found");
    rig.post(path, json!({"forced": true}))
        .await
        .refused(422, "body_invalid");
    let viewer = rig.admin("viewer", None).await;
    rig.as_admin(&viewer, "POST", path, None)
        .await
        .refused(403, "role_insufficient");
}

on_both_stores! {
    an_event_is_shown_with_what_it_changed,
    a_viewer_sees_payloads_where_the_settings_say_so,
    events_are_filtered_and_newest_first,
    an_event_is_replayed_under_a_receipt_of_its_own,
}
