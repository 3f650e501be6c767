//! A customer who is deleted for good is nowhere any more: not in any column of any table, nor in
//! the bytes of the embedded store's files.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate::domain::event::EventError;
use tollgate::pipeline::erasure::{BATCH, Progress, carry_on};
use tollgate::pipeline::process::{note_pending, process};
use tollgate::pipeline::record::record;
use tollgate::queue::Message;
use tollgate::queue::message::Replay;

use super::rig::{NOW, ROOT, Rig, id_of};
use crate::process::message;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

/// What is known of the person: each word stands in the store before and nowhere after.
pub(super) const PERSON: [&str; 10] = [
    "ada.erasewell@example.com",
    "Ada Erasewell",
    "+441632960123",
    "12 Forgotten Lane",
    "GB987654321",
    "asked by Ada",
    "the laptop of Ada",
    "erp-of-ada",
    "whatever Ada likes",
    "machine-of-ada-1f3a",
];

fn address() -> Value {
    json!({
        "line1": PERSON[3], "line2": null, "city": "Ely", "state": null, "postal_code": "CB7",
        "country": "GB",
    })
}

/// The account as the provider shows it.
pub(super) fn account(id: &str) -> Value {
    json!({
        "id": id, "object": "customer", "email": PERSON[0], "name": PERSON[1], "phone": PERSON[2],
        "address": address(), "tax_ids": {"data": [{"value": PERSON[4]}]},
        "metadata": {"note": PERSON[8]},
    })
}

pub(super) fn invoice(id: &str, account: &str) -> Value {
    json!({
        "id": id, "object": "invoice", "customer": account, "subscription": "sub_1",
        "charge": "ch_1", "payment_intent": "pi_1", "billing_reason": "subscription_create",
        "customer_email": PERSON[0], "customer_name": PERSON[1], "customer_phone": PERSON[2],
        "customer_address": address(), "customer_tax_ids": [{"value": PERSON[4]}],
        "amount_paid": 900, "total": 900, "status": "paid", "paid": true,
        "lines": {"data": [{"id": "il_1", "price": {"id": "price_basic"}, "amount": 900,
            "period": {"start": NOW - 50, "end": NOW + 2_000_000}, "quantity": 1}]},
    })
}

/// What the provider says with the person's contact in it, whatever it is about.
pub(super) fn events(account_id: &str, tag: &str, at: i64) -> Vec<Value> {
    let billing = json!({"email": PERSON[0], "name": PERSON[1], "address": address()});
    let id = |n: usize| format!("evt_{tag}_{n}");
    let mut subscription = stripe_subscription("sub_1", account_id, "active");
    subscription["metadata"] = json!({"note": PERSON[8]});
    vec![
        stripe_event(&id(1), "customer.created", at, account(account_id)),
        stripe_event(
            &id(2),
            "customer.subscription.created",
            at + 1,
            subscription,
        ),
        stripe_event(&id(3), "invoice.paid", at + 2, invoice("in_1", account_id)),
        // Nothing is read of these but ids, or nothing at all.
        stripe_event(
            &id(4),
            "charge.succeeded",
            at + 3,
            json!({"id": "ch_1", "object": "charge", "customer": account_id,
                "payment_intent": "pi_1", "invoice": "in_1", "billing_details": billing}),
        ),
        stripe_event(
            &id(5),
            "payment_method.attached",
            at + 4,
            json!({"id": "pm_1", "object": "payment_method", "customer": account_id,
                "billing_details": billing}),
        ),
        // Names no account.
        stripe_event(
            &id(6),
            "charge.dispute.created",
            at + 5,
            json!({"id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1",
                "status": "needs_response", "amount": 900,
                "evidence": {"customer_email_address": PERSON[0], "customer_name": PERSON[1]}}),
        ),
    ]
}

