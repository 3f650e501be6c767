//! Messages become facts, facts become state: one transaction for a whole batch.
//!
//! The ledger says which events are new. Their payloads are read into facts, all that these can
//! touch is loaded, the facts are folded in memory one event after the other, and everything
//! that changed is written together with the outcome of every event. The number of statements
//! does not depend on the number of messages. Because facts commute, how messages are grouped
//! into batches makes no difference.
//!
//! What becomes of each message is decided here, where its failure is seen; the worker only
//! carries it out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use uuid::Uuid;

use crate::domain::apply::change::{Change, Effect, IgnoreCode, Outcome};
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::billing::fact::Occurrence;
use crate::domain::event::EventError;
use crate::domain::event::{EventKey, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;
use crate::provider::{self, IgnoreReason, Meaning, ReadError, Reading};
use crate::queue::Message;
use crate::queue::message::HeadersV1;
use crate::store::{Actor, AuditEntry, LedgerEntry, LedgerState, LockMode, Store, StoreError, Tx};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The event has an outcome.
    Done(EventOutcome),
    /// The event had an outcome already; this delivery was counted.
    Duplicate,
    /// This very message was processed before, and its settlement was lost.
    Redelivered,
    /// Its app is gone, and with it every place where an outcome could stand.
    AppGone,
    /// It cannot be processed, however often it is tried.
    Final(EventError),
}

/// Most messages of a batch that runs beside others. A larger one would need so many locks that
/// it meets the others anyway.
const MOST_BESIDE: usize = 128;

/// Processes messages in one transaction. The answer has one disposition a message, in order.
///
/// Runs beside the batches of other workers; if it turns out that another works on the same
/// customers just now, it is begun again and waits for its turn.
///
/// # Errors
/// When the store failed; then nothing was changed, whatever the messages were.
pub async fn process(
    store: &Store,
    messages: &[&Message],
    now: Timestamp,
) -> Result<Vec<Disposition>, StoreError> {
    if messages.len() <= MOST_BESIDE {
        match process_in(store, messages, now, LockMode::Shared).await {
            Err(StoreError::Contended) => {}
            result => return result,
        }
    }
    process_in(store, messages, now, LockMode::Exclusive).await
}

async fn process_in(
    store: &Store,
    messages: &[&Message],
    now: Timestamp,
    way: LockMode,
) -> Result<Vec<Disposition>, StoreError> {
    let mut tx = store.begin().await?;
    let (dispositions, fold) = process_batch(&mut tx, messages, now, way).await?;
    fold.write(&mut tx).await?;
    tx.commit().await?;
    Ok(dispositions)
}

/// What processing a message would do.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What would become of the event.
    pub outcome: EventOutcome,
    /// Why it would fail or be ignored.
    pub error: Option<EventError>,
    /// Whose customer it concerns.
    pub customer: Option<CustomerId>,
    /// What it would change, as a JSON list.
    pub changes: serde_json::Value,
}

/// Processes a message in a transaction that is undone.
pub(super) async fn preview(
    store: &Store,
    message: &Message,
    now: Timestamp,
) -> Result<Preview, StoreError> {
    let mut tx = store.begin().await?;
    let (mut dispositions, mut fold) =
        process_batch(&mut tx, &[message], now, LockMode::Exclusive).await?;
    drop(tx);
    let (outcome, error) = match dispositions.pop() {
        Some(Disposition::Done(outcome)) => (outcome, None),
        Some(Disposition::Final(error)) => (EventOutcome::Failed, Some(error)),
        // Its app went away after the message was made.
        Some(Disposition::AppGone | Disposition::Duplicate | Disposition::Redelivered) | None => {
            (EventOutcome::Ignored, None)
        }
    };
    let entry = fold.entries.pop();
    let (error, customer, changes) = entry.map_or((error, None, json!([])), |entry| {
        (entry.error, entry.customer, entry.changes)
    });
    Ok(Preview {
        outcome,
        error,
        customer,
        changes,
    })
}

