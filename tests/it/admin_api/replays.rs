//! Replay of events: what it would do, and of many at once.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::domain::event::EventError;
use tollgate::domain::id::AppSlug;
use tollgate::domain::mode::Mode;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::bulk_replay::{self, How};
use tollgate::pipeline::order::Order;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::pipeline::record::record;
use tollgate::provider::STRIPE;
use tollgate::queue::Message;
use tollgate::queue::message::{Headers, HeadersV1};
use tollgate::store::replay::ReplayStep;
use tollgate::store::{Actor, EventFilter};

use super::rig::{NOW, ROOT, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, stripe_customer, stripe_event, stripe_subscription};

impl Rig {
    /// An event that nothing follows from, and that a replay is therefore free to try again.
    async fn ignored(&self, number: usize) {
        let id = format!("evt_{number}");
        let event = stripe_event(&id, "coupon.created", NOW - 9, json!({"id": "c"}));
        self.happens(&event).await;
    }

    /// An event that made a customer.
    async fn applied(&self, number: usize) {
        let customer = stripe_customer(&format!("cus_{number}"), "one@x.com");
        let event = stripe_event(
            &format!("evt_{number}"),
            "customer.created",
            NOW - 9,
            customer,
        );
        self.happens(&event).await;
    }

    /// Ids of the events published since, in order.
    /// The ids of what was published. A batch is published all at once, so its order says nothing.
    fn replayed(&self) -> BTreeSet<String> {
        let published = self.published();
        let ids = published.iter().map(|it| it.headers().event_id.clone());
        ids.collect()
    }
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|it| format!("evt_{it}")).collect()
}

/// A message that the broker gave up on.
pub(super) fn dead_letter(event: &Value) -> Message {
    let headers = HeadersV1 {
        app: AppSlug::default_app(),
        provider: STRIPE.name,
        event_id: event["id"].as_str().unwrap().to_owned(),
        event_type: event["type"].as_str().unwrap().to_owned(),
        received_at: Timestamp::from_seconds(NOW).unwrap(),
        mode: Mode::Any,
        receipt: "receipt".to_owned(),
        attempt: 3,
        origin: tollgate::queue::Origin::default(),
        replay: None,
        error: Some(EventError {
            code: "crashed".to_owned(),
            detail: "the worker crashed".to_owned(),
        }),
    };
    Message {
        headers: Headers::V1(headers),
        body: event.to_string().into(),
    }
}

async fn a_dry_run_shows_what_an_event_would_change_and_changes_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let subscription = stripe_subscription("sub_1", "cus_1", "active");
    let event = stripe_event(
        "evt_1",
        "customer.subscription.created",
        NOW - 9,
        subscription,
    );
    record(&rig.store, &dead_letter(&event), rig.now())
        .await
        .unwrap();
    let before = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(before["outcome"], "failed");

    let path = "/events/evt_1/replay";
    let shown = rig.post(path, json!({"dry_run": true})).await.expect(200);
    assert_eq!(
        (&shown["id"], &shown["dry_run"]),
        (&json!("evt_1"), &json!(true))
    );
    assert_eq!(shown["outcome"], "applied", "{shown}");
    assert!(shown["changes"].to_string().contains("create"), "{shown}");
    assert!(shown["customer_id"].is_string());
    assert_eq!(rig.get("/events/evt_1").await.expect(200), before);
    assert_eq!(rig.get("/customers").await.expect(200)["meta"]["total"], 0);
    assert!(rig.published().is_empty());

    rig.applied(2).await;
    let path = "/events/evt_2/replay";
    rig.post(path, json!({"dry_run": true}))
        .await
        .refused(409, "already_applied");
    let forced = json!({"dry_run": true, "force": true});
    let shown = rig.post(path, forced).await.expect(200);
    assert_eq!(
        (&shown["outcome"], &shown["changes"]),
        (&json!("unchanged"), &json!([]))
    );
    rig.post("/events/evt_9/replay", json!({"dry_run": true}))
        .await
        .refused(404, "event_not_found");
}

async fn a_dry_run_of_an_unreadable_event_says_why(engine: Engine) {
    let rig = Rig::start(engine).await;
    let event = stripe_event(
        "evt_1",
        "customer.subscription.updated",
        NOW,
        json!({"id": "s"}),
    );
    record(&rig.store, &dead_letter(&event), rig.now())
        .await
        .unwrap();
    let path = "/events/evt_1/replay";
    let shown = rig.post(path, json!({"dry_run": true})).await.expect(200);
    assert_eq!(shown["outcome"], "failed");
    assert_eq!(shown["error"]["code"], "payload_field_missing", "{shown}");
}