/// An event that cannot be read, though it names the account.
pub(super) fn unreadable(id: &str, account_id: &str) -> Message {
    let mut broken = account(account_id);
    broken["object"] = json!("subscription");
    broken["id"] = json!("sub_9");
    broken["customer"] = json!(account_id);
    message(
        &stripe_event(id, "customer.subscription.updated", NOW, broken),
        id,
    )
}

pub(super) fn passing() -> EventError {
    EventError {
        code: "away".to_owned(),
        detail: "away".to_owned(),
    }
}

impl Rig {
    pub(super) async fn erases(&self) -> usize {
        let mut steps = 0;
        while carry_on(&self.store, self.now()).await.unwrap() == Progress::More {
            steps += 1;
        }
        steps
    }

    /// Which of these words are anywhere in the store, and where.
    pub(super) async fn finds(&self, words: &[&str]) -> Vec<String> {
        let contents = self.place.contents().await;
        let has = |bytes: &[u8], word: &str| {
            let word = word.as_bytes();
            bytes.windows(word.len()).any(|it| it == word)
        };
        let mut found = Vec::new();
        for word in words {
            for (place, bytes) in &contents {
                if has(bytes, word) {
                    found.push(format!("{word} in {place}"));
                }
            }
        }
        found
    }

    /// Has a retry of the account rest for an hour.
    pub(super) async fn rests(&self, id: &str) -> Message {
        let event = stripe_event(id, "customer.updated", NOW, account("cus_1"));
        let resting = message(&event, "rests");
        self.has_at_rest(&resting).await;
        resting
    }

    /// A message that rests for an hour.
    pub(super) async fn has_at_rest(&self, resting: &Message) {
        let headers = serde_json::to_string(&resting.headers).unwrap();
        let body = resting.body.replace('\'', "''");
        let insert = |at: &str| {
            format!(
                "INSERT INTO messages (lane, due_at, headers, body) \
                 VALUES ('work', {at}, '{headers}', '{body}')"
            )
        };
        let hour = self.now().plus(Duration::from_hours(1));
        let (number, instant) = (hour.nanos().to_string(), format!("'{hour}'"));
        self.place.run(&insert(&number), &insert(&instant)).await;
    }

    /// A replay of everything of an external id, of which nothing is processed.
    async fn replays_all_of(&self, external_id: &str) {
        let body = json!({"filter": {"external_id": external_id}});
        self.post("/events/replay", body).await.expect(202);
        while self.carry_on_replays().await.unwrap() {}
        self.published();
    }

