//! Processes messages: reads facts from them and applies those, in one transaction for a batch.
//!
//! Payloads are read into facts before the transaction begins, so that nobody waits for that. Then the
//! ledger says which events are new (`admission.rs`), everything that their facts can touch is loaded, the
//! facts are applied in memory one event after the other, and every change is written together with the
//! outcome of every event (`batch.rs`). The number of statements does not depend on the number of messages.
//! Because facts commute, the grouping of messages into batches makes no difference.
//!
//! The disposition of each message is decided here, where its failure is seen; the worker only
//! carries it out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::admission::{Admission, Admissions};
use super::batch::{BatchResult, OtherBody, Task};
use super::incoming::{Incoming, Read, incoming, named_by, read_all};
use super::outcome_line;
use super::owed_licenses;
use super::pauses;
use super::policy;
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::event::{BodyDigest, EventError, EventKey, EventOutcome};
use crate::domain::id::AppSlug;
use crate::domain::refetch::pause_after;
use crate::domain::time::Timestamp;
use crate::provider::{Named, ReadError, Reading};
use crate::queue::Message;
use crate::random::RandomError;
use crate::store::{AppTerms, LockMode, Store, StoreError, Trouble, Tx, WaitingRefetch};

pub use super::note::note_pending;

/// The result of processing a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The event has an outcome.
    Done(EventOutcome),
    /// The event had an outcome already; this delivery was counted.
    Duplicate,
    /// This very message was processed before, and its settlement was lost.
    Redelivered,
    /// Its app is paused; the store keeps it until the app goes on.
    Paused,
    /// Its app was deleted, and with it the ledger that would hold an outcome.
    AppGone,
    /// It cannot be processed, however often it is tried.
    Final(EventError),
}

impl Disposition {
    /// Returns the outcome as the log has it; `None` for what the worker reports.
    pub(crate) const fn word(&self) -> Option<&'static str> {
        match self {
            Self::Done(outcome) => Some(outcome.as_str()),
            Self::Duplicate => Some("duplicate"),
            // The line of the first time may have been lost together with the settlement.
            Self::Redelivered => Some("redelivered"),
            Self::Paused | Self::AppGone | Self::Final(_) => None,
        }
    }
}

/// A batch was not processed, and nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No id could be made for a new customer.
    #[error("no id could be made for a new customer")]
    Random(#[from] RandomError),
}

impl ProcessError {
    /// True if the same batch may succeed later without anybody changing it.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Random(_) => true,
        }
    }

    /// True if the batch took so long that the store gave it up, as it would again.
    pub fn has_stalled(&self) -> bool {
        match self {
            Self::Store(error) => error.trouble() == Some(Trouble::Stalled),
            Self::Random(_) => false,
        }
    }
}

/// What becomes of messages whose app is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paused {
    /// They wait.
    Wait,
    /// They are processed: somebody asks what they would do, or a comparison has read them already.
    Process,
}

/// Maximum number of messages of a batch that runs in parallel with others. A larger one would
/// need so many locks that it conflicts with the others anyway.
const MAX_PARALLEL: usize = 128;

/// How long a batch is worked on without a word to the store. An event of a customer who has thousands of
/// payments takes tenths of a second, and a batch may have many: the server ends a transaction that says nothing
/// for seconds, and nothing else runs on this thread meanwhile.
const SPEAKS_AFTER: Duration = Duration::from_millis(200);

/// Processes messages in one transaction. Returns one disposition for each message, in order.
///
/// Runs in parallel with the batches of other workers. If another one is working on the same
/// customers, the batch is started again and waits for its turn.
///
/// # Errors
/// See [`ProcessError`].
pub async fn process(
    store: &Store,
    messages: &[&Message],
    now: Timestamp,
) -> Result<Vec<Disposition>, ProcessError> {
    let named: Vec<Named> = messages.iter().map(|it| named_by(it)).collect();
    process_incoming(store, &incoming(messages, &named), now).await
}