async fn a_bulk_replay_covers_exactly_what_its_filter_matches(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.applied(1).await;
    rig.ignored(2).await;
    rig.pass(10);
    rig.ignored(3).await;
    let all = rig.get("/customers/by-external/cus_1").await.expect(200);
    let customer = id_of(&all);
    let cases = [
        ("all that had no effect", json!({}), false, ids([2, 3])),
        ("all, by force", json!({}), true, ids([1, 2, 3])),
        (
            "an outcome",
            json!({"outcome": "ignored"}),
            false,
            ids([2, 3]),
        ),
        ("the same word", json!({"status": "failed"}), false, ids([])),
        ("by force", json!({"outcome": "applied"}), true, ids([1])),
        ("a provider", json!({"provider": "paddle"}), true, ids([])),
        (
            "a type",
            json!({"type": "coupon.created"}),
            true,
            ids([2, 3]),
        ),
        (
            "a customer",
            json!({"customer_id": customer}),
            true,
            ids([1]),
        ),
        (
            "since",
            json!({"since": "2026-01-05T12:00:10.000Z"}),
            true,
            ids([3]),
        ),
        (
            "until",
            json!({"until": "2026-01-05T12:00:10.000Z"}),
            true,
            ids([1, 2]),
        ),
    ];
    for (description, filter, force, expected) in cases {
        let ask = |dry_run| json!({"filter": filter, "force": force, "dry_run": dry_run});
        let shown = rig.post("/events/replay", ask(true)).await.expect(200);
        let about = json!({
            "dry_run": true, "matched": expected.len(), "skipped": 0, "first": expected,
        });
        assert_eq!(shown, about, "{description}");
        assert!(rig.published().is_empty(), "{description}");

        let ordered = rig.post("/events/replay", ask(false)).await.expect(202);
        assert_eq!(ordered["matched"], json!(expected.len()), "{description}");
        assert!(rig.carry_on_replays().await.unwrap(), "{description}");
        assert!(!rig.carry_on_replays().await.unwrap(), "{description}");
        let published = rig.published();
        let of: Vec<_> = published
            .iter()
            .map(|it| it.headers().event_id.clone())
            .collect();
        assert_eq!(of, expected, "{description}");
        let forced = |it: &Message| it.headers().replay.map(|it| it.force);
        assert!(
            published.iter().all(|it| forced(it) == Some(force)),
            "{description}"
        );
    }
    let audited = "SELECT COUNT(*) FROM audit WHERE operation = 'event_replay_many'";
    assert_eq!(
        rig.place.count(audited, audited).await,
        10,
        "one an order, none a dry run"
    );
}

async fn a_long_replay_resumes_where_it_stopped(engine: Engine) {
    let rig = Rig::start(engine).await;
    for number in 1..=130 {
        rig.ignored(number).await;
    }
    let ordered = rig
        .post("/events/replay", json!({"filter": {}}))
        .await
        .expect(202);
    let path = format!("/replays/{}", id_of(&ordered));
    let progress = async || {
        let shown = rig.get(&path).await.expect(200);
        (
            shown["matched"].clone(),
            shown["published"].clone(),
            shown["finished_at"].clone(),
        )
    };
    // What comes later is left alone.
    rig.ignored(131).await;
    assert_eq!(progress().await, (json!(130), json!(0), json!(null)));

    // Nothing is taken in hand while the queue is away.
    rig.queue_is_away(true);
    assert!(rig.carry_on_replays().await.is_err());
    rig.queue_is_away(false);
    assert!(rig.carry_on_replays().await.unwrap());
    assert_eq!(progress().await, (json!(130), json!(128), json!(null)));
    assert_eq!(rig.replayed(), BTreeSet::from_iter(ids(1..=128)));

    rig.pass(60);
    assert!(rig.carry_on_replays().await.unwrap());
    let end = json!("2026-01-05T12:01:00.000Z");
    assert_eq!(progress().await, (json!(130), json!(130), end));
    assert_eq!(rig.replayed(), BTreeSet::from_iter(ids(129..=130)));
    assert!(!rig.carry_on_replays().await.unwrap());
}

async fn a_batch_that_is_published_twice_is_applied_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.applied(1).await;
    let body = json!({"filter": {}, "force": true});
    rig.post("/events/replay", body).await.expect(202);
    // The worker dies after publishing, before the cursor moves.
    let mut tx = rig.store.begin().await.unwrap();
    let until = Timestamp::from_seconds(NOW + 10).unwrap();
    let longest = Timestamp::from_seconds(NOW + 60).unwrap();
    let leased = tx.replay_lease(rig.now(), until, longest).await.unwrap();
    tx.commit().await.unwrap();
    let leased = leased.unwrap();
    assert!(
        !rig.carry_on_replays().await.unwrap(),
        "another has it in hand"
    );
    rig.pass(10);
    assert!(rig.carry_on_replays().await.unwrap());
    let first = rig.published().remove(0);
    // The one that was taken for dead comes too late to move the cursor a second time.
    let mut tx = rig.store.begin().await.unwrap();
    let late = ReplayStep {
        cursor: leased.last_seq,
        published: 1,
        skipped: 0,
        finished_at: None,
    };
    tx.replay_advance(&leased, late, rig.now()).await.unwrap();
    tx.commit().await.unwrap();
    let shown = rig
        .get(&format!("/replays/{}", leased.id))
        .await
        .expect(200);
    assert_eq!(shown["published"], 1);

    assert_eq!(
        first.headers().receipt,
        format!("{}-{}", leased.id, leased.last_seq)
    );
    let done = process(&rig.store, &[&first], rig.now()).await.unwrap();
    assert!(matches!(done[..], [Disposition::Done(_)]), "{done:?}");
}

