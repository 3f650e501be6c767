//! What comes after an erasure and names no account: disputes, refunds, messages that were under
//! way. And what must not wait for somebody else's.

use serde_json::{Value, json};
use tollgate::pipeline::erasure::{BATCH, Progress, carry_on};
use tollgate::pipeline::process::note_pending;
use tollgate::pipeline::record::record;
use tollgate::store::idempotency::Attempt;

use super::erasure::{PERSON, account, events, invoice, passing, unreadable};
use super::rig::{NOW, Rig, id_of};
use crate::process::message;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

/// A dispute about a charge, with what the seller said of the payer.
fn dispute(event: &str, id: &str, charge: &str, intent: &str) -> Value {
    let evidence = json!({"customer_email_address": PERSON[0], "customer_name": PERSON[1]});
    let object = json!({
        "id": id, "object": "dispute", "charge": charge, "payment_intent": intent,
        "status": "needs_response", "amount": 900, "evidence": evidence,
    });
    stripe_event(event, "charge.dispute.created", NOW + 20, object)
}

fn refund(event: &str, id: &str, charge: &str) -> Value {
    let object = json!({
        "id": id, "object": "refund", "charge": charge, "amount": 900, "status": "succeeded",
        "metadata": {"note": PERSON[8]},
    });
    stripe_event(event, "refund.created", NOW + 20, object)
}

/// Of a type that is not read.
fn review(event: &str, charge: &str) -> Value {
    let object = json!({
        "id": "prv_1", "object": "review", "charge": charge, "billing_zip": PERSON[3],
    });
    stripe_event(event, "review.opened", NOW + 20, object)
}

/// The invoice of an API that does not name what paid it, and the event that does.
fn invoice_and_payment(tag: &str, at: i64) -> [Value; 2] {
    let mut paid = invoice(&format!("in_{tag}"), "cus_1");
    for field in ["charge", "payment_intent"] {
        paid.as_object_mut().unwrap().remove(field);
    }
    let payment = json!({
        "id": format!("inpay_{tag}"), "object": "invoice_payment",
        "invoice": format!("in_{tag}"), "status": "paid",
        "payment": {
            "type": "payment_intent", "payment_intent": format!("pi_{tag}"),
            "charge": format!("ch_{tag}"),
        },
    });
    [
        stripe_event(&format!("evt_in_{tag}"), "invoice.paid", at, paid),
        stripe_event(
            &format!("evt_inpay_{tag}"),
            "invoice_payment.paid",
            at + 1,
            payment,
        ),
    ]
}

impl Rig {
    async fn forgets(&self, id: &str) {
        self.delete(&format!("/customers/{id}")).await.expect(204);
        self.erases().await;
        self.pass(60);
    }

    async fn has_forgotten(&self, event: &str, outcome: &str) {
        let shown = self.get(&format!("/events/{event}")).await.expect(200);
        assert_eq!(shown["outcome"], outcome, "{shown}");
        assert_eq!(shown["payload"], json!(null), "{shown}");
        assert!(shown["payload_removed_at"].is_string(), "{shown}");
    }

    async fn knows_nothing(&self, of: &str) {
        assert_eq!(self.finds(&PERSON).await, Vec::<String>::new(), "{of}");
    }
}

async fn money_that_names_no_account_brings_nobody_back(engine: Engine) {
    for event in [
        events("cus_1", "later", NOW + 10).remove(5),
        dispute("evt_1", "dp_2", "ch_2", "pi_2"),
        dispute("evt_2", "dp_3", "ch_2", "pi_unknown"),
        refund("evt_3", "re_1", "ch_1"),
        refund("evt_4", "re_2", "ch_2"),
    ] {
        let rig = Rig::start(engine).await;
        let id = rig.knows_ada().await;
        rig.happen(&invoice_and_payment("2", NOW - 80)).await;
        rig.forgets(&id).await;
        rig.happens(&event).await;
        let name = event["id"].as_str().unwrap();
        rig.has_forgotten(name, "ignored").await;
        let shown = rig.get(&format!("/events/{name}")).await.expect(200);
        assert_eq!(shown["error"]["code"], "customer_deleted", "{shown}");
        rig.knows_nothing(name).await;
    }
}

async fn what_is_not_read_brings_nobody_back(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.happen(&invoice_and_payment("2", NOW - 80)).await;
    rig.forgets(&id).await;
    rig.happens(&review("evt_1", "ch_2")).await;
    rig.has_forgotten("evt_1", "ignored").await;
    rig.knows_nothing("a review").await;
}

