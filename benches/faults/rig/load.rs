//! The load: signed events at a steady rate, in a shuffled order, each posted again until it is
//! acknowledged, as a provider would.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::prelude::*;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tollgate::clock::{Clock, SystemClock};
use tollgate::provider::STRIPE;

use crate::support::{secret, stripe_customer, stripe_event, stripe_subscription};

/// How long a provider waits before it posts again what was not acknowledged: so many seconds
/// more each time, up to the last.
const RETRIES: std::ops::RangeInclusive<u64> = 1..=5;

/// How long a provider waits for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Customers whose events are shuffled together.
const BLOCK: usize = 20;

/// Events of one customer.
pub(crate) const EVENTS_EACH: usize = 5;

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// At least so many events; more, if the fault takes longer.
    pub(crate) events: usize,
    /// Events a second.
    pub(crate) rate: u32,
    /// Of the order.
    pub(crate) seed: u64,
    /// How long events come before the fault, and after it, so that what is normal again is seen.
    pub(crate) calm: Duration,
    /// How long after the fault, or after the load if that is later, everything must be as if
    /// nothing had been.
    pub(crate) patience: Duration,
}

/// What the senders saw.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicUsize,
    pub(crate) first_try: AtomicUsize,
    /// Posts that were answered with 200, and those that were not.
    pub(crate) good: AtomicUsize,
    pub(crate) bad: AtomicUsize,
    pub(crate) acknowledged: Mutex<HashSet<String>>,
    /// The load goes on.
    pub(crate) flows: AtomicBool,
    fault_is_over: AtomicBool,
    give_up: AtomicBool,
}

impl Counts {
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Lets the load end when it has sent enough.
    pub(crate) fn fault_is_over(&self) {
        self.fault_is_over.store(true, Ordering::SeqCst);
    }

    /// Ends the load; what was not acknowledged is left.
    pub(crate) fn give_up(&self) {
        self.give_up.store(true, Ordering::SeqCst);
        self.fault_is_over();
    }

    fn was_given_up(&self) -> bool {
        self.give_up.load(Ordering::SeqCst)
    }
}

/// Starts to send to a port; the task ends when every event was acknowledged, or was given up.
pub(crate) fn start(port: u16, plan: Plan, counts: &Arc<Counts>) -> JoinHandle<()> {
    counts.flows.store(true, Ordering::SeqCst);
    tokio::spawn(send(port, plan, Arc::clone(counts)))
}

async fn send(port: u16, plan: Plan, counts: Arc<Counts>) {
    let client = reqwest::Client::builder().timeout(ANSWER).build().unwrap();
    let mut random = StdRng::seed_from_u64(plan.seed);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / plan.rate);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // In the past, since no event may come before it happened.
    let base = SystemClock.now().seconds() - 1_000;
    let (mut posts, mut over) = (JoinSet::new(), None);
    for block in 0.. {
        let customers = block * BLOCK..(block + 1) * BLOCK;
        let mut events: Vec<_> = customers.flat_map(|n| events_of(n, base)).collect();
        events.shuffle(&mut random);
        for event in events {
            ticks.tick().await;
            counts.sent.fetch_add(1, Ordering::SeqCst);
            posts.spawn(deliver(client.clone(), port, event, Arc::clone(&counts)));
            while posts.try_join_next().is_some() {}
        }
        if over.is_none() && counts.fault_is_over.load(Ordering::SeqCst) {
            over = Some(Instant::now());
        }
        let enough = counts.sent.load(Ordering::SeqCst) >= plan.events;
        let seen = over.is_some_and(|at| at.elapsed() >= plan.calm);
        if counts.was_given_up() || (enough && seen) {
            break;
        }
    }
    counts.flows.store(false, Ordering::SeqCst);
    while posts.join_next().await.is_some() {}
}

/// Posts one event until it is acknowledged.
async fn deliver(client: reqwest::Client, port: u16, event: Value, counts: Arc<Counts>) {
    let url = format!("http://127.0.0.1:{port}/webhooks/stripe");
    let (id, body) = (event["id"].as_str().unwrap(), event.to_string());
    for attempt in 0_u64.. {
        let secret = secret(STRIPE.name);
        let signature = STRIPE.sign(&secret, body.as_bytes(), SystemClock.now());
        let request = client
            .post(&url)
            .header(STRIPE.header, signature)
            .body(body.clone());
        if request
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
        {
            counts.good.fetch_add(1, Ordering::SeqCst);
            if attempt == 0 {
                counts.first_try.fetch_add(1, Ordering::SeqCst);
            }
            counts.acknowledged.lock().unwrap().insert(id.to_owned());
            return;
        }
        counts.bad.fetch_add(1, Ordering::SeqCst);
        if counts.was_given_up() {
            return;
        }
        let rest = (attempt + RETRIES.start()).min(*RETRIES.end());
        tokio::time::sleep(Duration::from_secs(rest)).await;
    }
}

/// The events of a customer: it signs up, subscribes, its payment fails (not with every third),
/// it moves to another address, and in the end it pays again, has gone, or still does not pay.
fn events_of(n: usize, base: i64) -> [Value; EVENTS_EACH] {
    let account = format!("cus_{n}");
    let at = |step: usize| base + i64::try_from(step).unwrap();
    let customer = |place: &str| stripe_customer(&account, &format!("c{n}@{place}.example.com"));
    let subscription = |status: &str| stripe_subscription(&format!("sub_{n}"), &account, status);
    let (last_type, last_status) = last(n);
    let middle = if n % 3 == 2 { "active" } else { "past_due" };
    let updated = "customer.subscription.updated";
    let steps = [
        ("customer.created", customer("old")),
        ("customer.subscription.created", subscription("active")),
        (updated, subscription(middle)),
        ("customer.updated", customer("new")),
        (last_type, subscription(last_status)),
    ];
    let mut step = 0;
    steps.map(|(event_type, object)| {
        let event = stripe_event(&event_id(n, step), event_type, at(step), object);
        step += 1;
        event
    })
}

fn last(n: usize) -> (&'static str, &'static str) {
    match n % 3 {
        0 => ("customer.subscription.updated", "active"),
        1 => ("customer.subscription.deleted", "canceled"),
        // Without any grace.
        _ => ("customer.subscription.updated", "unpaid"),
    }
}

pub(crate) fn event_id(n: usize, step: usize) -> String {
    format!("evt_{n}_{step}")
}

/// How a customer must be in the end, in whatever order its events came.
pub(crate) fn state(n: usize) -> String {
    let status = match n % 3 {
        0 => "active",
        1 => "frozen",
        _ => "suspended",
    };
    format!("{status} c{n}@new.example.com")
}