/// Does everything but the ledger's part.
async fn process_batch(
    tx: &mut Tx,
    messages: &[&Message],
    now: Timestamp,
    way: LockMode,
) -> Result<(Vec<Disposition>, Fold), StoreError> {
    let keys: Vec<EventKey> = messages
        .iter()
        .map(|message| key_of(message.headers()))
        .collect();
    let wanted: BTreeSet<&AppSlug> = keys.iter().map(|key| &key.app).collect();
    tx.lock_apps(wanted.iter().copied(), way).await?;
    tx.lock_events(&keys).await?;
    let apps = tx.app_existing(wanted).await?;
    let mut fold = Fold::new(tx.ledger_find(&keys).await?, now);

    let mut dispositions = vec![Disposition::AppGone; messages.len()];
    let mut to_apply: BTreeMap<&AppSlug, Vec<Task<'_>>> = BTreeMap::new();
    for (index, (&message, key)) in messages.iter().zip(&keys).enumerate() {
        if !apps.contains(&key.app) {
            continue;
        }
        let came_by_wrong_mode = fold.came_by_wrong_mode(key);
        match fold.admit(key, message.headers()) {
            Admission::Counted => dispositions[index] = Disposition::Duplicate,
            Admission::Known => dispositions[index] = Disposition::Redelivered,
            Admission::Process => {
                match provider::read(
                    key.provider,
                    &message.headers().event_type,
                    message.body.as_bytes(),
                    message.headers().mode,
                ) {
                    Ok(reading) => {
                        fold.note_mode(key, message.headers().mode, &reading);
                        let tasks = to_apply.entry(&key.app).or_default();
                        if came_by_wrong_mode {
                            // What the wrong secret brought in this batch gives way.
                            for earlier in tasks.extract_if(.., |earlier| earlier.key == key) {
                                dispositions[earlier.index] =
                                    Disposition::Done(EventOutcome::Ignored);
                            }
                        }
                        let task = Task {
                            index,
                            key,
                            message,
                            reading,
                        };
                        tasks.push(task);
                    }
                    Err(error) => {
                        fold.ledger.remove(key);
                        dispositions[index] = Disposition::Final(read_error(&error));
                    }
                }
            }
        }
    }
    for (app, tasks) in to_apply {
        let mut lookup_keys = LookupKeys::default();
        tasks
            .iter()
            .filter_map(Task::occurrence)
            .for_each(|it| lookup_keys.extend(it));
        let mut working_set = tx.working_set_load(app, &lookup_keys).await?;
        for task in tasks {
            dispositions[task.index] = Disposition::Done(fold.apply(&mut working_set, &task));
        }
        tx.working_set_save(app, &working_set).await?;
    }
    Ok((dispositions, fold))
}

/// Notes in the ledger that a message's try failed and that it will come again.
///
/// # Errors
/// When the store failed.
pub async fn note_pending(
    store: &Store,
    message: &Message,
    error: &EventError,
    now: Timestamp,
) -> Result<(), StoreError> {
    note(store, message, EventOutcome::Pending, error, now).await
}

/// Notes in the ledger that a message cannot be processed, unless its event has had its effect
/// by another way.
///
/// # Errors
/// When the store failed.
pub(super) async fn note(
    store: &Store,
    message: &Message,
    outcome: EventOutcome,
    error: &EventError,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = key_of(message.headers());
    let mut tx = store.begin().await?;
    tx.lock_apps([&key.app], LockMode::Shared).await?;
    tx.lock_events([&key]).await?;
    if tx.app_existing([&key.app]).await?.is_empty() {
        return Ok(());
    }
    let known = tx.ledger_find([&key]).await?;
    if known
        .get(&key)
        .is_some_and(|state| state.outcome.is_settled())
    {
        return Ok(());
    }
    let mut entry = entry(&key, message, outcome, now);
    // The queue has counted the try that led here already, unless it is being settled just now.
    entry.attempts = message.headers().attempt.max(1);
    entry.error = Some(error.clone());
    tx.ledger_write(&[entry]).await?;
    tx.commit().await
}

struct Task<'a> {
    index: usize,
    key: &'a EventKey,
    message: &'a Message,
    reading: Reading,
}

impl Task<'_> {
    fn occurrence(&self) -> Option<&Occurrence> {
        match &self.reading.meaning {
            Meaning::Facts(occurrence) => Some(occurrence),
            Meaning::Ignored(_) => None,
        }
    }
}

/// What shall be done with a message, by what the ledger says of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Process,
    Counted,
    Known,
}

