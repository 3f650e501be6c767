//! A customer's payments and its timeline.

use serde_json::{Value, json};
use tollgate::pipeline::timers::run_due;

use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

const DAY: u64 = 86_400;

/// An invoice of `sub_1` for a month, paid by the charge `ch_1`.
fn invoice(id: &str, reason: &str) -> Value {
    json!({
        "id": id, "object": "invoice", "customer": "cus_1", "subscription": "sub_1",
        "billing_reason": reason, "charge": "ch_1", "amount_paid": 900, "total": 900,
        "lines": {"object": "list", "has_more": false, "data": [{
            "id": "il_1", "amount": 1_000, "discount_amounts": [{"amount": 100}],
            "parent": {"type": "subscription_item_details"},
            "pricing": {"price_details": {"price": "price_basic", "product": "prod_basic"}},
            "period": {"start": NOW - 8_000, "end": NOW + 80_000},
        }]},
    })
}

fn refunded(id: &str, ago: i64, amount: i64) -> Value {
    let charge = json!({"id": "ch_1", "object": "charge", "customer": "cus_1", "amount": 900,
        "amount_refunded": amount});
    stripe_event(id, "charge.refunded", NOW - ago, charge)
}

fn disputed(id: &str, ago: i64, status: &str) -> Value {
    let dispute = json!({"id": "dp_1", "object": "dispute", "charge": "ch_1", "status": status});
    stripe_event(id, "charge.dispute.updated", NOW - ago, dispute)
}

/// Somebody whose first month is paid and whose renewal has just failed; the path.
async fn fails(rig: &Rig) -> String {
    let stands = |status: &str| stripe_subscription("sub_1", "cus_1", status);
    let paid = invoice("in_1", "subscription_create");
    let mut failed = invoice("in_2", "subscription_cycle");
    failed["charge"] = Value::Null;
    failed["lines"] = Value::Null;
    failed["amount_paid"] = json!(0);
    failed["next_payment_attempt"] = json!(NOW + 3_600);
    let update = "customer.subscription.updated";
    for (id, event_type, ago, object) in [
        (
            "evt_1",
            "customer.subscription.created",
            9_000,
            stands("active"),
        ),
        ("evt_2", "invoice.paid", 8_000, paid),
        ("evt_3", "invoice.payment_failed", 3_600, failed),
        ("evt_4", update, 3_600, stands("past_due")),
    ] {
        rig.happens(&stripe_event(id, event_type, NOW - ago, object))
            .await;
    }
    path_of(&rig.get("/customers/by-external/cus_1").await.expect(200))
}

async fn rows(rig: &Rig, path: &str) -> Vec<Value> {
    let listed = rig.get(path).await.expect(200);
    listed["data"].as_array().unwrap().clone()
}

