//! A worker that processes several batches at once, on PostgreSQL.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tollgate::clock::SystemClock;
use tollgate::queue::{Consumer, Delivery, Message, QueueError, Settlement};
use tollgate::store::Store;
use tollgate::worker::Worker;

use crate::process::message;
use crate::support::stores::{Engine, TestStore};
use crate::support::{seconds_from_now, stripe_customer, stripe_event};

const BATCHES: usize = 4;
const ACCOUNTS: usize = 60;
const PATIENCE: Duration = Duration::from_mins(1);

/// A queue in memory that remembers what became of its messages.
#[derive(Clone, Default)]
struct Backlog {
    waiting: Arc<Mutex<VecDeque<Delivery>>>,
    told: Arc<Mutex<Told>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Told {
    /// The tags in the order in which they were settled.
    settled: Vec<(u64, Settlement)>,
    given_back: usize,
    in_hand: usize,
    most_in_hand: usize,
}

impl Backlog {
    fn of(messages: Vec<Message>) -> Self {
        let delivery = |(tag, message)| Delivery {
            tag,
            delivery_count: 0,
            message,
        };
        let backlog = Self::default();
        *backlog.waiting.lock().unwrap() = (0..).zip(messages).map(delivery).collect();
        backlog
    }

    async fn until(&self, enough: impl Fn(&Told) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if enough(&self.told.lock().unwrap()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap());
        self.changed.notify_one();
    }

    fn settled(&self) -> Vec<(u64, Settlement)> {
        self.told.lock().unwrap().settled.clone()
    }
}

#[async_trait]
impl Consumer for Backlog {
    async fn next_batch(&mut self, most: usize) -> Result<Vec<Delivery>, QueueError> {
        let batch: Vec<Delivery> = {
            let mut waiting = self.waiting.lock().unwrap();
            let next = waiting.len().min(most);
            waiting.drain(..next).collect()
        };
        if batch.is_empty() {
            return std::future::pending().await;
        }
        self.change(|told| {
            told.in_hand += batch.len();
            told.most_in_hand = told.most_in_hand.max(told.in_hand);
        });
        Ok(batch)
    }

    async fn settle(&mut self, settled: Vec<(Delivery, Settlement)>) -> Result<(), QueueError> {
        self.change(|told| {
            told.in_hand -= settled.len();
            let settled = settled.into_iter().map(|(it, how)| (it.tag, how));
            told.settled.extend(settled);
        });
        Ok(())
    }

    async fn give_back(&mut self, deliveries: Vec<Delivery>) {
        self.change(|told| told.given_back += deliveries.len());
    }
}

fn account_of(number: usize) -> usize {
    number % ACCOUNTS
}

/// Changes of the contacts of a few accounts, in turns.
fn changes(count: usize) -> Vec<Message> {
    let change = |number| {
        let account = account_of(number);
        let customer =
            stripe_customer(&format!("cus_{account}"), &format!("{account}@example.com"));
        let at = seconds_from_now(i64::try_from(number).unwrap() - 10_000);
        let event = stripe_event(&format!("evt_{number}"), "customer.updated", at, customer);
        message(&event, &number.to_string())
    };
    (0..count).map(change).collect()
}

fn run(store: Store, work: &Backlog) -> (CancellationToken, JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    let worker = Worker::new(store, Arc::new(SystemClock), shutdown.clone())
        .with_batches(BATCHES)
        .with_outage_limit(Duration::from_millis(200));
    let running = tokio::spawn(worker.run(work.clone(), Backlog::default(), None));
    (shutdown, running)
}

async fn test_store() -> TestStore {
    let now = tollgate::domain::time::Timestamp::from_seconds(seconds_from_now(0)).unwrap();
    TestStore::new(Engine::Postgres, now).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_is_settled_once_and_in_the_order_of_its_account() {
    const ALL: usize = 1_500;
    let TestStore { store, place } = test_store().await;
    let work = Backlog::of(changes(ALL));
    let (shutdown, running) = run(store, &work);
    work.until(|told| told.settled.len() >= ALL).await;
    shutdown.cancel();
    running.await.unwrap();

    let mut of_account: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for (tag, how) in work.settled() {
        assert_eq!(how, Settlement::Ack, "{tag}");
        let account = account_of(usize::try_from(tag).unwrap());
        of_account.entry(account).or_default().push(tag);
    }
    for (account, tags) in &of_account {
        assert!(
            tags.is_sorted_by(|one, next| one < next),
            "{account}: {tags:?}"
        );
    }
    let settled: usize = of_account.values().map(Vec::len).sum();
    assert_eq!(settled, ALL);
    let most = work.told.lock().unwrap().most_in_hand;
    assert!(most > 128 && most <= 1_024, "{most} at once");
    let done = "SELECT COUNT(*) FROM events";
    assert_eq!(place.count(done, done).await, i64::try_from(ALL).unwrap());
    let people = "SELECT COUNT(*) FROM accounts";
    let accounts = i64::try_from(ACCOUNTS).unwrap();
    assert_eq!(place.count(people, people).await, accounts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_read_stops_no_other() {
    const ALL: usize = 600;
    let TestStore { store, .. } = test_store().await;
    let mut messages = changes(ALL);
    let at = seconds_from_now(-50);
    let broken = json!({"id": "sub_1", "object": "subscription", "customer": 7});
    let broken = stripe_event("evt_broken", "customer.subscription.updated", at, broken);
    messages[300] = message(&broken, "broken");
    let work = Backlog::of(messages);
    let (shutdown, running) = run(store, &work);
    work.until(|told| told.settled.len() >= ALL).await;
    shutdown.cancel();
    running.await.unwrap();
    let failed = work.settled().into_iter();
    let failed: Vec<_> = failed.filter(|(_, how)| *how != Settlement::Ack).collect();
    assert!(
        matches!(&failed[..], [(300, Settlement::Fail { .. })]),
        "{failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_every_batch_under_way_is_finished_and_settled() {
    let TestStore { store, place } = test_store().await;
    let work = Backlog::of(changes(1_500));
    let (shutdown, running) = run(store, &work);
    work.until(|told| !told.settled.is_empty()).await;
    shutdown.cancel();
    running.await.unwrap();
    let settled = i64::try_from(work.settled().len()).unwrap();
    assert!(settled < 1_500, "it was over before the end");
    let done = "SELECT COUNT(*) FROM events";
    assert_eq!(place.count(done, done).await, settled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_all_messages_are_given_back_once() {
    let TestStore { store, .. } = test_store().await;
    store.close().await;
    let work = Backlog::of(changes(600));
    let (shutdown, running) = run(store, &work);
    work.until(|told| told.given_back > 0).await;
    shutdown.cancel();
    running.await.unwrap();
    let told = work.told.lock().unwrap();
    let taken = told.in_hand;
    assert_eq!((told.given_back, told.settled.len()), (taken, 0));
}