/// What a batch adds up to.
struct Fold {
    now: Timestamp,
    ledger: BTreeMap<EventKey, LedgerState>,
    duplicates: BTreeMap<EventKey, u32>,
    /// Events that had their effect before and are applied again by force.
    forced: BTreeSet<EventKey>,
    entries: Vec<LedgerEntry>,
    audit: Vec<AuditEntry>,
}

impl Fold {
    fn new(ledger: BTreeMap<EventKey, LedgerState>, now: Timestamp) -> Self {
        Self {
            now,
            ledger,
            duplicates: BTreeMap::new(),
            forced: BTreeSet::new(),
            entries: Vec::new(),
            audit: Vec::new(),
        }
    }

    /// Whether a message is to be processed. A message that is becomes known at once, so that
    /// the same event further down in the batch is a duplicate.
    fn admit(&mut self, key: &EventKey, headers: &HeadersV1) -> Admission {
        let admission = match self.ledger.get(key) {
            None => Admission::Process,
            Some(state) => admission(state, headers),
        };
        match admission {
            Admission::Process => {
                let state = LedgerState {
                    receipt: headers.receipt.clone(),
                    outcome: EventOutcome::Unchanged,
                    wrong_mode: None,
                };
                let before = self.ledger.insert(key.clone(), state);
                if before.is_some_and(|state| had_effect(state.outcome)) {
                    self.forced.insert(key.clone());
                }
            }
            Admission::Counted => *self.duplicates.entry(key.clone()).or_default() += 1,
            Admission::Known => {}
        }
        admission
    }

    /// Whether the event has come, and only by a secret of the wrong mode.
    fn came_by_wrong_mode(&self, key: &EventKey) -> bool {
        self.ledger
            .get(key)
            .is_some_and(|state| state.wrong_mode.is_some())
    }

    /// Notes that an event came by a secret of the wrong mode, for its next delivery.
    fn note_mode(&mut self, key: &EventKey, mode: Mode, reading: &Reading) {
        if reading.meaning == Meaning::Ignored(IgnoreReason::LivemodeMismatch)
            && let Some(state) = self.ledger.get_mut(key)
        {
            state.outcome = EventOutcome::Ignored;
            state.wrong_mode = Some(mode);
        }
    }

    /// Folds one event into the working set and notes its outcome.
    fn apply(&mut self, working_set: &mut WorkingSet, task: &Task<'_>) -> EventOutcome {
        let mut entry = entry(task.key, task.message, EventOutcome::Ignored, self.now);
        entry.occurred_at = task.reading.occurred_at;
        entry.livemode = task.reading.livemode;
        entry.connected.clone_from(&task.reading.connected);
        match &task.reading.meaning {
            Meaning::Ignored(reason) => {
                entry.error = unread(*reason);
            }
            Meaning::Facts(occurrence) => {
                let effect = working_set.apply(occurrence, self.now, &mut fresh_customer_id);
                self.note_effect(&mut entry, task, effect);
            }
        }
        let outcome = entry.outcome;
        // A forced replay that changes nothing must not hide what the first try changed.
        let forced = self.forced.contains(task.key);
        if !(forced && matches!(outcome, EventOutcome::Unchanged | EventOutcome::Superseded)) {
            self.entries.push(entry);
        }
        outcome
    }

    fn note_effect(&mut self, entry: &mut LedgerEntry, task: &Task<'_>, effect: Effect) {
        entry.outcome = match effect.outcome {
            Outcome::Applied => EventOutcome::Applied,
            Outcome::Unchanged => EventOutcome::Unchanged,
            Outcome::Superseded => EventOutcome::Superseded,
            Outcome::Ignored(reason) => {
                entry.error = unapplied(reason);
                EventOutcome::Ignored
            }
        };
        entry.customer = effect.customer;
        entry.changes = json!(effect.changes);
        let actor = Actor::Event(task.key.clone());
        self.audit.extend(audit_entries(
            &task.key.app,
            &actor,
            &effect.changes,
            self.now,
        ));
    }

    async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.ledger_write(&self.entries).await?;
        tx.ledger_count_duplicates(&self.duplicates).await?;
        tx.audit_add(&self.audit).await
    }
}

/// Whether an event with this outcome was weighed against what is kept.
const fn had_effect(outcome: EventOutcome) -> bool {
    match outcome {
        EventOutcome::Applied | EventOutcome::Unchanged | EventOutcome::Superseded => true,
        EventOutcome::Ignored | EventOutcome::Pending | EventOutcome::Failed => false,
    }
}

