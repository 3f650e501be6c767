//! Batches of messages against a real store, without a server around them.

use serde_json::{Value, json};
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::event::EventOutcome;
use tollgate::domain::id::AppSlug;
use tollgate::domain::mode::Mode;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::pipeline::record::record;
use tollgate::provider::STRIPE;
use tollgate::queue::Message;
use tollgate::queue::message::{Headers, HeadersV1, Replay};
use tollgate::store::{EventRecord, Store};

use crate::support::stores::{Engine, Place, TestStore, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

const NOW: i64 = 1_790_000_000;

struct Bench {
    store: Store,
    now: Timestamp,
    _place: Place,
}

impl Bench {
    async fn new(engine: Engine) -> Self {
        let now = Timestamp::from_seconds(NOW).unwrap();
        let TestStore { store, place } = TestStore::new(engine, now).await;
        Self {
            store,
            now,
            _place: place,
        }
    }

    async fn process(&self, messages: &[Message]) -> Vec<Disposition> {
        let messages: Vec<&Message> = messages.iter().collect();
        process(&self.store, &messages, self.now).await.unwrap()
    }

    async fn event(&self, id: &str) -> EventRecord {
        let mut tx = self.store.read().await.unwrap();
        tx.event_find(&AppSlug::default_app(), id)
            .await
            .unwrap()
            .expect("the ledger has it")
    }
}

/// A message as the receiver makes it, with a receipt of its own.
pub(crate) fn message(payload: &Value, receipt: &str) -> Message {
    let headers = HeadersV1 {
        app: AppSlug::default_app(),
        provider: STRIPE.name,
        event_id: payload["id"].as_str().unwrap().to_owned(),
        event_type: payload["type"].as_str().unwrap().to_owned(),
        received_at: SystemClock.now(),
        mode: Mode::Any,
        receipt: receipt.to_owned(),
        attempt: 0,
        origin: tollgate::queue::Origin::default(),
        replay: None,
        error: None,
    };
    Message {
        headers: Headers::V1(headers),
        body: payload.to_string().into(),
    }
}

fn replayed(payload: &Value, receipt: &str, force: bool) -> Message {
    let mut message = message(payload, receipt);
    message.headers_mut().replay = Some(Replay {
        force,
        tries_before: 0,
    });
    message
}

fn sign_up(n: usize) -> Value {
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    stripe_event(
        &format!("evt_c{n}"),
        "customer.created",
        NOW - 100,
        customer,
    )
}

fn subscribed(n: usize) -> Value {
    let subscription = stripe_subscription(&format!("sub_{n}"), &format!("cus_{n}"), "active");
    stripe_event(
        &format!("evt_s{n}"),
        "customer.subscription.created",
        NOW - 90,
        subscription,
    )
}

/// A subscription event without what it cannot do without.
fn broken() -> Value {
    stripe_event(
        "evt_broken",
        "customer.subscription.updated",
        NOW - 80,
        json!({ "id": "sub_1" }),
    )
}

const DONE: Disposition = Disposition::Done(EventOutcome::Applied);

async fn one_event_five_times_in_one_batch_has_one_effect(engine: Engine) {
    let bench = Bench::new(engine).await;
    let batch: Vec<Message> = (0..5)
        .map(|n| message(&sign_up(1), &format!("receipt {n}")))
        .collect();
    let mut expected = vec![Disposition::Duplicate; 5];
    expected[0] = DONE;
    assert_eq!(bench.process(&batch).await, expected);
    let event = bench.event("evt_c1").await;
    assert_eq!(
        (event.outcome, event.duplicates),
        (EventOutcome::Applied, 4)
    );
}

async fn one_event_in_five_batches_has_one_effect_and_four_duplicates(engine: Engine) {
    let bench = Bench::new(engine).await;
    for n in 0..5 {
        bench
            .process(&[message(&sign_up(1), &format!("receipt {n}"))])
            .await;
    }
    let event = bench.event("evt_c1").await;
    assert_eq!(
        (event.outcome, event.duplicates),
        (EventOutcome::Applied, 4)
    );
}

async fn a_message_whose_settlement_was_lost_is_no_duplicate(engine: Engine) {
    let bench = Bench::new(engine).await;
    let message = message(&sign_up(1), "receipt");
    bench.process(std::slice::from_ref(&message)).await;
    assert_eq!(bench.process(&[message]).await, [Disposition::Redelivered]);
    assert_eq!(bench.event("evt_c1").await.duplicates, 0);
}

async fn a_message_that_cannot_be_understood_harms_none_beside_it(engine: Engine) {
    let bench = Bench::new(engine).await;
    let batch = [
        message(&sign_up(1), "1"),
        message(&broken(), "2"),
        message(&subscribed(1), "3"),
    ];
    let dispositions = bench.process(&batch).await;
    assert_eq!((&dispositions[0], &dispositions[2]), (&DONE, &DONE));
    let Disposition::Final(error) = &dispositions[1] else {
        panic!("{:?}", dispositions[1])
    };
    assert_eq!(error.code, "payload_field_missing");
    assert!(
        error.detail.contains("data.object."),
        "the path is named: {}",
        error.detail
    );
}

async fn a_failed_event_is_recorded_and_tried_again_when_it_comes_again(engine: Engine) {
    let bench = Bench::new(engine).await;
    let mut dead = message(&broken(), "1");
    let dispositions = bench.process(std::slice::from_ref(&dead)).await;
    let Disposition::Final(error) = dispositions[0].clone() else {
        panic!("{dispositions:?}")
    };
    dead.headers_mut().attempt = 1;
    dead.headers_mut().error = Some(error.clone());
    record(&bench.store, &dead, bench.now).await.unwrap();
    record(&bench.store, &dead, bench.now).await.unwrap();
    let event = bench.event("evt_broken").await;
    assert_eq!((event.outcome, event.attempts), (EventOutcome::Failed, 1));
    assert_eq!(event.error, Some(error));
    assert_eq!(event.payload.unwrap(), broken().to_string());
    assert_eq!(event.duplicates, 0);

    // The provider sends it again, and it fails again.
    let mut again = message(&broken(), "again");
    let dispositions = bench.process(std::slice::from_ref(&again)).await;
    assert!(matches!(&dispositions[..], [Disposition::Final(_)]));
    again.headers_mut().error.clone_from(&dead.headers().error);
    record(&bench.store, &again, bench.now).await.unwrap();
    record(&bench.store, &again, bench.now).await.unwrap();
    let event = bench.event("evt_broken").await;
    assert_eq!((event.outcome, event.duplicates), (EventOutcome::Failed, 1));

    let mended = stripe_event(
        "evt_broken",
        "customer.subscription.updated",
        NOW - 80,
        stripe_subscription("sub_1", "cus_1", "active"),
    );
    assert_eq!(bench.process(&[message(&mended, "2")]).await, [DONE]);
    let event = bench.event("evt_broken").await;
    assert_eq!(
        (event.outcome, event.duplicates),
        (EventOutcome::Applied, 2)
    );
}

async fn a_dead_letter_does_not_overwrite_an_outcome(engine: Engine) {
    let bench = Bench::new(engine).await;
    let message = message(&sign_up(1), "1");
    bench.process(std::slice::from_ref(&message)).await;
    record(&bench.store, &message, bench.now).await.unwrap();
    assert_eq!(bench.event("evt_c1").await.outcome, EventOutcome::Applied);
}

pub(crate) async fn a_replay_of_an_applied_event_needs_force_and_keeps_what_was_changed(
    engine: Engine,
) {
    let bench = Bench::new(engine).await;
    bench.process(&[message(&sign_up(1), "1")]).await;
    let before = bench.event("evt_c1").await;
    assert_ne!(before.changes, json!([]));
    let unforced = bench.process(&[replayed(&sign_up(1), "2", false)]).await;
    assert_eq!(unforced, [Disposition::Redelivered]);
    let forced = bench.process(&[replayed(&sign_up(1), "3", true)]).await;
    assert_eq!(forced, [Disposition::Done(EventOutcome::Unchanged)]);
    let after = bench.event("evt_c1").await;
    assert_eq!(
        (after.outcome, after.changes),
        (before.outcome, before.changes)
    );
    assert_eq!(after.duplicates, 0);
}

async fn an_ignored_event_and_its_forced_replay_fit_into_one_batch(engine: Engine) {
    let bench = Bench::new(engine).await;
    let event = stripe_event("evt_1", "plan.created", NOW - 9, json!({ "id": "plan_1" }));
    let batch = [message(&event, "1"), replayed(&event, "2", true)];
    let ignored = Disposition::Done(EventOutcome::Ignored);
    assert_eq!(bench.process(&batch).await, [ignored.clone(), ignored]);
    assert_eq!(bench.event("evt_1").await.outcome, EventOutcome::Ignored);
}

async fn a_message_of_an_app_that_is_gone_blocks_nothing(engine: Engine) {
    let bench = Bench::new(engine).await;
    let mut orphan = message(&sign_up(1), "1");
    orphan.headers_mut().app = "gone".parse().unwrap();
    let dispositions = bench.process(&[orphan, message(&sign_up(2), "2")]).await;
    assert_eq!(dispositions, [Disposition::AppGone, DONE]);
}

async fn the_number_of_statements_does_not_depend_on_the_size_of_the_batch(engine: Engine) {
    let mut counts = Vec::new();
    for size in [1, 16, 256] {
        let bench = Bench::new(engine).await;
        // The first live event of an endpoint is applied under a lock of its own.
        bench.process(&[message(&sign_up(2_000), "1")]).await;
        let batch: Vec<Message> = (0..size)
            .map(|n| {
                message(
                    &if n % 2 == 0 {
                        sign_up(n)
                    } else {
                        subscribed(n)
                    },
                    "1",
                )
            })
            .chain([message(&subscribed(1_000), "1")])
            .collect();
        let before = bench.store.statements();
        bench.process(&batch).await;
        counts.push(bench.store.statements() - before);
    }
    assert_eq!(counts, [counts[0]; 3], "for 2, 17 and 257 messages");
    assert!(counts[0] < 40, "{} statements a batch", counts[0]);
}

async fn how_messages_are_grouped_into_batches_makes_no_difference(engine: Engine) {
    let events: Vec<Value> = (0..6)
        .flat_map(|n| [sign_up(n % 3), subscribed(n % 3)])
        .collect();
    let mut ends = Vec::new();
    for size in [1, 4, 12] {
        let bench = Bench::new(engine).await;
        for (n, group) in events.chunks(size).enumerate() {
            let batch: Vec<Message> = group
                .iter()
                .enumerate()
                .map(|(m, event)| message(event, &format!("{n} {m}")))
                .collect();
            bench.process(&batch).await;
        }
        let mut end = Vec::new();
        for n in 0..3 {
            for id in [format!("evt_c{n}"), format!("evt_s{n}")] {
                let event = bench.event(&id).await;
                end.push((id, event.outcome, event.duplicates));
            }
        }
        ends.push(end);
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!(ends[0], ends[2]);
}

async fn a_secret_of_the_wrong_mode_hides_no_event_from_the_right_one(engine: Engine) {
    let by = |mode, receipt| {
        let mut message = message(&sign_up(1), receipt);
        message.headers_mut().mode = mode;
        message
    };
    let (test, live) = (by(Mode::Test, "r1"), by(Mode::Live, "r2"));
    let orders = [
        ("one batch", vec![vec![&test, &live]]),
        ("one batch, right one first", vec![vec![&live, &test]]),
        ("two batches", vec![vec![&test], vec![&live]]),
        ("right one first", vec![vec![&live], vec![&test]]),
        (
            "wrong one twice",
            vec![vec![&test], vec![&test], vec![&live]],
        ),
    ];
    for (description, batches) in orders {
        let bench = Bench::new(engine).await;
        for batch in batches {
            let batch: Vec<Message> = batch.into_iter().cloned().collect();
            bench.process(&batch).await;
        }
        let event = bench.event("evt_c1").await;
        assert_eq!(event.outcome, EventOutcome::Applied, "{description}");
        assert_eq!(event.error, None, "{description}");
    }
}

async fn a_second_delivery_by_the_same_wrong_secret_is_a_duplicate(engine: Engine) {
    let bench = Bench::new(engine).await;
    for receipt in ["r1", "r2"] {
        let mut message = message(&sign_up(1), receipt);
        message.headers_mut().mode = Mode::Test;
        bench.process(&[message]).await;
    }
    let event = bench.event("evt_c1").await;
    assert_eq!(event.outcome, EventOutcome::Ignored);
    assert_eq!(event.duplicates, 1);
}

on_both_stores! {
    one_event_five_times_in_one_batch_has_one_effect,
    one_event_in_five_batches_has_one_effect_and_four_duplicates,
    a_message_whose_settlement_was_lost_is_no_duplicate,
    a_message_that_cannot_be_understood_harms_none_beside_it,
    a_failed_event_is_recorded_and_tried_again_when_it_comes_again,
    a_dead_letter_does_not_overwrite_an_outcome,
    a_replay_of_an_applied_event_needs_force_and_keeps_what_was_changed,
    an_ignored_event_and_its_forced_replay_fit_into_one_batch,
    a_message_of_an_app_that_is_gone_blocks_nothing,
    the_number_of_statements_does_not_depend_on_the_size_of_the_batch,
    how_messages_are_grouped_into_batches_makes_no_difference,
    a_secret_of_the_wrong_mode_hides_no_event_from_the_right_one,
    a_second_delivery_by_the_same_wrong_secret_is_a_duplicate,
}
