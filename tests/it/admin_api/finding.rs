//! Finding events: those of a customer that failed, those that name an object, what fails and why.

use serde_json::{Value, json};
use tollgate::pipeline::process::process;
use tollgate::pipeline::record::record;
use tollgate::queue::Message;

use super::replays::dead_letter;
use super::rig::{NOW, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

impl Rig {
    /// An event that is recorded as failed. Its payload can be read, but no worker came to it.
    pub(super) async fn has_failed(&self, event: &Value) {
        record(&self.store, &dead_letter(event), self.now())
            .await
            .unwrap();
    }

    /// The ids of the events that a list shows.
    pub(super) async fn listed(&self, path: &str) -> Vec<String> {
        let listed = self.get(path).await.expect(200);
        let rows = listed["data"].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Lets the worker process messages.
    pub(super) async fn processed(&self, messages: &[Message]) {
        for message in messages {
            process(&self.store, &[message], self.now()).await.unwrap();
        }
    }

    /// Carries out the open replays, and lets the worker process what they publish.
    pub(super) async fn replays_are_done(&self) {
        while self.carry_on_replays().await.unwrap() {}
        self.processed(&self.published()).await;
    }
}

fn failing(id: &str, account: &str) -> Value {
    let subscription = stripe_subscription(&format!("sub_of_{id}"), account, "active");
    stripe_event(id, "customer.subscription.created", NOW - 9, subscription)
}

/// One that nobody can read, and that names its account all the same.
fn unreadable(id: &str, account: &str) -> Value {
    let subscription = json!({"id": format!("sub_of_{id}"), "customer": account, "status": 7});
    stripe_event(id, "customer.subscription.updated", NOW - 9, subscription)
}

async fn shop(engine: Engine) -> (Rig, Value) {
    let rig = Rig::start(engine).await;
    let account = stripe_customer("cus_1", "one@x.com");
    rig.happens(&stripe_event(
        "evt_1",
        "customer.created",
        NOW - 50,
        account,
    ))
    .await;
    rig.has_failed(&unreadable("evt_f1", "cus_1")).await;
    rig.has_failed(&failing("evt_f2", "cus_2")).await;
    rig.has_failed(&failing("evt_f3", "cus_1")).await;
    let customer = rig.get("/customers/by-external/cus_1").await.expect(200);
    (rig, customer)
}

async fn failed_events_are_found_by_their_customer(engine: Engine) {
    let (rig, customer) = shop(engine).await;
    let body = json!({"external_id": "shop 7"});
    rig.put(&path_of(&customer), body).await.expect(200);
    // Of a connected account, whose ids may be the same.
    let mut connected = failing("evt_f4", "cus_7");
    connected["account"] = json!("acct_1");
    rig.has_failed(&connected).await;
    let shown = rig.get("/events/evt_f4").await.expect(200);
    assert_eq!(shown["billing_account"], "stripe_acct_1/cus_7");
    let id = id_of(&customer);
    let all: &[&str] = &["evt_f3", "evt_f1", "evt_1"];
    let failed: &[&str] = &["evt_f3", "evt_f1"];
    for (path, expected) in [
        (format!("/customers/{id}/events"), all),
        (format!("/events?customer_id={id}"), all),
        (format!("/events?customer_id={id}&outcome=failed"), failed),
        ("/events?external_id=cus_1".to_owned(), all),
        ("/events?external_id=stripe_cus_1&cursor=".to_owned(), all),
        ("/events?account=cus_1&outcome=failed".to_owned(), failed),
        ("/events?external_id=shop%207".to_owned(), all),
        // No customer exists for this one.
        ("/events?external_id=cus_2".to_owned(), &["evt_f2"]),
        ("/events?external_id=stripe_cus_2".to_owned(), &["evt_f2"]),
        ("/events?external_id=paddle_cus_2".to_owned(), &[]),
        ("/events?external_id=cus_".to_owned(), &[]),
        ("/events?external_id=cus%25".to_owned(), &[]),
        (format!("/events?external_id=cus_2&customer_id={id}"), &[]),
        (
            "/events?external_id=stripe_acct_1/cus_7".to_owned(),
            &["evt_f4"],
        ),
        ("/events?external_id=acct_1/cus_7".to_owned(), &["evt_f4"]),
        ("/events?external_id=acct_2/cus_7".to_owned(), &[]),
        ("/events?external_id=paddle_acct_1/cus_7".to_owned(), &[]),
        ("/events?external_id=cus_7".to_owned(), &[]),
    ] {
        assert_eq!(rig.listed(&path).await, expected, "{path}");
    }
    let shown = rig.get("/events/evt_f1").await.expect(200);
    assert_eq!(shown["billing_account"], "stripe_cus_1", "{shown}");
    assert_eq!(shown["customer_id"], Value::Null);
    let shown = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(shown["billing_account"], Value::Null);
}

async fn failed_events_follow_their_account(engine: Engine) {
    let (rig, customer) = shop(engine).await;
    let account = stripe_customer("cus_2", "two@x.com");
    rig.happens(&stripe_event(
        "evt_2",
        "customer.created",
        NOW - 50,
        account,
    ))
    .await;
    let two = rig.get("/customers/by-external/cus_2").await.expect(200);
    let path = format!("{}/events", path_of(&two));
    assert_eq!(rig.listed(&path).await, ["evt_2", "evt_f2"]);

    let link = json!({"provider": "stripe", "account": "cus_2"});
    let accounts = format!("{}/accounts", path_of(&customer));
    rig.post(&accounts, link).await.expect(200);
    let path = format!("{}/events?outcome=failed", path_of(&customer));
    rig.get(&path).await.refused(422, "query_invalid");
    let id = id_of(&customer);
    let failed = format!("/events?customer_id={id}&outcome=failed");
    assert_eq!(rig.listed(&failed).await, ["evt_f3", "evt_f2", "evt_f1"]);

    rig.delete(&format!("{accounts}/cus_2")).await.expect(200);
    assert_eq!(rig.listed(&failed).await, ["evt_f3", "evt_f1"]);
}

async fn the_failed_events_of_an_account_are_replayed(engine: Engine) {
    let (rig, customer) = shop(engine).await;
    let filter = json!({"external_id": "stripe_cus_1", "outcome": "failed"});
    let ask = |dry_run| json!({"filter": filter, "dry_run": dry_run});
    let shown = rig.post("/events/replay", ask(true)).await.expect(200);
    assert_eq!(shown["first"], json!(["evt_f1", "evt_f3"]));
    rig.post("/events/replay", ask(false)).await.expect(202);
    rig.replays_are_done().await;
    let done = rig.get("/events/evt_f3").await.expect(200);
    assert_eq!(done["outcome"], "applied", "{done}");
    assert_eq!(done["customer_id"], customer["id"]);
    assert_eq!(done["billing_account"], Value::Null);
    let left = rig.get("/events/evt_f2").await.expect(200);
    assert_eq!(left["outcome"], "failed");
    // One that cannot be read fails again, and stays where it was found.
    let path = "/events?external_id=cus_1&outcome=failed";
    assert_eq!(rig.listed(path).await, ["evt_f1"]);
}

async fn events_are_found_by_an_id_in_their_payload(engine: Engine) {
    let (rig, _) = shop(engine).await;
    let charge = json!({
        "id": "ch_1", "object": "charge", "customer": "cus_1", "payment_intent": "pi_1",
        "invoice": {"id": "in_1", "object": "invoice"},
    });
    rig.happens(&stripe_event("evt_3", "charge.succeeded", NOW - 8, charge))
        .await;
    let unknown = json!({"id": "po_1", "object": "payout"});
    rig.happens(&stripe_event("evt_4", "payout.paid", NOW - 8, unknown))
        .await;
    for (object, expected) in [
        ("ch_1", &["evt_3"][..]),
        ("pi_1", &["evt_3"]),
        ("in_1", &["evt_3"]),
        ("po_1", &["evt_4"]),
        ("sub_of_evt_f1", &["evt_f1"]),
        ("cus_1", &["evt_3", "evt_f3", "evt_f1", "evt_1"]),
        ("cus", &[]),
        ("", &[]),
    ] {
        let path = format!("/events?object={object}");
        assert_eq!(rig.listed(&path).await, expected, "{object}");
        let body = json!({"filter": {"object": object}, "dry_run": true, "force": true});
        let shown = rig.post("/events/replay", body).await.expect(200);
        assert_eq!(shown["matched"], expected.len(), "{object}");
    }
    let there = json!({"slug": "other", "name": "Other"});
    rig.post("/apps", there).await.expect(201);
    let viewer = rig.admin("viewer", Some("other")).await;
    let path = "/events?object=ch_1";
    let theirs = rig.as_admin(&viewer, "GET", path, None).await.expect(200);
    assert_eq!(theirs["data"], json!([]));
    // Nothing of a deleted app stays.
    let index = "SELECT COUNT(*) FROM event_objects WHERE app = 'other'";
    let event = stripe_event("evt_1", "payout.paid", NOW, json!({"id": "po_2"}));
    rig.happens_in("other", &event).await;
    assert_eq!(rig.place.count(index, index).await, 1);
    rig.delete("/apps/other").await.expect(204);
    assert_eq!(rig.place.count(index, index).await, 0);
}

async fn failed_events_are_grouped_by_reason(engine: Engine) {
    let (rig, customer) = shop(engine).await;
    rig.pass(60);
    rig.has_failed(&failing("evt_f4", "cus_4")).await;
    let groups = rig.get("/events/failures").await.expect(200);
    assert_eq!(
        groups["data"],
        json!([
            {
                "error_code": "crashed", "provider": "stripe",
                "type": "customer.subscription.created", "count": 3,
                "oldest": "2026-01-05T12:00:00.000Z", "newest": "2026-01-05T12:00:00.000Z",
                "sample_event_id": "evt_f4", "sample_detail": "the worker crashed",
            },
            {
                "error_code": "crashed", "provider": "stripe",
                "type": "customer.subscription.updated", "count": 1,
                "oldest": "2026-01-05T12:00:00.000Z", "newest": "2026-01-05T12:00:00.000Z",
                "sample_event_id": "evt_f1", "sample_detail": "the worker crashed",
            },
        ])
    );
    assert_eq!(groups["meta"]["total"], 2);
    let id = id_of(&customer);
    for (query, counts) in [
        (format!("customer_id={id}"), vec![1, 1]),
        ("external_id=cus_4".to_owned(), vec![1]),
        (
            "error_code=crashed&type=customer.subscription.updated".to_owned(),
            vec![1],
        ),
        ("error_code=crash".to_owned(), vec![]),
        ("outcome=applied".to_owned(), vec![1]),
    ] {
        let groups = rig
            .get(&format!("/events/failures?{query}"))
            .await
            .expect(200);
        let found: Vec<u64> = groups["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["count"].as_u64().unwrap())
            .collect();
        assert_eq!(found, counts, "{query}");
    }
    let path = "/events?error_code=crashed";
    assert_eq!(rig.listed(path).await.len(), 4);
    assert_eq!(rig.listed("/events?error_code=else").await.len(), 0);
}

async fn a_customer_tells_of_its_failed_events_until_a_replay_succeeds(engine: Engine) {
    let (rig, customer) = shop(engine).await;
    let flag_of = |shown: &Value| shown["flags"].as_array().unwrap().clone();
    let shown = rig.get(&path_of(&customer)).await.expect(200);
    let flags = flag_of(&shown);
    assert_eq!(flags.len(), 1, "{shown}");
    assert_eq!(
        (&flags[0]["kind"], &flags[0]["subject"]),
        (&json!("failed_events"), &json!("crashed"))
    );
    // The event of nobody's account is nobody's flag.
    let all = rig.get("/flags?kind=failed_events").await.expect(200);
    assert_eq!(flag_of(&json!({"flags": all["data"]})), flags);
    let explained = rig.get(&format!("{}/explain", path_of(&customer))).await;
    let explained = explained.expect(200);
    assert_eq!(explained["failed_events"].as_array().unwrap().len(), 2);
    let sentences = explained["summary"].to_string();
    assert!(
        sentences.contains("2 events of its billing accounts failed (crashed)"),
        "{sentences}"
    );

    let filter = json!({"filter": {"external_id": "cus_1", "outcome": "failed"}});
    rig.post("/events/replay", filter).await.expect(202);
    rig.replays_are_done().await;
    rig.has_failed(&unreadable("evt_f1", "cus_1")).await;
    let explained = rig.get(&format!("{}/explain", path_of(&customer))).await;
    assert_eq!(explained.expect(200)["failed_events"][0]["count"], 1);
    // An admin may decide that it does not matter.
    let open = "/flags?kind=failed_events";
    let listed = rig.get(open).await.expect(200);
    let flag = listed["data"][0]["id"].as_str().unwrap();
    rig.delete(&format!("/flags/{flag}")).await.expect(204);
    assert_eq!(rig.get(open).await.expect(200)["meta"]["total"], 0);
    let shown = rig.get(&path_of(&customer)).await.expect(200);
    let kinds = flag_of(&shown);
    assert!(
        kinds.iter().all(|it| it["kind"] != "failed_events"),
        "{shown}"
    );
}

on_both_stores! {
    a_customer_tells_of_its_failed_events_until_a_replay_succeeds,
    failed_events_are_found_by_their_customer,
    failed_events_follow_their_account,
    the_failed_events_of_an_account_are_replayed,
    events_are_found_by_an_id_in_their_payload,
    failed_events_are_grouped_by_reason,
}
