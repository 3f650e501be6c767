//! Flags of an app: listed, cleared, gone when their cause is.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

impl Rig {
    async fn contact(&self, account: &str) {
        let object = stripe_customer(account, &format!("{account}@x.com"));
        let event = format!("evt_{account}");
        self.happens(&stripe_event(&event, "customer.created", NOW - 90, object))
            .await;
    }

    async fn subscribed(&self, account: &str, status: &str, created: i64) {
        let object = stripe_subscription(&format!("sub_of_{account}"), account, status);
        let event = format!("evt_sub_{account}_{created}");
        let event_type = "customer.subscription.updated";
        self.happens(&stripe_event(&event, event_type, created, object))
            .await;
    }

    /// A dispute of the charge `ch_1`, which names no customer.
    async fn disputed(&self, event: &str, status: &str, created: i64) {
        let object = json!({"id": "dp_1", "object": "dispute", "charge": "ch_1", "status": status});
        let event_type = "charge.dispute.updated";
        self.happens(&stripe_event(event, event_type, created, object))
            .await;
    }

    async fn charged(&self, account: &str) {
        let object = json!({"id": "ch_1", "object": "charge", "customer": account});
        self.happens(&stripe_event(
            "evt_ch",
            "charge.succeeded",
            NOW - 85,
            object,
        ))
        .await;
    }

    async fn named(&self, event: &str, created: &str) {
        self.happens(&json!({
            "id": event, "object": "v2.core.event", "type": "v1.customer.subscription.updated",
            "livemode": true, "created": created,
            "related_object": {"id": "sub_9", "type": "subscription", "url": "/v1/x"},
        }))
        .await;
    }

