//! Grants by hand that do not follow billing, plans that count or run out, and the dates of what
//! sources give.

use serde_json::{Value, json};
use tollgate::pipeline::timers::run_due;

use super::policy::lives;
use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

const DAY: i64 = 86_400;

async fn status(rig: &Rig, path: &str) -> Value {
    rig.get(path).await.expect(200)["status"].clone()
}

/// The answer of the access check.
async fn access(rig: &Rig, path: &str, package: &str) -> Value {
    let checked = rig.get(&format!("{path}/access?package={package}")).await;
    checked.body["code"].clone()
}

/// The packages of a customer: name, source, and the date of what is included.
async fn packages(rig: &Rig, path: &str) -> Value {
    let listed = rig.get(&format!("{path}/packages")).await.expect(200);
    let rows = listed["data"].as_array().unwrap().iter();
    rows.map(|it| {
        let source = [&it["subscription_id"], &it["payment_id"], &it["source"]];
        let source = source.into_iter().find(|it| !it.is_null());
        json!([it["package"], source, it["until"]])
    })
    .collect()
}

async fn a_grant_that_ignores_billing_counts_until_it_runs_out(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.put("/policy", json!({"suspend_after": "0d"}))
        .await
        .expect(200);
    let path = lives(&rig, "cus_1", "failing").await;
    let grants = format!("{path}/packages");
    let follows = json!({"package": "a/one"});
    let given = rig.post(&grants, follows).await.expect(201);
    assert_eq!(
        (&given["billing"], &given["expires_at"]),
        (&json!("follow"), &Value::Null)
    );
    assert_eq!(status(&rig, &path).await, "suspended", "it follows billing");
    assert_eq!(access(&rig, &path, "a/one").await, "customer_suspended");

    let ignores = json!({"package": "a/two", "constraint": "^1", "billing": "ignore",
        "expires_at": "2026-01-05T13:00:00.000Z"});
    let given = rig.post(&grants, ignores.clone()).await.expect(201);
    let wanted = json!([
        "a/two",
        "^1",
        "manual",
        "ignore",
        "2026-01-05T13:00:00.000Z",
        true
    ]);
    let fields = [
        "package",
        "constraint",
        "source",
        "billing",
        "expires_at",
        "changed",
    ];
    let found: Vec<&Value> = fields.iter().map(|field| &given[*field]).collect();
    assert_eq!(json!(found), wanted);
    assert_eq!(
        rig.post(&grants, ignores).await.expect(200)["changed"],
        false
    );
    assert_eq!(status(&rig, &path).await, "active");
    let both = json!([["a/one", "manual", null], ["a/two", "manual", null]]);
    assert_eq!(packages(&rig, &path).await, both);
    for package in ["a/one", "a/two"] {
        assert_eq!(access(&rig, &path, package).await, "ok");
    }
    let listed = rig.get(&grants).await.expect(200);
    assert_eq!(listed["data"][1]["expires_at"], "2026-01-05T13:00:00.000Z");
    assert_eq!(listed["data"][1]["billing"], "ignore");

    rig.pass(3_599);
    run_due(&rig.store, rig.now()).await.unwrap();
    assert_eq!(status(&rig, &path).await, "active", "a second before");
    rig.pass(1);
    run_due(&rig.store, rig.now()).await.unwrap();
    assert_eq!(status(&rig, &path).await, "suspended", "it has run out");
    let one = json!([["a/one", "manual", null]]);
    assert_eq!(packages(&rig, &path).await, one, "for when it is paid");
    assert_eq!(access(&rig, &path, "a/one").await, "customer_suspended");

    let longer = json!({"packages": [{"package": "a/two", "billing": "ignore"}]});
    let replaced = rig.put(&grants, longer).await.expect(200);
    assert_eq!(replaced["data"][0]["billing"], "ignore");
    assert_eq!(status(&rig, &path).await, "active", "granted anew");
    rig.delete(&format!("{grants}/a/two")).await.expect(204);
    assert_eq!(status(&rig, &path).await, "suspended", "revoked");
}