fn admission(state: &LedgerState, headers: &HeadersV1) -> Admission {
    let same_message = state.receipt == headers.receipt;
    match (headers.replay, state.outcome) {
        (Some(_), _) if same_message && state.outcome.is_settled() => Admission::Known,
        (
            Some(replay),
            EventOutcome::Applied | EventOutcome::Unchanged | EventOutcome::Superseded,
        ) => {
            if replay.force {
                Admission::Process
            } else {
                Admission::Known
            }
        }
        (Some(_), EventOutcome::Ignored | EventOutcome::Pending | EventOutcome::Failed) => {
            Admission::Process
        }
        // The retry of a pending event is still in the queue and will decide.
        (None, EventOutcome::Pending) if !same_message => Admission::Counted,
        // A failed event that the provider sends again gets another chance.
        (None, EventOutcome::Pending | EventOutcome::Failed) => Admission::Process,
        (None, _) if same_message => Admission::Known,
        // A secret of the wrong mode must not hide the event from the right one.
        (None, _) if state.wrong_mode.is_some_and(|mode| mode != headers.mode) => {
            Admission::Process
        }
        (
            None,
            EventOutcome::Applied
            | EventOutcome::Unchanged
            | EventOutcome::Superseded
            | EventOutcome::Ignored,
        ) => Admission::Counted,
    }
}

/// The audit entries of some changes, one each.
pub(super) fn audit_entries(
    app: &AppSlug,
    actor: &Actor,
    changes: &[Change],
    now: Timestamp,
) -> Vec<AuditEntry> {
    let entry = |change: &Change| {
        let details = json!(change.operation);
        let name = details.get("operation").and_then(serde_json::Value::as_str);
        AuditEntry {
            app: app.clone(),
            at: now,
            actor: actor.clone(),
            customer: Some(change.customer.clone()),
            operation: name.unwrap_or_default().to_owned(),
            details,
        }
    };
    changes.iter().map(entry).collect()
}

/// A new customer's id.
pub(super) fn fresh_customer_id() -> CustomerId {
    CustomerId::from_uuid(Uuid::now_v7())
}

fn key_of(headers: &HeadersV1) -> EventKey {
    EventKey {
        app: headers.app.clone(),
        provider: headers.provider,
        id: headers.event_id.clone(),
    }
}

fn entry(key: &EventKey, message: &Message, outcome: EventOutcome, now: Timestamp) -> LedgerEntry {
    let headers = message.headers();
    LedgerEntry {
        key: key.clone(),
        receipt: headers.receipt.clone(),
        event_type: headers.event_type.clone(),
        connected: None,
        livemode: None,
        mode: headers.mode,
        occurred_at: None,
        received_at: headers.received_at,
        processed_at: now,
        outcome,
        attempts: headers.attempt + 1,
        error: None,
        customer: None,
        changes: json!([]),
        payload: message.body.clone(),
    }
}

fn read_error(error: &ReadError) -> EventError {
    EventError {
        code: error.code().to_owned(),
        detail: error.to_string(),
    }
}

/// What the ledger says of a payload that was not read; nothing where nothing is wrong.
fn unread(reason: IgnoreReason) -> Option<EventError> {
    let detail = match reason {
        IgnoreReason::Type | IgnoreReason::Content => return None,
        IgnoreReason::LivemodeMismatch => {
            "a live event signed with a test secret, or the reverse; nothing was applied"
        }
    };
    reason.code().map(|code| event_error(code, detail))
}

/// The same of a payload whose facts were not applied.
fn unapplied(code: IgnoreCode) -> Option<EventError> {
    match code {
        IgnoreCode::NoFacts | IgnoreCode::ReferencesOnly => None,
        IgnoreCode::CustomerDeleted => Some(event_error(
            code.as_str(),
            "the customer of this billing account was deleted here; nothing was applied",
        )),
        IgnoreCode::ApiKeyNeeded => Some(event_error(
            code.as_str(),
            "a thin event only names an object, and fetching that needs an API key",
        )),
    }
}

fn event_error(code: &str, detail: &str) -> EventError {
    EventError {
        code: code.to_owned(),
        detail: detail.to_owned(),
    }
}