    /// The open flags, as kind and subject.
    async fn flags(&self, query: &str) -> Vec<(String, String)> {
        let listed = self.get(&format!("/flags{query}")).await.expect(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = listed["data"].as_array().unwrap().iter();
        rows.map(|row| (text(&row["kind"]), text(&row["subject"])))
            .collect()
    }

    async fn only_flag(&self, query: &str) -> Value {
        let listed = self.get(&format!("/flags{query}")).await.expect(200);
        let rows = listed["data"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{listed}");
        rows[0].clone()
    }

    async fn clear(&self, flag: &Value) {
        let path = format!("/flags/{}", id_of(flag));
        self.delete(&path).await.expect(204);
        self.delete(&path).await.refused(404, "flag_not_found");
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |&(kind, subject): &(&str, &str)| (kind.to_owned(), subject.to_owned());
    expected.iter().map(own).collect()
}

async fn a_dispute_is_flagged_until_somebody_is_known_to_own_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.disputed("evt_1", "needs_response", NOW - 50).await;
    let flag = rig.only_flag("").await;
    assert_eq!(
        (&flag["kind"], &flag["subject"]),
        (&json!("unlinked"), &json!("dp_1"))
    );
    assert_eq!(flag["customer_id"], Value::Null);
    assert_eq!(flag["at"], "2026-01-05T11:59:10.000Z");
    // An account that nobody else named is nobody's.
    rig.charged("cus_1").await;
    assert_eq!(rig.only_flag("").await, flag);
    rig.contact("cus_1").await;
    assert_eq!(rig.flags("").await, pairs(&[("open_dispute", "dp_1")]));
}

async fn an_account_that_is_named_late_takes_its_lost_dispute(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.subscribed("cus_1", "active", NOW - 70).await;
    rig.disputed("evt_1", "lost", NOW - 50).await;
    rig.charged("cus_1").await;
    rig.contact("cus_1").await;
    assert_eq!(rig.flags("").await, pairs(&[]));
    let customer = rig.get("/customers/by-external/cus_1").await.expect(200);
    assert_eq!(customer["status"], "suspended");
    assert_eq!(customer["holds"], json!(["dispute"]));
}

/// A refund of what two guests' sessions and a customer's invoice name, one event after another.
async fn what_a_refund_is_about_is_the_same_whatever_came_last(engine: Engine) {
    let session = |id: &str, intent: Option<&str>, email: &str, status: &str| {
        json!({"id": id, "object": "checkout.session", "mode": "payment", "status": "complete",
            "customer": null, "customer_details": {"email": email}, "payment_intent": intent,
            "payment_status": status})
    };
    let invoice = |id: &str, subscription: Option<&str>, email: &str| {
        json!({"id": id, "object": "invoice", "customer": "cus_1", "customer_email": email,
            "status": "paid", "amount_paid": 2900, "total": 2900,
            "parent": {"subscription_details": {"subscription": subscription}},
            "lines": {"data": [{"id": format!("il_{id}"), "amount": 2900,
                "pricing": {"price_details": {"price": format!("price_{id}")}}}]}})
    };
    let mut last = session("cs_a", Some("pi_1"), "x@e.com", "no_payment_required");
    last["invoice"] = json!("in_a");
    let succeeded = "checkout.session.async_payment_succeeded";
    let told = [
        (succeeded, 40, session("cs_a", None, "y@e.com", "unpaid")),
        (succeeded, 38, last),
        (
            "invoice.paid",
            70,
            invoice("in_1", Some("sub_1"), "y@e.com"),
        ),
        (
            "invoice_payment.paid",
            50,
            json!({"id": "inpay_1", "object": "invoice_payment", "invoice": "in_1",
                "payment": {"type": "payment_intent", "payment_intent": "pi_1"},
                "status": "paid"}),
        ),
        ("customer.created", 70, stripe_customer("cus_2", "x@e.com")),
        (
            "checkout.session.completed",
            60,
            session("cs_b", Some("pi_1"), "x@e.com", "unpaid"),
        ),
        (
            "charge.refunded",
            90,
            json!({"id": "ch_1", "object": "charge", "customer": "cus_1",
                "payment_intent": "pi_1", "amount": 2900, "amount_refunded": 900}),
        ),
        ("invoice.paid", 40, invoice("in_b", None, "x@example.com")),
    ];
    for order in [[6, 4, 2, 5, 3, 7, 0, 1], [0, 1, 2, 3, 4, 5, 6, 7]] {
        let rig = Rig::start(engine).await.joins().await;
        for place in order {
            let (event_type, ago, object) = &told[place];
            let id = format!("evt_{place}");
            rig.happens(&stripe_event(&id, event_type, NOW - ago, object.clone()))
                .await;
        }
        let flags = rig.get("/flags").await.expect(200);
        let flags = flags["data"].as_array().unwrap().iter();
        let ambiguous: Vec<_> = flags.filter(|it| it["kind"] == "ambiguous").collect();
        assert_eq!(ambiguous, [&json!(null); 0], "{order:?}");
    }
}

async fn a_cleared_flag_without_a_customer_is_raised_only_by_a_newer_event(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.disputed("evt_1", "needs_response", NOW - 50).await;
    rig.clear(&rig.only_flag("").await).await;
    rig.disputed("evt_2", "needs_response", NOW - 50).await;
    rig.disputed("evt_3", "needs_response", NOW - 60).await;
    assert_eq!(rig.flags("").await, pairs(&[]));
    rig.disputed("evt_4", "lost", NOW - 40).await;
    assert_eq!(rig.flags("").await, pairs(&[("unlinked", "dp_1")]));
}

async fn a_thin_event_is_ignored_and_what_it_names_is_flagged(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.named("evt_1", "2026-01-05T11:00:00.000Z").await;
    let event = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(event["outcome"], "ignored");
    assert_eq!(event["error"]["code"], "api_key_needed");
    let flag = rig.only_flag("").await;
    assert_eq!(
        (&flag["kind"], &flag["subject"]),
        (&json!("api_key_needed"), &json!("sub_9"))
    );
    rig.named("evt_2", "2026-01-05T10:00:00.000Z").await;
    assert_eq!(
        rig.only_flag("").await,
        flag,
        "an older event says nothing new"
    );
    rig.clear(&flag).await;
    rig.named("evt_3", "2026-01-05T10:30:00.000Z").await;
    assert_eq!(rig.flags("").await, pairs(&[]));
    rig.named("evt_4", "2026-01-05T11:30:00.000Z").await;
    assert_eq!(rig.only_flag("").await["at"], "2026-01-05T11:30:00.000Z");
}

async fn a_customers_flag_is_cleared_and_the_list_agrees_with_the_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.charged("cus_1").await;
    rig.contact("cus_1").await;
    rig.subscribed("cus_1", "active", NOW - 70).await;
    rig.disputed("evt_1", "needs_response", NOW - 50).await;
    let path = "/customers/by-external/cus_1";
    let customer = rig.get(path).await.expect(200);
    let query = format!("?customer_id={}", id_of(&customer));
    let newest_first = pairs(&[("open_dispute", "dp_1"), ("unmapped_price", "price_basic")]);
    assert_eq!(rig.flags(&query).await, newest_first);
    let listed = rig.get(&format!("/flags{query}")).await.expect(200);
    let mut listed = listed["data"].as_array().unwrap().clone();
    let mut shown = customer["flags"].as_array().unwrap().clone();
    for rows in [&mut listed, &mut shown] {
        rows.sort_by_key(Value::to_string);
    }
    assert_eq!(listed, shown);
    for kind in ["open_dispute", "unmapped_price"] {
        let flag = rig.only_flag(&format!("?kind={kind}")).await;
        assert_eq!(flag["customer_id"], customer["id"]);
        rig.clear(&flag).await;
    }
    assert_eq!(rig.flags("").await, pairs(&[]));
    assert_eq!(rig.get(path).await.expect(200)["flags"], json!([]));
    // The same dispute once more; the same price bought once more.
    rig.disputed("evt_2", "needs_response", NOW - 50).await;
    rig.subscribed("cus_1", "active", NOW - 30).await;
    assert_eq!(rig.flags("").await, pairs(&[]));
    rig.disputed("evt_3", "needs_response", NOW - 20).await;
    assert_eq!(rig.flags("").await, pairs(&[("open_dispute", "dp_1")]));
}

async fn a_plan_closes_the_flags_of_its_price_and_leaves_no_other_way(engine: Engine) {
    let rig = Rig::start(engine).await;
    for account in ["cus_1", "cus_2"] {
        rig.contact(account).await;
        rig.subscribed(account, "active", NOW - 70).await;
    }
    let unmapped = pairs(&[("unmapped_price", "price_basic"); 2]);
    assert_eq!(rig.flags("").await, unmapped);
    let body = json!({"packages": []});
    for plan in ["/plans/stripe/price_basic", "/plans/stripe/prod_basic"] {
        rig.put(plan, body.clone()).await.expect(201);
        assert_eq!(rig.flags("").await, pairs(&[]), "{plan}");
        rig.delete(plan).await.expect(204);
        assert_eq!(rig.flags("").await, unmapped, "without {plan}");
    }
    rig.put("/plans/paddle/price_basic", body).await.expect(201);
    assert_eq!(rig.flags("").await, unmapped, "a plan of another provider");
    rig.restarts_with_plan(&[]).await;
    assert_eq!(rig.flags("").await, pairs(&[]), "a plan of the settings");
}

async fn unknown_releases_are_flagged_while_they_matter(engine: Engine) {
    let rig = Rig::start(engine).await;
    let plan = json!({"packages": [{"package": "a/one"}, {"package": "a/two"}]});
    rig.put("/plans/stripe/price_basic", plan).await.expect(201);
    rig.contact("cus_1").await;
    rig.subscribed("cus_1", "active", NOW - 70).await;
    let customer = path_of(&rig.get("/customers/by-external/cus_1").await.expect(200));
    let by_hand = json!({"package": "a/three"});
    rig.post(&format!("{customer}/packages"), by_hand)
        .await
        .expect(201);
    assert_eq!(rig.flags("").await, pairs(&[]), "nobody is frozen");
    rig.subscribed("cus_1", "canceled", NOW - 60).await;
    let unknown = |packages: &[&'static str]| {
        let flags: Vec<_> = packages
            .iter()
            .map(|it| ("releases_unknown", *it))
            .collect();
        pairs(&flags)
    };
    assert_eq!(rig.flags("").await, unknown(&["a/two", "a/three", "a/one"]));
    let release = json!({"version": "1.0"});
    rig.post("/packages/a/two/releases", release)
        .await
        .expect(201);
    assert_eq!(rig.flags("").await, unknown(&["a/three", "a/one"]));
    let shown = rig.get(&customer).await.expect(200);
    assert_eq!(shown["flags"].as_array().unwrap().len(), 2);
    let flag = &rig.get("/flags?page_size=1").await.expect(200)["data"][0];
    rig.clear(flag).await;
    assert_eq!(rig.flags("").await, unknown(&["a/one"]));
    let shown = rig.get(&customer).await.expect(200);
    assert_eq!(shown["flags"].as_array().unwrap().len(), 1);
    let versions = json!({"versions": [{"package": "a/one", "version": "1.0"}]});
    rig.post(&format!("{customer}/freeze"), versions)
        .await
        .expect(200);
    assert_eq!(
        rig.flags("").await,
        unknown(&[]),
        "a list needs no releases"
    );
}

async fn flags_go_with_their_customer_and_are_of_one_app(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.contact("cus_1").await;
    rig.subscribed("cus_1", "hologram", NOW - 70).await;
    let flag = rig.only_flag("").await;
    assert_eq!(flag["kind"], "unknown_status");
    rig.post("/apps", json!({"slug": "other", "name": "Other"}))
        .await
        .expect(201);
    let other = rig.admin("admin", Some("other")).await;
    let listed = rig
        .as_admin(&other, "GET", "/flags", None)
        .await
        .expect(200);
    assert_eq!(listed["meta"]["total"], 0);
    let path = format!("/flags/{}", id_of(&flag));
    rig.as_admin(&other, "DELETE", &path, None)
        .await
        .refused(404, "flag_not_found");
    let customer = rig.get("/customers/by-external/cus_1").await.expect(200);
    rig.delete(&path_of(&customer)).await.expect(204);
    assert_eq!(rig.flags("").await, pairs(&[]));
}

async fn a_viewer_reads_flags_and_clears_none(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.disputed("evt_1", "lost", NOW - 50).await;
    let viewer = rig.admin("viewer", None).await;
    let listed = rig
        .as_admin(&viewer, "GET", "/flags", None)
        .await
        .expect(200);
    let path = format!("/flags/{}", id_of(&listed["data"][0]));
    let refused = rig.as_admin(&viewer, "DELETE", &path, None).await;
    assert_eq!(refused.status, 403);
    assert_eq!(rig.flags("").await.len(), 1);
    for id in ["dp_1", "flag_", "flag_bm90aGluZw"] {
        rig.delete(&format!("/flags/{id}"))
            .await
            .refused(404, "flag_not_found");
    }
    for query in ["kind=nothing", "customer_id=7"] {
        let refused = rig.get(&format!("/flags?{query}")).await;
        refused.refused(422, "query_invalid");
    }
}

async fn flags_are_listed_by_page_and_by_cursor(engine: Engine) {
    let rig = Rig::start(engine).await;
    for n in 0..3 {
        let account = format!("cus_{n}");
        rig.contact(&account).await;
        rig.subscribed(&account, "active", NOW - 70).await;
    }
    rig.disputed("evt_1", "lost", NOW - 50).await;
    rig.named("evt_2", "2026-01-05T11:00:00.000Z").await;
    let page = rig.get("/flags?page=2&page_size=2").await.expect(200);
    assert_eq!(
        (&page["meta"]["total"], &page["meta"]["total_pages"]),
        (&json!(5), &json!(3))
    );
    let (mut walked, mut cursor) = (Vec::new(), String::new());
    loop {
        let part = rig
            .get(&format!("/flags?page_size=2&cursor={cursor}"))
            .await;
        let part = part.expect(200);
        walked.extend(part["data"].as_array().unwrap().clone());
        match part["meta"]["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let all = rig.get("/flags").await.expect(200);
    assert_eq!(&walked, all["data"].as_array().unwrap());
    assert_eq!(walked[2..4], page["data"].as_array().unwrap()[..]);
    assert_eq!(walked[0]["kind"], "unlinked");
}

on_both_stores! {
    a_dispute_is_flagged_until_somebody_is_known_to_own_it,
    an_account_that_is_named_late_takes_its_lost_dispute,
    what_a_refund_is_about_is_the_same_whatever_came_last,
    a_cleared_flag_without_a_customer_is_raised_only_by_a_newer_event,
    a_thin_event_is_ignored_and_what_it_names_is_flagged,
    a_customers_flag_is_cleared_and_the_list_agrees_with_the_customer,
    a_plan_closes_the_flags_of_its_price_and_leaves_no_other_way,
    unknown_releases_are_flagged_while_they_matter,
    flags_go_with_their_customer_and_are_of_one_app,
    a_viewer_reads_flags_and_clears_none,
    flags_are_listed_by_page_and_by_cursor,
}