async fn a_customer_stands_as_grants_that_run_out_leave_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = path_of(&rig.customer(json!({"name": "Acme"})).await);
    let grants = format!("{path}/packages");
    for (package, billing, at) in [
        ("a/one", "ignore", "2026-01-05T13:00:00.000Z"),
        ("a/two", "follow", "2026-01-05T14:00:00.000Z"),
    ] {
        let body = json!({"package": package, "billing": billing, "expires_at": at});
        rig.post(&grants, body).await.expect(201);
    }
    rig.pass(3_600);
    run_due(&rig.store, rig.now()).await.unwrap();
    assert_eq!(
        status(&rig, &path).await,
        "active",
        "another has not run out"
    );
    assert_eq!(
        packages(&rig, &path).await,
        json!([["a/two", "manual", null]])
    );
    rig.pass(3_600);
    run_due(&rig.store, rig.now()).await.unwrap();
    assert_eq!(status(&rig, &path).await, "expired", "the last one has");
    assert_eq!(packages(&rig, &path).await, json!([]));

    for (body, field) in [
        (
            json!({"package": "a/one", "billing": "sometimes"}),
            "billing",
        ),
        (
            json!({"package": "a/one", "expires_at": "soon"}),
            "expires_at",
        ),
        (
            json!({"package": "a/one", "expires_at": "2026-01-05T12:00:00.000Z"}),
            "expires_at",
        ),
    ] {
        let refused = rig.post(&grants, body.clone()).await;
        let refused = refused.refused(422, "body_invalid");
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
        let refused = rig.put(&grants, json!({"packages": [body]})).await;
        let refused = refused.refused(422, "body_invalid");
        assert_eq!(
            refused["errors"][0]["field"],
            format!("packages[0].{field}")
        );
    }
}

async fn a_plan_says_whether_it_counts_and_how_long_updates_are_included(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.put("/policy", json!({"suspend_after": "0d"}))
        .await
        .expect(200);
    let path = lives(&rig, "cus_1", "failing").await;
    rig.post(&format!("{path}/packages"), json!({"package": "a/one"}))
        .await
        .expect(201);
    let plan = "/plans/stripe/price_basic";
    let shows = async |counts: bool, updates: Value| {
        let shown = rig.get(plan).await.expect(200);
        let listed = rig.get("/plans").await.expect(200)["data"][0].clone();
        assert_eq!(shown, listed);
        assert_eq!(
            (&shown["counts"], &shown["updates"]),
            (&json!(counts), &updates)
        );
    };
    assert_eq!(status(&rig, &path).await, "active", "without a plan");
    rig.put(plan, json!({"packages": []})).await.expect(201);
    shows(false, Value::Null).await;
    assert_eq!(
        status(&rig, &path).await,
        "active",
        "a plan that buys nothing"
    );
    let counts = json!({"packages": [], "counts": true});
    assert_eq!(
        rig.put(plan, counts.clone()).await.expect(200)["changed"],
        true
    );
    assert_eq!(rig.put(plan, counts).await.expect(200)["changed"], false);
    shows(true, Value::Null).await;
    assert_eq!(status(&rig, &path).await, "suspended", "a plan that counts");
    rig.put(plan, json!({"packages": []})).await.expect(200);
    shows(false, Value::Null).await;
    assert_eq!(status(&rig, &path).await, "active", "no longer");

    for (text, shown) in [
        ("365d", json!("365d")),
        ("forever", Value::Null),
        ("48h", json!("2d")),
    ] {
        let put = rig
            .put(plan, json!({"packages": [], "updates": text}))
            .await;
        assert_eq!(put.expect(200)["updates"], shown);
        shows(false, shown).await;
    }
    for wrong in ["a year", "365", "-1d", ""] {
        let refused = rig
            .put(plan, json!({"packages": [], "updates": wrong}))
            .await;
        let refused = refused.refused(422, "body_invalid");
        assert_eq!(refused["errors"][0]["field"], "updates", "{wrong}");
    }
    shows(false, json!("2d")).await;
}

/// An invoice with one line.
fn paid(id: &str, at: i64, line: &Value) -> Value {
    let subscription = line["parent"]["type"] == "subscription_item_details";
    let invoice = json!({
        "id": id, "object": "invoice", "customer": "cus_1", "amount_paid": 900, "total": 900,
        "subscription": subscription.then_some("sub_1"), "billing_reason": "manual",
        "lines": {"object": "list", "has_more": false, "data": [line]},
    });
    stripe_event(&format!("evt_{id}"), "invoice.paid", at, invoice)
}

fn line(price: &str, kind: &str, start: i64, end: i64) -> Value {
    json!({
        "id": format!("il_{price}"), "amount": 900, "parent": {"type": kind},
        "pricing": {"price_details": {"price": price, "product": format!("prod_of_{price}")}},
        "period": {"start": start, "end": end},
    })
}

