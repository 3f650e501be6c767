//! The policy: each option through the whole system, and how a change reaches everybody.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate::domain::id::AppSlug;
use tollgate::domain::policy::{OnEnd, Policy};
use tollgate::pipeline::policy::walk_on;
use tollgate::pipeline::timers::run_due;

use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

/// A day in seconds.
const DAY: i64 = 86_400;

/// The policy that an app begins with.
fn first() -> Value {
    json!({
        "on_payment_failed": "suspend", "suspend_after": "7d", "end_after": "30d",
        "on_end": "freeze", "on_end_unpaid": "expire", "early_end": "now", "freeze_after": "0d",
        "on_pause": "suspend", "on_collection_pause": "keep",
        "on_dispute_opened": "flag", "on_dispute_lost": "suspend", "on_full_refund": "flag",
        "on_silence": "keep", "silence_after": "3d", "on_same_email": "flag",
    })
}

/// The same without a grace, so that each option shows at once.
fn without_grace() -> Value {
    let mut policy = first();
    policy["suspend_after"] = json!("0d");
    policy["end_after"] = json!("14d");
    policy
}

/// The events of a customer whose subscription is as `life` says. Ends an hour ago.
pub(super) fn events(account: &str, life: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut add = |at: i64, event_type: &str, object: Value| {
        let id = format!("evt_{account}_{}", events.len());
        events.push(stripe_event(&id, event_type, NOW - at, object));
    };
    let (subscription, charge) = (format!("sub_{account}"), format!("ch_{account}"));
    let stands = |status: &str| stripe_subscription(&subscription, account, status);
    let paid = json!({"id": charge, "object": "charge", "customer": account, "amount": 900});
    let dispute = |status: &str| {
        json!({"id": format!("dp_{account}"), "object": "dispute", "charge": charge,
            "status": status})
    };
    add(9_000, "customer.subscription.created", stands("active"));
    add(8_000, "charge.succeeded", paid.clone());
    let update = "customer.subscription.updated";
    match life {
        "good" => {}
        "failing" => add(3_600, update, stands("past_due")),
        "unpaid" => add(3_600, update, stands("unpaid")),
        "paused" => add(3_600, update, stands("paused")),
        "not collected" => {
            let mut uncollected = stands("active");
            uncollected["pause_collection"] = json!({"behavior": "void"});
            add(3_600, update, uncollected);
        }
        "ended" => add(3_600, "customer.subscription.deleted", stands("canceled")),
        "disputed" => add(3_600, "charge.dispute.created", dispute("needs_response")),
        "lost" => add(3_600, "charge.dispute.closed", dispute("lost")),
        "refunded" => {
            let invoice = json!({"id": format!("in_{account}"), "object": "invoice",
                "customer": account, "subscription": subscription, "charge": charge,
                "billing_reason": "subscription_create", "amount_paid": 900, "total": 900});
            add(7_900, "invoice.paid", invoice);
            let mut refunded = paid;
            refunded["amount_refunded"] = json!(900);
            refunded["refunded"] = json!(true);
            add(3_600, "charge.refunded", refunded);
        }
        other => panic!("no such life: {other}"),
    }
    events
}

/// A customer who has lived so; the path.
pub(super) async fn lives(rig: &Rig, account: &str, life: &str) -> String {
    rig.happen(&events(account, life)).await;
    let found = format!("/customers/by-external/{account}");
    path_of(&rig.get(&found).await.expect(200))
}

/// Who did such an operation to how many customers, or to none, by the audit.
async fn audited(rig: &Rig, operation: &str) -> BTreeMap<String, usize> {
    let sql = format!("SELECT actor FROM audit WHERE operation = '{operation}'");
    let mut counts = BTreeMap::new();
    for actor in rig.place.texts(&sql).await {
        *counts.entry(actor).or_default() += 1;
    }
    counts
}

async fn a_policy_is_shown_whole_and_changed_in_parts(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let mut wanted = first();
    wanted["pending"] = json!(false);
    assert_eq!(rig.get("/policy").await.expect(200), wanted);

    let part = json!({"on_end": "expire", "suspend_after": "48h"});
    let put = rig.put("/policy", part.clone()).await.expect(200);
    wanted["on_end"] = json!("expire");
    wanted["suspend_after"] = json!("2d");
    assert_eq!(rig.get("/policy").await.expect(200), wanted);
    wanted["changed"] = json!(true);
    assert_eq!(put, wanted);

    let again = rig.put("/policy", part).await.expect(200);
    assert_eq!(again["changed"], false);
    let nothing = rig.put("/policy", json!({})).await.expect(200);
    assert_eq!(nothing["changed"], false);
    let sql = "SELECT CAST(details AS TEXT) FROM audit WHERE operation = 'policy_put'";
    let entries = rig.place.texts(sql).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry: Value = serde_json::from_str(&entries[0]).unwrap();
    assert_eq!(entry["from"], first());
    assert_eq!(entry["to"]["on_end"], "expire");
    assert_eq!(entry["to"]["end_after"], "30d");
}