async fn a_message_that_was_under_way_brings_nobody_back(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.happen(&invoice_and_payment("2", NOW - 80)).await;
    let pending = dispute("evt_1", "dp_2", "ch_2", "pi_2");
    let pending = message(&pending, "evt_1");
    let note = async || {
        note_pending(&rig.store, &pending, &passing(), rig.now())
            .await
            .unwrap();
    };
    note().await;
    rig.forgets(&id).await;
    rig.has_forgotten("evt_1", "pending").await;
    note().await;
    rig.has_forgotten("evt_1", "pending").await;
    rig.knows_nothing("a try that failed").await;
    record(&rig.store, &pending, rig.now()).await.unwrap();
    rig.has_forgotten("evt_1", "ignored").await;
    rig.knows_nothing("a dead letter").await;
    // Known for the first time as one that failed.
    let refund = message(&refund("evt_2", "re_2", "ch_2"), "evt_2");
    record(&rig.store, &refund, rig.now()).await.unwrap();
    rig.has_forgotten("evt_2", "ignored").await;
    rig.knows_nothing("a dead letter alone").await;
}

async fn a_dispute_before_the_payment_that_it_is_about_brings_nobody_back(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.forgets(&id).await;
    // Nothing says yet whose these are.
    rig.happens(&dispute("evt_1", "dp_3", "ch_3", "pi_3")).await;
    let refund = message(&refund("evt_2", "re_3", "ch_3"), "evt_2");
    record(&rig.store, &refund, rig.now()).await.unwrap();
    rig.happens(&dispute("evt_other", "dp_4", "ch_4", "pi_4"))
        .await;
    let [paid, payment] = invoice_and_payment("3", NOW + 10);
    rig.happens(&payment).await;
    let shown = rig.get("/events/evt_1").await.expect(200);
    assert!(shown["payload"].is_object(), "{shown}");
    rig.happens(&paid).await;
    // The other way round: what names the invoice comes last.
    let [paid, payment] = invoice_and_payment("5", NOW + 10);
    rig.happens(&dispute("evt_5", "dp_5", "ch_5", "pi_5")).await;
    rig.happens(&paid).await;
    rig.happens(&payment).await;
    assert!(rig.erases().await > 0);
    rig.pass(60);
    for event in ["evt_1", "evt_2", "evt_5"] {
        let shown = rig.get(&format!("/events/{event}")).await.expect(200);
        assert_eq!(shown["payload"], json!(null), "{shown}");
    }
    let shown = rig.get("/events/evt_2").await.expect(200);
    assert_eq!(shown["outcome"], "ignored", "{shown}");
    // Nobody's.
    let shown = rig.get("/events/evt_other").await.expect(200);
    assert!(shown["payload"].is_object(), "{shown}");
    // What comes from then on is known to be hers.
    rig.happens(&dispute("evt_6", "dp_6", "ch_3", "pi_3")).await;
    rig.has_forgotten("evt_6", "ignored").await;
    assert_eq!(rig.erases().await, 0, "nothing more to erase");
}

async fn what_also_names_somebody_else_says_nothing_of_whose_the_rest_is(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    let bob = stripe_customer("cus_9", "bob.erasewell@example.com");
    rig.happens(&stripe_event("evt_bob", "customer.created", NOW, bob))
        .await;
    let both = |event: &str, charge: &str| {
        let mut both = review(event, charge);
        both["data"]["object"]["id"] = json!(format!("prv_{charge}"));
        both["data"]["object"]["customer"] = json!("cus_1");
        both["data"]["object"]["subscription"] =
            json!({"id": "sub_9", "object": "subscription", "customer": "cus_9"});
        both
    };
    // Before the erasure and after it.
    rig.happens(&both("evt_1", "ch_8")).await;
    rig.forgets(&id).await;
    rig.happens(&both("evt_2", "ch_9")).await;
    rig.has_forgotten("evt_1", "ignored").await;
    rig.has_forgotten("evt_2", "ignored").await;
    for (event, charge) in [("evt_3", "ch_8"), ("evt_4", "ch_9")] {
        let mut of_bob = dispute(event, &format!("dp_{charge}"), charge, "pi_9");
        of_bob["data"]["object"]["evidence"] = json!({"customer_name": "Bob"});
        rig.happens(&of_bob).await;
        let shown = rig.get(&format!("/events/{event}")).await.expect(200);
        assert!(shown["payload"].is_object(), "{shown}");
    }
    assert_eq!(rig.erases().await, 0, "nothing more to erase");
    rig.knows_nothing("what names both").await;
}

async fn an_earlier_event_behind_many_of_others_is_found(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.forgets(&id).await;
    // More than a step looks at. Nothing but its account says whose one is.
    let mut others = Vec::new();
    for n in 0..=BATCH {
        let mut other = review(&format!("evt_other_{n}"), "ch_3");
        other["data"]["object"]["customer"] = json!("cus_8");
        other["data"]["object"]["billing_zip"] = json!("CB7");
        others.push(other);
    }
    rig.happen(&others).await;
    rig.happens(&dispute("evt_1", "dp_3", "ch_3", "pi_3")).await;
    let [paid, payment] = invoice_and_payment("3", NOW + 10);
    rig.happens(&paid).await;
    rig.happens(&payment).await;
    rig.erases().await;
    let shown = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(shown["payload"], json!(null), "{shown}");
    let shown = rig.get("/events/evt_other_0").await.expect(200);
    assert!(shown["payload"].is_object(), "{shown}");
    rig.knows_nothing("the dispute behind many reviews").await;
}