async fn an_invalid_replay_request_is_refused_by_field(engine: Engine) {
    let rig = Rig::start(engine).await;
    for (body, field) in [
        (json!({}), "filter"),
        (json!({"filter": {"outcom": "failed"}}), "filter.outcom"),
        (json!({"filter": {"outcome": "lost"}}), "filter.outcome"),
        (json!({"filter": {"since": "yesterday"}}), "filter.since"),
        (json!({"filter": {}, "forced": true}), "forced"),
    ] {
        let problem = rig
            .post("/events/replay", body.clone())
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    for dry_run in [false, true] {
        let settled = json!({"filter": {"outcome": "applied"}, "dry_run": dry_run});
        rig.post("/events/replay", settled)
            .await
            .refused(409, "already_applied");
    }
    for (per_second, field) in [(0, "per_second"), (-1, "per_second"), (1_001, "per_second")] {
        let body = json!({"filter": {}, "per_second": per_second});
        let problem = rig
            .post("/events/replay", body)
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{per_second}");
    }
    for id in ["rpl_0", "rpl_00000000000000000000000000000000"] {
        rig.get(&format!("/replays/{id}"))
            .await
            .refused(404, "replay_not_found");
    }
}

async fn a_replay_belongs_to_one_app_and_needs_an_admin(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.ignored(1).await;
    let app = json!({"slug": "other", "name": "Other"});
    rig.post("/apps", app).await.expect(201);
    let theirs = rig.admin("admin", Some("other")).await;
    let body = json!({"filter": {}});
    let ordered = rig
        .as_admin(&theirs, "POST", "/events/replay", Some(body.clone()))
        .await
        .expect(202);
    assert_eq!(ordered["matched"], 0);
    assert!(rig.carry_on_replays().await.unwrap());
    assert!(rig.published().is_empty());
    let path = format!("/replays/{}", id_of(&ordered));
    rig.as_admin(&theirs, "GET", &path, None).await.expect(200);
    rig.as_admin(ROOT, "GET", &path, None)
        .await
        .refused(404, "replay_not_found");
    let viewer = rig.admin("viewer", None).await;
    rig.as_admin(&viewer, "POST", "/events/replay", Some(body))
        .await
        .refused(403, "role_insufficient");
}

async fn a_replay_requested_while_nothing_ran_is_done_at_the_next_start(engine: Engine) {
    let server = TestServer::start(engine).await;
    let mut before = Vec::new();
    for number in 1..=3 {
        let id = format!("evt_{number}");
        let event = stripe_event(&id, "coupon.created", NOW, json!({"id": "c"}));
        let event = server.deliver(STRIPE.name, &event).await;
        before.push((id, event["processed_at"].clone()));
    }
    let (place, mut environment) = server.stop_and_keep().await;
    let store = place.open().await;
    let order = Order {
        app: AppSlug::default_app(),
        actor: Actor::Operator,
        now: tollgate::clock::Clock::now(&tollgate::clock::SystemClock),
        reason: None,
    };
    let ordered = bulk_replay::order(&store, &order, &EventFilter::default(), How::default()).await;
    let ordered = ordered.unwrap();
    assert_eq!(ordered.matched, 3);
    store.close().await;

    let dir = tempfile::tempdir().unwrap();
    environment.insert("TOLLGATE_DATA_DIR".into(), dir.path().into());
    let server = TestServer::start_over(environment, place, dir).await;
    let path = format!("/api/v1/replays/{}", ordered.id);
    let shown = server
        .until(&path, |it| it["finished_at"].is_string())
        .await;
    assert_eq!(shown["published"], 3);
    for (id, processed_at) in before {
        let path = format!("/api/v1/events/{id}");
        let again = |it: &Value| it["processed_at"] != processed_at;
        assert_eq!(server.until(&path, again).await["outcome"], "ignored");
    }
    server.stop().await;
}

on_both_stores! {
    a_dry_run_shows_what_an_event_would_change_and_changes_nothing,
    a_dry_run_of_an_unreadable_event_says_why,
    a_bulk_replay_covers_exactly_what_its_filter_matches,
    a_long_replay_resumes_where_it_stopped,
    a_batch_that_is_published_twice_is_applied_once,
    an_invalid_replay_request_is_refused_by_field,
    a_replay_belongs_to_one_app_and_needs_an_admin,
    a_replay_requested_while_nothing_ran_is_done_at_the_next_start,
}