async fn all_that_is_wrong_with_a_policy_is_named_at_once(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let wrong = json!({
        "on_end": "explode", "grace": "3d", "end_after": "two weeks", "suspend_after": 3,
        "on_same_email": "yes", "on_pause": null, "on_dispute_lost": "keep",
    });
    for refused in [
        rig.put("/policy", wrong.clone()).await,
        rig.post("/policy/simulate", wrong).await,
    ] {
        let refused = refused.refused(422, "body_invalid");
        let errors = refused["errors"].as_array().unwrap();
        let mut fields: Vec<&str> = errors
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        fields.sort_unstable();
        let wanted = [
            "end_after",
            "grace",
            "on_end",
            "on_pause",
            "on_same_email",
            "suspend_after",
        ];
        assert_eq!(fields, wanted, "{refused}");
    }
    rig.put("/policy", json!([]))
        .await
        .refused(422, "body_invalid");
    let shown = rig.get("/policy").await.expect(200);
    assert_eq!(shown["on_dispute_lost"], "suspend", "nothing was changed");
    let cursor = rig.post("/policy/simulate?cursor=nobody", json!({})).await;
    cursor.refused(422, "query_invalid");
}

/// What happened, what is set, the status before and after.
fn options() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    vec![
        (
            "failing",
            json!({"on_payment_failed": "keep"}),
            "suspended",
            "active",
        ),
        (
            "unpaid",
            json!({"on_payment_failed": "keep"}),
            "suspended",
            "active",
        ),
        (
            "failing",
            json!({"suspend_after": "3d"}),
            "suspended",
            "active",
        ),
        (
            "failing",
            json!({"suspend_after": "30m"}),
            "suspended",
            "suspended",
        ),
        (
            "unpaid",
            json!({"suspend_after": "3d"}),
            "suspended",
            "suspended",
        ),
        (
            "failing",
            json!({"end_after": "30m"}),
            "suspended",
            "frozen",
        ),
        ("ended", json!({"on_end": "expire"}), "frozen", "expired"),
        (
            "paused",
            json!({"on_pause": "freeze"}),
            "suspended",
            "frozen",
        ),
        ("paused", json!({"on_pause": "keep"}), "suspended", "active"),
        (
            "not collected",
            json!({"on_collection_pause": "suspend"}),
            "active",
            "suspended",
        ),
        (
            "disputed",
            json!({"on_dispute_opened": "suspend"}),
            "active",
            "suspended",
        ),
        (
            "lost",
            json!({"on_dispute_lost": "expire"}),
            "suspended",
            "expired",
        ),
        (
            "lost",
            json!({"on_dispute_lost": "keep"}),
            "suspended",
            "active",
        ),
        (
            "refunded",
            json!({"on_full_refund": "expire"}),
            "active",
            "expired",
        ),
        (
            "refunded",
            json!({"on_full_refund": "keep"}),
            "active",
            "active",
        ),
    ]
}