    /// A customer of webhooks and of an admin's, with everything that can be known of one.
    pub(super) async fn knows_ada(&self) -> String {
        let plan = json!({"packages": [{"package": "acme/tool"}]});
        self.put("/plans/stripe/price_basic", plan)
            .await
            .expect(201);
        self.happen(&events("cus_1", "first", NOW - 100)).await;
        let mut other = events("cus_1", "first", NOW - 100).remove(0);
        other["data"]["object"]["balance"] = json!(7);
        self.happens(&other).await;
        record(&self.store, &unreadable("evt_failed", "cus_1"), self.now())
            .await
            .unwrap();
        let mut pending = account("cus_1");
        pending["balance"] = json!(1);
        let pending = stripe_event("evt_pending", "customer.updated", NOW, pending);
        note_pending(
            &self.store,
            &message(&pending, "pending"),
            &passing(),
            self.now(),
        )
        .await
        .unwrap();

        let customer = self.get("/customers/by-external/cus_1").await.expect(200);
        let id = id_of(&customer);
        let path = format!("/customers/{id}");
        // Before anybody is known by this id.
        self.replays_all_of(PERSON[7]).await;
        let profile = json!({
            "email": PERSON[0], "name": PERSON[1], "phone": PERSON[2], "tax_id": PERSON[4],
            "external_id": PERSON[7], "billing_address_line1": PERSON[3],
            "metadata": {"note": PERSON[8]},
        });
        self.put(&path, profile).await.expect(200);
        let bearer = format!("Bearer {ROOT}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
        let suspend = format!("/api/v1{path}/suspend");
        let body = Some(json!({"reason": PERSON[5]}));
        self.send("POST", &suspend, &headers, body)
            .await
            .expect(200);
        let because = json!({"reason": PERSON[5]});
        self.post(&format!("{path}/reactivate"), because)
            .await
            .expect(200);
        let token = json!({"name": PERSON[6]});
        self.post(&format!("{path}/tokens"), token)
            .await
            .expect(201);
        let license = json!({
            "customer_id": id, "product": "tool", "metadata": {"note": PERSON[8]},
            "reason": PERSON[5],
        });
        let license = self.post("/licenses", license).await.expect(201);
        let place = json!({
            "key": license["key"], "fingerprint": PERSON[9], "name": PERSON[6],
        });
        self.post("/licenses/activate", place).await.expect(201);
        let grant = json!({
            "package": "acme/extra", "constraint": "*", "reason": PERSON[5],
        });
        self.post(&format!("{path}/packages"), grant)
            .await
            .expect(201);
        // One that ends, and one that stays open.
        self.replays_all_of(PERSON[7]).await;
        let body = json!({"filter": {"external_id": PERSON[7]}, "reason": PERSON[5]});
        self.post("/events/replay", body).await.expect(202);
        let body = json!({"force": true, "reason": PERSON[5]});
        let replay = self.post("/events/evt_first_1/replay", body).await;
        replay.expect(202);
        id
    }
}

async fn an_erased_person_is_nowhere(engine: Engine) {
    let rig = Rig::start(engine).await;
    let bob = rig
        .customer(json!({"name": "Bob Staying", "email": "bob@example.com"}))
        .await;
    let id = rig.knows_ada().await;
    for word in PERSON {
        assert!(
            !rig.finds(&[word]).await.is_empty(),
            "{word} is looked for in vain"
        );
    }
    let entries = rig
        .get(&format!("/audit?customer_id={id}&page_size=100"))
        .await
        .expect(200);

    let because = format!("/customers/{id}?reason={}", PERSON[5].replace(' ', "+"));
    rig.delete(&because).await.expect(204);
    assert!(rig.erases().await > 0);
    assert_eq!(rig.finds(&PERSON).await, Vec::<String>::new());
    let file = rig.place.file_bytes();
    for word in PERSON {
        let word = word.as_bytes();
        let found = file.windows(word.len()).any(|it| it == word);
        assert!(!found, "{} in the file", String::from_utf8_lossy(word));
    }

    // What happened stays, with ids alone.
    for n in 1..=6 {
        let event = rig.get(&format!("/events/evt_first_{n}")).await.expect(200);
        assert_eq!(event["payload"], json!(null), "{event}");
        assert_eq!(event["payload_removed_at"], rig.now().to_string());
    }
    let event = rig.get("/events/evt_first_1").await.expect(200);
    assert_eq!(event["outcome"], "applied");
    assert_eq!(event["duplicates"], 1);
    assert_eq!(event["changes"][0]["operation"], "create");
    assert_eq!(event["changes"][0]["erased"], true);
    let failed = rig.get("/events/evt_failed").await.expect(200);
    assert_eq!(failed["outcome"], "ignored");
    assert_eq!(failed["error"]["code"], "customer_deleted");
    let after = rig
        .get(&format!("/audit?customer_id={id}&page_size=100"))
        .await
        .expect(200);
    let operations = |list: &Value| -> Vec<Value> {
        let entries = list["data"].as_array().unwrap().iter();
        entries.map(|it| it["operation"].clone()).collect()
    };
    // The deletion itself came on top.
    let (before, after) = (operations(&entries), operations(&after));
    assert!(after.len() > before.len(), "{after:?}");
    assert!(after.ends_with(&before), "{after:?} {before:?}");
    for id in ["evt_first_1", "evt_failed", "evt_pending"] {
        let path = format!("/events/{id}/replay");
        rig.post(&path, json!({"force": true}))
            .await
            .refused(409, "payload_removed");
    }

    // Replays of the person's events say by whose id they were, and end.
    let replays = rig.get("/replays").await.expect(200);
    let replays = replays["data"].as_array().unwrap().iter();
    let replays: Vec<_> = replays
        .map(|it| (it["status"].clone(), it["filter"].clone()))
        .collect();
    let of = json!({"customer_id": id});
    let expected = ["canceled", "finished", "finished"].map(|it| (json!(it), of.clone()));
    assert_eq!(replays, expected);

    // The answer that showed the person is gone, and its request is not done a second time.
    let bearer = format!("Bearer {ROOT}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
    let suspend = format!("/api/v1/customers/{id}/suspend");
    let body = Some(json!({"reason": PERSON[5]}));
    let again = rig.send("POST", &suspend, &headers, body).await;
    again.refused(409, "idempotency_answer_lost");

    // Others are as they were.
    let path = format!("/customers/{}", id_of(&bob));
    assert_eq!(rig.get(&path).await.expect(200)["name"], "Bob Staying");
    assert!(!rig.finds(&["Bob Staying"]).await.is_empty());
}

async fn later_webhooks_bring_nobody_back(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.delete(&format!("/customers/{id}")).await.expect(204);
    rig.erases().await;
    rig.pass(60);

    rig.happen(&events("cus_1", "later", NOW + 10)).await;
    record(
        &rig.store,
        &unreadable("evt_later_failed", "cus_1"),
        rig.now(),
    )
    .await
    .unwrap();
    // A retry that was under way, and a first try that fails in a way that may pass.
    let mut old = account("cus_1");
    old["balance"] = json!(1);
    let old = stripe_event("evt_pending", "customer.updated", NOW, old);
    process(&rig.store, &[&message(&old, "pending")], rig.now())
        .await
        .unwrap();
    let other = stripe_event(
        "evt_later_pending",
        "customer.updated",
        NOW,
        account("cus_1"),
    );
    note_pending(&rig.store, &message(&other, "p"), &passing(), rig.now())
        .await
        .unwrap();
    // A replay that was ordered before.
    let mut forced = message(&events("cus_1", "first", NOW - 100)[0], "forced");
    forced.headers_mut().replay = Some(Replay {
        force: true,
        tries_before: 0,
    });
    process(&rig.store, &[&forced], rig.now()).await.unwrap();

    assert_eq!(rig.finds(&PERSON).await, Vec::<String>::new());
    for n in 1..=6 {
        let event = rig.get(&format!("/events/evt_later_{n}")).await.expect(200);
        assert_eq!(event["outcome"], "ignored", "{event}");
        assert_eq!(event["payload"], json!(null), "{event}");
        assert!(event["payload_removed_at"].is_string(), "{event}");
    }
    let event = rig.get("/events/evt_later_1").await.expect(200);
    assert_eq!(event["error"]["code"], "customer_deleted");
    let event = rig.get("/events/evt_later_failed").await.expect(200);
    assert_eq!(event["outcome"], "ignored");
    assert_eq!(event["error"]["code"], "customer_deleted");
    let flags = rig.get("/flags?kind=account_deleted").await.expect(200);
    assert_eq!(flags["meta"]["total"], 1, "{flags}");
    let listed = rig.get("/customers?include_deleted=true").await.expect(200);
    assert_eq!(listed["meta"]["total"], 0);
}

async fn a_claim_after_an_erasure_begins_anew(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.delete(&format!("/customers/{id}")).await.expect(204);
    rig.erases().await;
    let meanwhile = stripe_subscription("sub_2", "cus_1", "active");
    let meanwhile = stripe_event(
        "evt_m",
        "customer.subscription.created",
        NOW + 10,
        meanwhile,
    );
    rig.happens(&meanwhile).await;
    let claimed = rig
        .customer(json!({"name": "The Firm", "external_id": "cus_1"}))
        .await;
    let path = format!("/customers/{}", id_of(&claimed));
    // What was bought counts, and who the buyer was is not known again by that.
    let shown = rig.get(&format!("{path}/subscriptions")).await.expect(200);
    assert_eq!(shown["data"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(rig.get(&path).await.expect(200)["email"], json!(null));
    assert_eq!(rig.finds(&PERSON).await, Vec::<String>::new());

    // From then on webhooks say who it is.
    let event = stripe_event("evt_c", "customer.updated", NOW + 20, account("cus_1"));
    rig.happens(&event).await;
    assert_eq!(rig.get(&path).await.expect(200)["email"], PERSON[0]);
    let event = rig.get("/events/evt_c").await.expect(200);
    assert_eq!(event["payload"]["data"]["object"]["email"], PERSON[0]);
    assert_eq!(rig.erases().await, 0, "nothing more to erase");
    let gone = rig.get("/events/evt_first_1").await.expect(200);
    assert_eq!(gone["payload"], json!(null));
}

async fn an_erasure_is_done_in_steps_and_goes_on_after_a_crash(engine: Engine) {
    let rig = Rig::start(engine).await;
    let batch = usize::try_from(BATCH).unwrap();
    let all = 3 * batch + 50;
    let updates: Vec<Value> = (0..all)
        .map(|n| {
            let mut account = account("cus_1");
            account["name"] = json!(format!("{} {n}", PERSON[1]));
            let at = NOW - 10_000 + i64::try_from(n).unwrap();
            stripe_event(&format!("evt_{n}"), "customer.updated", at, account)
        })
        .collect();
    rig.happen(&updates).await;
    let customer = rig.get("/customers/by-external/cus_1").await.expect(200);
    rig.delete(&format!("/customers/{}", id_of(&customer)))
        .await
        .expect(204);
    let left = "SELECT COUNT(*) FROM payloads";
    let mut before = rig.place.count(left, left).await;
    assert_eq!(
        before,
        i64::try_from(all).unwrap(),
        "the answer waits for none of it"
    );
    let mut steps = 0;
    while before > 0 {
        // Each step by another worker, as if each had died after its one.
        let store = rig.place.of_another_worker(&rig.store).await;
        assert_eq!(carry_on(&store, rig.now()).await.unwrap(), Progress::More);
        let after = rig.place.count(left, left).await;
        assert!(before - after <= i64::from(BATCH), "{before} to {after}");
        before = after;
        steps += 1;
    }
    assert_eq!(steps, 4);
    // Several at once do no harm.
    let workers = (0..4).map(|_| async {
        let store = rig.place.of_another_worker(&rig.store).await;
        for _ in 0..20 {
            carry_on(&store, rig.now()).await.unwrap();
        }
    });
    futures::future::join_all(workers).await;
    // Those who met another at work did nothing, so steps may be left.
    rig.erases().await;
    assert_eq!(rig.finds(&PERSON).await, Vec::<String>::new());
}

async fn an_erasure_waits_for_the_messages_that_name_its_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    let resting = rig.rests("evt_rests").await;

    rig.delete(&format!("/customers/{id}")).await.expect(204);
    rig.erases().await;
    assert_eq!(
        carry_on(&rig.store, rig.now()).await.unwrap(),
        Progress::Wait
    );
    let due = rig.place.count(
        "SELECT COUNT(*) FROM messages WHERE due_at = 0",
        "SELECT COUNT(*) FROM messages WHERE due_at = to_timestamp(0)",
    );
    assert_eq!(due.await, 1, "it rests no more");
    process(&rig.store, &[&resting], rig.now()).await.unwrap();
    rig.place.try_run("DELETE FROM messages").await.unwrap();
    rig.erases().await;
    assert_eq!(rig.finds(&PERSON).await, Vec::<String>::new());
    let open = "SELECT COUNT(*) FROM erasures WHERE finished_at IS NULL";
    assert_eq!(rig.place.count(open, open).await, 0);
    let event = rig.get("/events/evt_rests").await.expect(200);
    assert_eq!(
        (&event["outcome"], &event["payload"]),
        (&json!("ignored"), &json!(null))
    );
}

async fn only_an_erasure_may_change_the_audit(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.customer(json!({"name": "Bob Staying"})).await;
    let id = rig.knows_ada().await;
    let of = |what: &str, whose: &str| {
        format!("UPDATE audit SET {what} WHERE customer_id {whose} '{id}'")
    };
    let details = "details = '{}'";
    let refused = async |sql: &str| {
        let refusal = rig.place.try_run(sql).await.expect_err(sql);
        assert!(refusal.contains("append-only"), "{sql}: {refusal}");
    };
    refused(&of(details, "=")).await;
    rig.delete(&format!("/customers/{id}")).await.expect(204);
    // Under way: that details give way, and nothing else.
    refused(&of(details, "<>")).await;
    refused(&of("operation = 'x'", "=")).await;
    let gone = r#"details = '{"erased": true}'"#;
    refused(&of(&format!("{gone}, actor = 'x'"), "=")).await;
    refused(&of(&format!("{gone}, operation = 'x'"), "<>")).await;
    refused("UPDATE audit SET details = '{}'").await;
    // Not with anything that was not there, be it whose it may.
    for whose in ["=", "<>"] {
        for new in [
            r#"{"erased": true, "note": "x"}"#,
            r#"{"erased": false}"#,
            r#"{"erased": "true"}"#,
            "[]",
        ] {
            refused(&of(&format!("details = '{new}'"), whose)).await;
        }
    }
    refused(r#"UPDATE audit SET details = '{"erased": true}' WHERE customer_id IS NULL"#).await;
    refused("DELETE FROM audit").await;
    rig.place.try_run(&of(gone, "<>")).await.unwrap();
    rig.erases().await;
    refused(&of(gone, "=")).await;
    refused(&of(gone, "<>")).await;
    rig.get("/audit").await.expect(200);
}

async fn a_soft_deletion_erases_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.delete(&format!("/customers/{id}?soft=true"))
        .await
        .expect(204);
    assert_eq!(rig.erases().await, 0);
    let event = rig.get("/events/evt_first_1").await.expect(200);
    assert_eq!(event["payload"]["data"]["object"]["email"], PERSON[0]);
    // The same customer can be deleted for good later.
    rig.delete(&format!("/customers/{id}")).await.expect(204);
    assert!(rig.erases().await > 0);
    assert_eq!(rig.finds(&PERSON).await, Vec::<String>::new());
}

async fn merged_customers_are_erased_together(engine: Engine) {
    let rig = Rig::start(engine).await.joins().await;
    rig.happen(&events("cus_1", "first", NOW - 100)).await;
    // Named before its address is known, and so with a row of its own at first.
    let named = stripe_subscription("sub_2", "cus_2", "active");
    let named = stripe_event(
        "evt_named",
        "customer.subscription.created",
        NOW - 60,
        named,
    );
    rig.happens(&named).await;
    let event = stripe_event("evt_second", "customer.updated", NOW - 50, account("cus_2"));
    rig.happens(&event).await;
    let shown = rig.get("/customers/by-external/cus_2").await.expect(200);
    rig.delete(&format!("/customers/{}", id_of(&shown)))
        .await
        .expect(204);
    rig.erases().await;
    assert_eq!(rig.finds(&PERSON).await, Vec::<String>::new());
}

on_both_stores!(
    a_claim_after_an_erasure_begins_anew,
    a_soft_deletion_erases_nothing,
    an_erased_person_is_nowhere,
    an_erasure_is_done_in_steps_and_goes_on_after_a_crash,
    an_erasure_waits_for_the_messages_that_name_its_customer,
    later_webhooks_bring_nobody_back,
    merged_customers_are_erased_together,
    only_an_erasure_may_change_the_audit,
);