async fn what_each_source_gives_is_listed_with_its_date(engine: Engine) {
    let rig = Rig::start(engine).await;
    let basic = json!({"packages": [{"package": "a/basic"}]});
    rig.put("/plans/stripe/price_basic", basic)
        .await
        .expect(201);
    let once = json!({"packages": [{"package": "a/once"}], "updates": "365d"});
    rig.put("/plans/stripe/price_once", once).await.expect(201);
    let once = line("price_once", "invoice_item_details", NOW, NOW);
    rig.happens(&paid("in_once", NOW - 366 * DAY, &once)).await;
    let stands = |id: &str, status: &str| stripe_subscription(id, "cus_1", status);
    let (start, end) = (NOW - 40 * DAY, NOW - 10 * DAY);
    let month = line("price_basic", "subscription_item_details", start, end);
    let began = stands("sub_1", "active");
    for event in [
        stripe_event("evt_1", "customer.subscription.created", start, began),
        paid("in_month", start, &month),
        stripe_event(
            "evt_2",
            "customer.subscription.deleted",
            NOW - 5 * DAY,
            stands("sub_1", "canceled"),
        ),
    ] {
        rig.happens(&event).await;
    }
    let path = path_of(&rig.get("/customers/by-external/cus_1").await.expect(200));
    rig.post(&format!("{path}/packages"), json!({"package": "a/hand"}))
        .await
        .expect(201);
    let shown = rig.get(&path).await.expect(200);
    assert_eq!(
        (&shown["status"], &shown["frozen_at"]),
        (&json!("frozen"), &json!("2026-01-04T12:00:00.000Z")),
        "the latest date that a source leaves"
    );
    let kept = json!([
        ["a/basic", "sub_1", "2025-12-26T12:00:00.000Z"],
        ["a/hand", "manual", "2026-01-04T12:00:00.000Z"],
        ["a/once", "in_once", "2026-01-04T12:00:00.000Z"],
    ]);
    assert_eq!(packages(&rig, &path).await, kept);

    let again = stands("sub_2", "active");
    let event_type = "customer.subscription.created";
    rig.happens(&stripe_event("evt_3", event_type, NOW - 60, again))
        .await;
    assert_eq!(status(&rig, &path).await, "active");
    let wanted = json!([
        ["a/basic", "sub_1", "2025-12-26T12:00:00.000Z"],
        ["a/basic", "sub_2", null],
        ["a/hand", "manual", null],
        ["a/once", "in_once", "2026-01-04T12:00:00.000Z"],
    ]);
    assert_eq!(packages(&rig, &path).await, wanted);
    for (version, at) in [
        ("1.0", "2026-01-04T12:00:00.000Z"),
        ("2.0", "2026-01-04T12:00:01.000Z"),
    ] {
        let release = json!({"version": version, "released_at": at});
        for package in ["a/once", "a/basic"] {
            rig.post(&format!("/packages/{package}/releases"), release.clone())
                .await
                .expect(201);
        }
    }
    for (question, code) in [
        ("a/once&version=1.0", "ok"),
        ("a/once&version=2.0", "version_not_frozen"),
        ("a/basic&version=2.0", "ok"),
        ("a/hand&version=2.0", "ok"),
    ] {
        assert_eq!(access(&rig, &path, question).await, code, "{question}");
    }
    let dated = |grants: &Value| -> Value {
        let grants = grants.as_array().unwrap().iter();
        let dated = grants.map(|it| json!([it["source"], it["subscription_id"], it["until"]]));
        dated.collect()
    };
    let two = json!([
        ["plan", "sub_1", "2025-12-26T12:00:00.000Z"],
        ["plan", "sub_2", null],
    ]);
    let asked = rig
        .get(&format!("{path}/access?package=a/basic"))
        .await
        .expect(200);
    assert_eq!(dated(&asked["grants"]), two);
    let token = json!({"name": "ci"});
    let token = rig.post(&format!("{path}/tokens"), token).await.expect(201);
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let bearer = [("authorization", bearer.as_str())];
    let all = rig.send("GET", "/access/packages", &bearer, None).await;
    let all = all.expect(200);
    let (basic, once) = (&all["packages"]["a/basic"], &all["packages"]["a/once"]);
    assert_eq!(dated(&basic["grants"]), two);
    assert_eq!(
        (&basic["constraint"], &once["versions"]),
        (&json!("*"), &json!(["1.0"]))
    );
}

on_both_stores! {
    a_grant_that_ignores_billing_counts_until_it_runs_out,
    a_customer_stands_as_grants_that_run_out_leave_it,
    a_plan_says_whether_it_counts_and_how_long_updates_are_included,
    what_each_source_gives_is_listed_with_its_date,
}