async fn each_option_does_what_it_says_at_once_and_for_everybody(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let policy = without_grace();
    rig.put("/policy", policy.clone()).await.expect(200);
    for (n, (life, set, before, after)) in options().into_iter().enumerate() {
        let description = format!("{life}, {set}");
        let path = lives(&rig, &format!("cus_{n}"), life).await;
        let status = async || rig.get(&path).await.expect(200)["status"].clone();
        assert_eq!(status().await, before, "{description}");

        let forecast = rig.post("/policy/simulate", set.clone()).await.expect(200);
        assert_eq!(status().await, before, "{description}: only simulated");
        let foreseen = forecast["customers"].as_array().unwrap();
        let id = path.trim_start_matches("/customers/");
        let own = foreseen.iter().find(|customer| customer["id"] == id);
        let own = own.map(|customer| (&customer["from"], &customer["to"]));
        let wanted = (&json!(before), &json!(after));
        assert_eq!(own, (before != after).then_some(wanted), "{description}");

        rig.put("/policy", set).await.expect(200);
        assert_eq!(status().await, after, "{description}: set later");
        let other = lives(&rig, &format!("cus_{n}_later"), life).await;
        let later = rig.get(&other).await.expect(200);
        assert_eq!(later["status"], after, "{description}: set before");
        let back = rig.put("/policy", policy.clone()).await.expect(200);
        assert_eq!(
            (&back["changed"], &back["pending"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(status().await, before, "{description}: set back");
    }
}

async fn a_refund_is_flagged_unless_the_policy_says_otherwise(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let path = lives(&rig, "cus_1", "refunded").await;
    for (set, kinds) in [
        ("flag", json!(["full_refund"])),
        ("keep", json!([])),
        ("expire", json!([])),
    ] {
        rig.put("/policy", json!({"on_full_refund": set}))
            .await
            .expect(200);
        let shown = rig.get(&path).await.expect(200);
        let flags = shown["flags"].as_array().unwrap().iter();
        let found: Vec<&Value> = flags
            .map(|flag| &flag["kind"])
            .filter(|kind| **kind != "unmapped_price")
            .collect();
        assert_eq!(json!(found), kinds, "{set}: {shown}");
    }
}

async fn a_grace_ends_by_timer_and_so_does_a_failure(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.put(
        "/policy",
        json!({"suspend_after": "3d", "end_after": "14d"}),
    )
    .await
    .expect(200);
    let path = lives(&rig, "cus_1", "failing").await;
    let steps = [
        (0, "active"),
        (3 * DAY - 3_601, "active"),
        (1, "suspended"),
        (11 * DAY - 1, "suspended"),
        (1, "frozen"),
    ];
    for (seconds, status) in steps {
        rig.pass(seconds.unsigned_abs());
        run_due(&rig.store, rig.now()).await.unwrap();
        let shown = rig.get(&path).await.expect(200);
        assert_eq!(shown["status"], status, "{seconds} s later: {shown}");
    }
    let shown = rig.get(&path).await.expect(200);
    assert_eq!(
        shown["frozen_at"], "2026-01-05T11:00:00.000Z",
        "as paid until it began to fail"
    );
    assert_eq!(
        audited(&rig, "suspend").await,
        BTreeMap::from([("timer".to_owned(), 1)])
    );
    assert_eq!(
        audited(&rig, "freeze").await,
        BTreeMap::from([("timer".to_owned(), 1)])
    );
}

async fn a_policy_keeps_accounts_where_they_are(engine: Engine) {
    let rig = Rig::selling(engine).await.joins().await;
    let signs_up = async |account: &str, at: i64| {
        let id = format!("evt_{account}");
        let contact = stripe_customer(account, "shared@example.com");
        rig.happens(&stripe_event(&id, "customer.created", NOW - at, contact))
            .await;
    };
    let customer_of = async |account: &str| {
        let found = format!("/customers/by-external/stripe_{account}");
        rig.get(&found).await.expect(200)["id"].clone()
    };
    signs_up("cus_1", 100).await;
    signs_up("cus_2", 90).await;
    let both = customer_of("cus_1").await;
    assert_eq!(customer_of("cus_2").await, both);

    rig.put("/policy", json!({"on_same_email": "ignore"}))
        .await
        .expect(200);
    signs_up("cus_3", 80).await;
    assert_eq!(customer_of("cus_2").await, both, "stays");
    let third = customer_of("cus_3").await;
    assert_ne!(third, both, "is not matched");

    rig.put("/policy", json!({"on_same_email": "join"}))
        .await
        .expect(200);
    assert_eq!(customer_of("cus_3").await, third, "stays");
    signs_up("cus_4", 70).await;
    assert_eq!(
        customer_of("cus_4").await,
        both,
        "is matched with the first"
    );
    assert_eq!(customer_of("cus_3").await, third, "stays when others come");
    let pins = BTreeMap::from([("admin:root".to_owned(), 2)]);
    assert_eq!(
        audited(&rig, "pin_account").await,
        pins,
        "only those that would move"
    );
}

/// More customers than the request itself derives, so that the timers' walk has work.
async fn a_policy_reaches_a_large_app_step_by_step(engine: Engine) {
    const MANY: usize = 1_150;
    let rig = Rig::selling(engine).await;
    let ended: Vec<Value> = (0..MANY)
        .map(|n| {
            let account = format!("cus_{n}");
            let object = stripe_subscription(&format!("sub_{n}"), &account, "canceled");
            let event_type = "customer.subscription.deleted";
            stripe_event(&format!("evt_{n}"), event_type, NOW - 3_600, object)
        })
        .collect();
    rig.happen(&ended).await;
    let frozen = async || {
        let list = rig.get("/customers?status=frozen").await.expect(200);
        list["meta"]["total"].as_u64().unwrap()
    };
    assert_eq!(frozen().await, MANY as u64);

    let set = json!({"on_end": "expire"});
    let (mut cursor, mut pages, mut total) = (String::new(), Vec::new(), 0);
    loop {
        let path = format!("/policy/simulate?cursor={cursor}");
        let forecast = rig.post(&path, set.clone()).await.expect(200);
        let listed = forecast["customers"].as_array().unwrap().len();
        assert_eq!(
            forecast["counts"],
            json!([{"from": "frozen", "to": "expired", "customers": listed}])
        );
        assert_eq!(forecast["examined"], listed);
        pages.push(listed);
        total += listed;
        match forecast["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!((pages.as_slice(), total), ([1_000, 150].as_slice(), MANY));

    let put = rig.put("/policy", set).await.expect(200);
    assert_eq!(put["pending"], true, "{put}");
    assert_eq!(frozen().await, 150, "a thousand at once");
    while walk_on(&rig.store, rig.now()).await.unwrap() {}
    assert_eq!(frozen().await, 0);
    assert_eq!(rig.get("/policy").await.expect(200)["pending"], false);
    let once = BTreeMap::from([("policy".to_owned(), MANY)]);
    assert_eq!(audited(&rig, "expire").await, once);
}

/// What is left when the process ends between the commit of a policy and the first step: several
/// workers find the walk, and each customer is derived once.
async fn a_walk_goes_on_after_a_crash_with_several_workers_at_once(engine: Engine) {
    const CUSTOMERS: usize = 450;
    let rig = Rig::selling(engine).await;
    let mut all = Vec::new();
    for n in 0..CUSTOMERS {
        let object = stripe_subscription(&format!("sub_{n}"), &format!("cus_{n}"), "canceled");
        let event_type = "customer.subscription.deleted";
        all.push(stripe_event(
            &format!("evt_{n}"),
            event_type,
            NOW - 3_600,
            object,
        ));
    }
    rig.happen(&all).await;
    let policy = Policy {
        on_end: OnEnd::Expire,
        ..Policy::default()
    };
    let app = AppSlug::default_app();
    let mut tx = rig.store.begin_in(&app).await.unwrap();
    assert!(tx.app_policy_put(&app, &policy).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(rig.get("/policy").await.expect(200)["pending"], true);

    let first = rig.place.of_another_worker(&rig.store).await;
    let second = rig.place.of_another_worker(&rig.store).await;
    let walk = async |store| while walk_on(store, rig.now()).await.unwrap() {};
    tokio::join!(walk(&first), walk(&second));
    let once = BTreeMap::from([("policy".to_owned(), CUSTOMERS)]);
    assert_eq!(audited(&rig, "expire").await, once);
    let list = rig.get("/customers?status=expired").await.expect(200);
    assert_eq!(list["meta"]["total"], CUSTOMERS);
    assert_eq!(rig.get("/policy").await.expect(200)["pending"], false);
}

async fn a_policy_is_of_one_app(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.post("/apps", json!({"slug": "other", "name": "Other"}))
        .await
        .expect(201);
    let path = lives(&rig, "cus_1", "ended").await;
    let others = rig.admin("admin", Some("other")).await;
    let set = Some(json!({"on_end": "expire"}));
    let put = rig
        .as_admin(&others, "PUT", "/policy", set.clone())
        .await
        .expect(200);
    assert_eq!(put["changed"], true);
    assert_eq!(rig.get("/policy").await.expect(200)["on_end"], "freeze");
    assert_eq!(rig.get(&path).await.expect(200)["status"], "frozen");
    let viewer = rig.admin("viewer", None).await;
    let refused = rig.as_admin(&viewer, "PUT", "/policy", set.clone()).await;
    refused.refused(403, "role_insufficient");
    let forecast = rig.as_admin(&viewer, "POST", "/policy/simulate", set).await;
    assert_eq!(forecast.expect(200)["examined"], 1);
}

on_both_stores! {
    a_policy_is_shown_whole_and_changed_in_parts,
    all_that_is_wrong_with_a_policy_is_named_at_once,
    each_option_does_what_it_says_at_once_and_for_everybody,
    a_refund_is_flagged_unless_the_policy_says_otherwise,
    a_grace_ends_by_timer_and_so_does_a_failure,
    a_policy_keeps_accounts_where_they_are,
    a_policy_reaches_a_large_app_step_by_step,
    a_walk_goes_on_after_a_crash_with_several_workers_at_once,
    a_policy_is_of_one_app,
}