/// As [`process`], of messages of which it is known what they name.
///
/// # Errors
/// See [`ProcessError`].
pub async fn process_incoming(
    store: &Store,
    messages: &[Incoming<'_>],
    now: Timestamp,
) -> Result<Vec<Disposition>, ProcessError> {
    if messages.len() <= MAX_PARALLEL {
        match process_in(store, messages, now, LockMode::Shared, None).await {
            Err(ProcessError::Store(StoreError::Contended)) => {}
            result => return result,
        }
    }
    process_in(store, messages, now, LockMode::Exclusive, None).await
}

/// Processes a provider's answer to a question, and settles the question in the same transaction.
///
/// # Errors
/// See [`ProcessError`].
pub(super) async fn process_answer(
    store: &Store,
    message: &Message,
    question: &WaitingRefetch,
    now: Timestamp,
) -> Result<Disposition, ProcessError> {
    let named = &named_by(message);
    let (messages, question) = ([Incoming { message, named }], Some(question));
    let shared = process_in(store, &messages, now, LockMode::Shared, question).await;
    let mut dispositions = match shared {
        Err(ProcessError::Store(StoreError::Contended)) => {
            process_in(store, &messages, now, LockMode::Exclusive, question).await?
        }
        result => result?,
    };
    Ok(dispositions.pop().unwrap_or(Disposition::AppGone))
}

async fn process_in(
    store: &Store,
    messages: &[Incoming<'_>],
    now: Timestamp,
    mode: LockMode,
    question: Option<&WaitingRefetch>,
) -> Result<Vec<Disposition>, ProcessError> {
    let began = Instant::now();
    let read = read_all(messages);
    let mut tx = store.begin().await?;
    let (dispositions, mut result) = process_batch(&mut tx, read, now, mode, Paused::Wait).await?;
    let walks = result.write(&mut tx).await?;
    let pairs = messages.iter().zip(&dispositions);
    let waiting = pairs.filter(|(_, disposition)| matches!(disposition, Disposition::Paused));
    let waiting: Vec<Incoming<'_>> = waiting.map(|(message, _)| *message).collect();
    pauses::put_aside(&mut tx, &waiting, now).await?;
    if let Some(question) = question {
        let next_at = now.plus(pause_after(question.attempts + 1));
        tx.refetch_settle(question, next_at).await?;
    }
    tx.commit().await?;
    for app in &walks {
        policy::begin_walk(store, app, now).await;
    }
    let now = now.plus(began.elapsed());
    for (index, (message, disposition)) in messages.iter().zip(&dispositions).enumerate() {
        if let Some(outcome) = disposition.word() {
            outcome_line::write(message.message, outcome, result.told.get(&index), now);
        }
    }
    Ok(dispositions)
}

/// Processes messages in a transaction, except for writing the result of the batch.
pub(super) async fn process_batch(
    tx: &mut Tx,
    messages: Vec<Read<'_>>,
    now: Timestamp,
    mode: LockMode,
    paused: Paused,
) -> Result<(Vec<Disposition>, BatchResult), ProcessError> {
    let keys: Vec<EventKey> = messages.iter().map(|it| it.incoming.key()).collect();
    let wanted: BTreeSet<&AppSlug> = keys.iter().map(|key| &key.app).collect();
    tx.lock_apps(wanted.iter().copied(), mode).await?;
    tx.lock_events(&keys).await?;
    let mut apps = tx.app_terms(wanted).await?;
    let mut admissions = Admissions::new(tx.ledger_find(&keys).await?);

    let mut dispositions = vec![Disposition::AppGone; messages.len()];
    let mut by_app: BTreeMap<&AppSlug, Vec<Task<'_>>> = BTreeMap::new();
    for (index, (message, key)) in messages.into_iter().zip(&keys).enumerate() {
        match apps.get(&key.app) {
            None => continue,
            Some(terms) if terms.paused && paused == Paused::Wait => {
                dispositions[index] = Disposition::Paused;
                continue;
            }
            Some(_) => {}
        }
        let Read {
            incoming: Incoming { message, named },
            digest,
            reading,
        } = message;
        let came_by_wrong_mode = admissions.came_by_wrong_mode(key, message.headers());
        let admitted = admit(&mut admissions, index, key, message, &digest, reading);
        let reading = match admitted {
            Ok(reading) => reading,
            Err(disposition) => {
                dispositions[index] = disposition;
                continue;
            }
        };
        let tasks = by_app.entry(&key.app).or_default();
        if came_by_wrong_mode {
            // A message of this batch with the wrong secret gives way to this one.
            for earlier in tasks.extract_if(.., |earlier| earlier.key == key) {
                dispositions[earlier.index] = Disposition::Done(EventOutcome::Ignored);
            }
        }
        tasks.push(Task {
            index,
            key,
            message,
            named,
            reading,
            digest,
            forced: false,
        });
    }
    let other_bodies = admissions.other_bodies();
    for app in other_bodies.keys() {
        by_app.entry(app).or_default();
    }
    let mut result = BatchResult::new(now);
    for (app, mut tasks) in by_app {
        let terms = apps.entry(app.clone()).or_default();
        if note_live(terms, &tasks, &mut result) && mode == LockMode::Shared {
            // Another batch may be deriving a customer from test facts that count no more.
            return Err(StoreError::Contended.into());
        }
        for task in &mut tasks {
            task.forced = admissions.is_forced(task.key);
            task.ignore_simulated(terms);
        }
        let others = other_bodies.get(app).map_or(&[][..], Vec::as_slice);
        let outcomes = apply_tasks(tx, app, terms, &tasks, others, &mut result).await?;
        for (task, outcome) in tasks.iter().zip(outcomes) {
            dispositions[task.index] = Disposition::Done(outcome);
        }
    }
    result.duplicates = admissions.into_duplicates();
    Ok((dispositions, result))
}

/// Returns what a message says that is to be processed; the disposition of any other.
fn admit(
    admissions: &mut Admissions,
    index: usize,
    key: &EventKey,
    message: &Message,
    digest: &BodyDigest,
    reading: Result<Reading, ReadError>,
) -> Result<Reading, Disposition> {
    let headers = message.headers();
    match admissions.admit(index, key, headers, digest) {
        Admission::Duplicate => return Err(Disposition::Duplicate),
        Admission::Redelivered => return Err(Disposition::Redelivered),
        Admission::Process => {}
    }
    match reading {
        Ok(reading) => {
            admissions.note_mode(key, headers.mode, &reading);
            Ok(reading)
        }
        Err(error) => {
            admissions.withdraw(key);
            Err(Disposition::Final(read_error(&error)))
        }
    }
}

/// Notes which endpoints these messages show to be live; returns true if any was not known to be.
fn note_live(terms: &mut AppTerms, tasks: &[Task<'_>], result: &mut BatchResult) -> bool {
    let mut is_new = false;
    for task in tasks.iter().filter(|task| task.shows_live()) {
        let provider = task.key.provider;
        if terms.live.insert(provider) {
            is_new = true;
            result.live.insert((task.key.app.clone(), provider));
        }
    }
    is_new
}

/// Applies the messages of one app, in order, and notes those with another body than before. Saves
/// its customers.
async fn apply_tasks(
    tx: &mut Tx,
    app: &AppSlug,
    terms: &AppTerms,
    tasks: &[Task<'_>],
    other_bodies: &[OtherBody],
    result: &mut BatchResult,
) -> Result<Vec<EventOutcome>, ProcessError> {
    let mut lookup_keys = LookupKeys::default();
    for task in tasks {
        match task.occurrence() {
            Some(occurrence) if task.reading.connected.is_some() => {
                lookup_keys.extend_under(&terms.settings, occurrence);
            }
            Some(occurrence) => lookup_keys.extend(occurrence),
            None => {}
        }
        if let Some((livemode, _)) = task.wrong_mode() {
            lookup_keys.extend_wrong_mode(task.key.provider, livemode);
        }
    }
    for other in other_bodies {
        other.add_to(&mut lookup_keys, tasks);
    }
    let mut working_set = tx.working_set_load(app, &lookup_keys).await?;
    // The mark of this batch is not written yet.
    working_set.live.clone_from(&terms.live);
    working_set.asks.clone_from(&terms.asks);
    let mut outcomes = Vec::with_capacity(tasks.len());
    let mut spoken = Instant::now();
    for task in tasks {
        outcomes.push(result.apply(&mut working_set, task)?);
        if spoken.elapsed() >= SPEAKS_AFTER {
            tx.stay_awake().await?;
            spoken = Instant::now();
        }
    }
    for other in other_bodies {
        result.note_other_body(&mut working_set, other, tasks);
    }
    let made = owed_licenses::save(tx, app, &working_set, result.now).await?;
    result.note_licenses(app, &made, tasks);
    let all = tasks.iter().filter_map(Task::occurrence);
    let told = tasks.iter().filter(|it| !it.is_observed());
    let doubts = working_set.doubts(told.filter_map(Task::occurrence), all);
    tx.refetch_want(app, &doubts, result.now).await?;
    Ok(outcomes)
}

fn read_error(error: &ReadError) -> EventError {
    EventError::new(error.code(), error.to_string())
}