async fn an_erasure_that_waits_keeps_no_other_waiting(engine: Engine) {
    let rig = Rig::start(engine).await;
    let ada = rig.knows_ada().await;
    let bob = stripe_customer("cus_9", "bob.erasewell@example.com");
    rig.happens(&stripe_event("evt_bob", "customer.created", NOW, bob))
        .await;
    let bob = rig.get("/customers/by-external/cus_9").await.expect(200);
    let event = stripe_event("evt_rests", "customer.updated", NOW, account("cus_1"));
    rig.has_at_rest(&message(&event, "rests")).await;
    rig.delete(&format!("/customers/{ada}")).await.expect(204);
    rig.pass(1);
    rig.delete(&format!("/customers/{}", id_of(&bob)))
        .await
        .expect(204);
    rig.erases().await;
    assert_eq!(
        carry_on(&rig.store, rig.now()).await.unwrap(),
        Progress::Wait
    );
    let open = rig
        .place
        .texts("SELECT customer_id FROM erasures WHERE finished_at IS NULL")
        .await;
    assert_eq!(open, [ada], "the other is done");
    assert_eq!(
        rig.finds(&["bob.erasewell@example.com"]).await,
        Vec::<String>::new()
    );
}

async fn an_answer_that_is_kept_late_tells_of_nobody_who_is_erased(engine: Engine) {
    let rig = Rig::start(engine).await;
    let erased = rig.customer(json!({"name": "Ada"})).await;
    let other = rig.customer(json!({"name": "Bob"})).await;
    let (erased, other) = (id_of(&erased), id_of(&other));
    let mut reserved = Vec::new();
    for id in ["a", "b", "c"] {
        let mut tx = rig.store.begin().await.unwrap();
        let attempt = tx
            .idempotency_reserve(id.to_owned(), "f", "h".to_owned(), rig.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let Attempt::Reserved(reservation) = attempt else {
            panic!("{attempt:?}");
        };
        reserved.push(reservation);
    }
    rig.delete(&format!("/customers/{erased}"))
        .await
        .expect(204);
    rig.erases().await;
    let abouts = [erased.clone(), other.clone(), format!("{other} {erased}")];
    for (reservation, about) in reserved.iter().zip(abouts) {
        let mut tx = rig.store.begin().await.unwrap();
        tx.idempotency_answer(reservation, vec![1], &about)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let kept = "SELECT id FROM idempotency_keys WHERE answer IS NOT NULL";
    assert_eq!(rig.place.texts(kept).await, ["b"]);
}

async fn messages_are_looked_at_by_their_bytes_too(engine: Engine) {
    let rig = Rig::start(engine).await;
    let ada = rig.knows_ada().await;
    let insert = |body: &str| {
        format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) \
             INSERT INTO messages (lane, due_at, headers, body) \
             SELECT 'work', {at}, '{{\"app\": \"default\"}}', {body} FROM n",
            at = match engine {
                Engine::Sqlite => "0",
                Engine::Postgres => "to_timestamp(0)",
            }
        )
    };
    let sqlite = insert("hex(zeroblob(524288))");
    let postgres = insert("repeat('0', 1048576)");
    rig.place.run(&sqlite, &postgres).await;
    rig.delete(&format!("/customers/{ada}")).await.expect(204);
    let stage = "SELECT stage FROM erasures";
    let mut steps = 0;
    while rig.place.texts(stage).await != ["traces"] {
        steps += u32::from(rig.place.texts(stage).await == ["messages"]);
        assert_eq!(
            carry_on(&rig.store, rig.now()).await.unwrap(),
            Progress::More
        );
    }
    // 40 MiB, and the look that finds no more.
    assert!((3..=12).contains(&steps), "{steps}");
}

async fn unreadable_messages_of_others_are_kept(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.forgets(&id).await;
    record(&rig.store, &unreadable("evt_1", "cus_8"), rig.now())
        .await
        .unwrap();
    let refund = message(&refund("evt_2", "re_8", "ch_8"), "evt_2");
    record(&rig.store, &refund, rig.now()).await.unwrap();
    for event in ["evt_1", "evt_2"] {
        let shown = rig.get(&format!("/events/{event}")).await.expect(200);
        assert_eq!(shown["outcome"], "failed", "{shown}");
        assert!(shown["payload"].is_object(), "{shown}");
    }
}

on_both_stores!(
    a_dispute_before_the_payment_that_it_is_about_brings_nobody_back,
    a_message_that_was_under_way_brings_nobody_back,
    an_answer_that_is_kept_late_tells_of_nobody_who_is_erased,
    an_earlier_event_behind_many_of_others_is_found,
    an_erasure_that_waits_keeps_no_other_waiting,
    messages_are_looked_at_by_their_bytes_too,
    money_that_names_no_account_brings_nobody_back,
    unreadable_messages_of_others_are_kept,
    what_also_names_somebody_else_says_nothing_of_whose_the_rest_is,
    what_is_not_read_brings_nobody_back,
);