/// Walks through a list by its cursor, two rows at a time.
async fn walked(rig: &Rig, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let part = rig
            .get(&format!("{path}?page_size=2&cursor={cursor}"))
            .await;
        let part = part.expect(200);
        all.extend(part["data"].as_array().unwrap().clone());
        match part["meta"]["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

async fn payments_are_listed_with_what_they_were_for(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let path = format!("{}/payments", fails(&rig).await);
    let listed = rows(&rig, &path).await;
    let failed = json!({
        "id": "in_2", "provider": "stripe", "livemode": true, "account": "cus_1",
        "subscription_id": "sub_1", "reason": "subscription_cycle",
        "paid_at": null, "amount_paid": null, "cost": null,
        "failed_at": "2026-01-05T11:00:00.000Z", "next_attempt": "2026-01-05T13:00:00.000Z",
        "void_at": null, "amount_refunded": 0, "refunded": false, "dispute_lost": false,
        "counts": false, "refunds": [], "disputes": [], "lines": [], "lines_truncated": false,
    });
    let paid = json!({
        "id": "in_1", "provider": "stripe", "livemode": true, "account": "cus_1",
        "subscription_id": "sub_1", "reason": "subscription_create",
        "paid_at": "2026-01-05T09:46:40.000Z", "amount_paid": 900, "cost": 900,
        "failed_at": null, "next_attempt": null, "void_at": null,
        "amount_refunded": 0, "refunded": false, "dispute_lost": false,
        "counts": true, "refunds": [], "disputes": [],
        "lines": [{
            "price": "price_basic", "product": "prod_basic", "amount": 900,
            "start": "2026-01-05T09:46:40.000Z", "end": "2026-01-06T10:13:20.000Z", "once": false,
        }],
        "lines_truncated": false,
    });
    assert_eq!(listed, [failed, paid], "the newest first");
    rig.happens(&stripe_event(
        "evt_void",
        "invoice.voided",
        NOW - 60,
        invoice("in_2", "subscription_cycle"),
    ))
    .await;
    let voided = &rows(&rig, &path).await[0];
    assert_eq!(voided["void_at"], "2026-01-05T11:59:00.000Z");
    assert_eq!(walked(&rig, &path).await, rows(&rig, &path).await);

    let nobody = format!("/customers/cust_{}/payments", "0".repeat(32));
    rig.get(&nobody).await.refused(404, "customer_not_found");
    let bare = rig.customer(json!({"name": "Acme"})).await;
    let none = format!("{}/payments", path_of(&bare));
    assert_eq!(rows(&rig, &none).await, [Value::Null; 0]);
}

async fn a_payment_shows_what_was_given_back_or_lost(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let path = format!("{}/payments", fails(&rig).await);
    let shows = async |wanted: Value, when: &str| {
        let it = rows(&rig, &path).await.swap_remove(1);
        let fields = [
            "amount_refunded",
            "refunded",
            "dispute_lost",
            "counts",
            "refunds",
            "disputes",
        ];
        let found: Vec<&Value> = fields.iter().map(|field| &it[*field]).collect();
        assert_eq!(json!(found), wanted, "{when}");
    };
    shows(json!([0, false, false, true, [], []]), "at first").await;
    rig.happens(&refunded("evt_part", 900, 400)).await;
    shows(json!([400, false, false, true, ["ch_1"], []]), "a part").await;
    rig.happens(&refunded("evt_all", 800, 900)).await;
    shows(json!([900, true, false, false, ["ch_1"], []]), "all").await;

    let rig = Rig::selling(engine).await;
    let path = format!("{}/payments", fails(&rig).await);
    let shows = async |wanted: Value, when: &str| {
        let it = rows(&rig, &path).await.swap_remove(1);
        let found = json!([it["dispute_lost"], it["counts"], it["disputes"]]);
        assert_eq!(found, wanted, "{when}");
    };
    rig.happens(&disputed("evt_open", 900, "needs_response"))
        .await;
    shows(json!([false, true, ["dp_1"]]), "disputed").await;
    rig.happens(&disputed("evt_lost", 800, "lost")).await;
    shows(json!([true, false, ["dp_1"]]), "lost").await;
}

/// Everything that can happen to a customer; its path.
async fn lives(rig: &Rig) -> String {
    let path = fails(rig).await;
    rig.happens(&disputed("evt_open", 900, "needs_response"))
        .await;
    rig.happens(&refunded("evt_part", 800, 400)).await;
    rig.pass(60);
    rig.post(&format!("{path}/suspend"), json!({"reason": "fraud"}))
        .await
        .expect(200);
    rig.pass(60);
    rig.post(&format!("{path}/reactivate"), json!({}))
        .await
        .expect(200);
    rig.pass(7 * DAY);
    run_due(&rig.store, rig.now()).await.unwrap();
    path
}

async fn a_timeline_puts_everything_into_one_list(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let customer = lives(&rig).await;
    let path = format!("{customer}/timeline");
    let all = rows(&rig, &format!("{path}?page_size=100")).await;
    assert_eq!(walked(&rig, &path).await, all);
    let ats: Vec<&str> = all.iter().map(|it| it["at"].as_str().unwrap()).collect();
    assert!(ats.is_sorted_by(|one, other| one >= other), "{ats:#?}");

    let mut found = 0;
    let titles = async |kind: &str| {
        let rows = rows(&rig, &format!("{path}?page_size=100&kind={kind}")).await;
        let wanted: Vec<Value> = all
            .iter()
            .filter(|it| it["kind"] == kind)
            .cloned()
            .collect();
        assert_eq!(rows, wanted, "{kind}");
        let titles = rows
            .iter()
            .map(|it| it["title"].as_str().unwrap().to_owned());
        titles.collect::<Vec<_>>()
    };
    for (kind, wanted) in [
        ("payment", &["failed", "paid"][..]),
        ("refund", &["refunded"]),
        ("act", &["reactivate", "grant", "suspend"]),
        ("timer", &["suspend"]),
    ] {
        let titles = titles(kind).await;
        assert_eq!(titles, wanted, "{kind}");
        found += titles.len();
    }
    for kind in ["webhook", "change", "flag"] {
        let titles = titles(kind).await;
        assert!(!titles.is_empty(), "{kind}: {all:#?}");
        found += titles.len();
    }
    assert_eq!(found, all.len(), "no other kinds");

    let of = |kind: &str, title: &str| {
        let mut them = all.iter();
        let it = them.find(|it| it["kind"] == kind && it["title"] == title);
        it.unwrap_or_else(|| panic!("no {kind} {title}: {all:#?}"))
    };
    let paid = of("payment", "paid");
    assert_eq!(
        (&paid["at"], &paid["subject"], &paid["actor"]),
        (
            &json!("2026-01-05T09:46:40.000Z"),
            &json!("in_1"),
            &Value::Null
        )
    );
    assert_eq!(paid["details"], json!({"amount_paid": 900, "cost": 900}));
    let refund = of("refund", "refunded");
    assert_eq!(
        refund["details"],
        json!({"amount_refunded": 400, "refunds": ["ch_1"]})
    );
    let webhook = of("webhook", "customer.subscription.created");
    assert_eq!(webhook["subject"], "evt_1");
    assert_eq!(webhook["details"]["outcome"], "applied");
    let act = of("act", "suspend");
    assert_eq!(
        (&act["at"], &act["actor"]),
        (&json!("2026-01-05T12:01:00.000Z"), &json!("admin:root"))
    );
    assert_eq!(of("timer", "suspend")["actor"], "timer");
}

async fn a_timeline_is_filtered_by_time_and_refuses_what_it_does_not_know(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let customer = lives(&rig).await;
    let path = format!("{customer}/timeline");
    let all = rows(&rig, &format!("{path}?page_size=100")).await;
    let (since, until) = ("2026-01-05T11:00:00.000Z", "2026-01-05T12:01:00.000Z");
    let within = rows(
        &rig,
        &format!("{path}?page_size=100&since={since}&until={until}"),
    )
    .await;
    let at =
        |it: &&Value| it["at"].as_str().unwrap() >= since && it["at"].as_str().unwrap() < until;
    let wanted: Vec<Value> = all.iter().filter(at).cloned().collect();
    assert!(
        !wanted.is_empty() && wanted.len() < all.len(),
        "{wanted:#?}"
    );
    assert_eq!(within, wanted);
    let payments = format!("{path}?kind=payment&since={since}");
    let payments = rows(&rig, &payments).await;
    assert_eq!(
        json!([payments[0]["title"], payments.len()]),
        json!(["failed", 1])
    );

    for (query, field) in [
        ("kind=everything", "kind"),
        ("since=yesterday", "since"),
        ("until=tomorrow", "until"),
    ] {
        let refused = rig.get(&format!("{path}?{query}")).await;
        let refused = refused.refused(422, "query_invalid");
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let nobody = format!("/customers/cust_{}/timeline", "0".repeat(32));
    rig.get(&nobody).await.refused(404, "customer_not_found");
    rig.post("/apps", json!({"slug": "other", "name": "Other"}))
        .await
        .expect(201);
    let others = rig.admin("viewer", Some("other")).await;
    for list in ["payments", "timeline"] {
        let refused = rig
            .as_admin(&others, "GET", &format!("{customer}/{list}"), None)
            .await;
        refused.refused(404, "customer_not_found");
    }
}

on_both_stores! {
    payments_are_listed_with_what_they_were_for,
    a_payment_shows_what_was_given_back_or_lost,
    a_timeline_puts_everything_into_one_list,
    a_timeline_is_filtered_by_time_and_refuses_what_it_does_not_know,
}
