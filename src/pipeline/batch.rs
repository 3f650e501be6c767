//! The result of a batch: the outcomes, duplicates and audit entries that are written with it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::forgotten::{customer_deleted, without_persons};
use super::incoming::Incoming;
use super::order::audit_entries;
use super::outcome_line::Told;
use super::owed_licenses;
use crate::domain::apply::change::{Effect, IgnoreCode, Outcome};
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::billing::fact::Occurrence;
use crate::domain::event::{Bodies, BodyDigest, EventError, EventKey, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId, Kind, ObjectKey, Provider, Scope};
use crate::domain::identity::test_trace::Origin;
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;
use crate::provider::{self, IgnoreReason, Meaning, Named, Reading};
use crate::queue::Message;
use crate::random::{self, RandomError};
use crate::store::{Actor, AppTerms, AuditEntry, LedgerEntry, OwedLicenseChange, StoreError, Tx};

/// A message that was admitted and read.
pub(super) struct Task<'a> {
    /// Position of the message in the batch.
    pub(super) index: usize,
    pub(super) key: &'a EventKey,
    pub(super) message: &'a Message,
    pub(super) named: &'a Named,
    pub(super) reading: Reading,
    pub(super) digest: BodyDigest,
    /// The event had its effect before and is applied again because `force` was ordered.
    pub(super) forced: bool,
}

impl Task<'_> {
    /// True if it shows that its endpoint is live: a live event that a secret of any mode has
    /// verified. Where payloads say their mode, one that does not was made by hand, and says nothing.
    pub(super) fn shows_live(&self) -> bool {
        let is_any = self.message.headers().mode == Mode::Any;
        let spec = provider::spec(self.key.provider);
        is_any && spec.is_some_and(|it| it.is_live(&self.reading))
    }

    /// Ignores what is only simulated at an endpoint that is live: it may carry real ids.
    pub(super) fn ignore_simulated(&mut self, terms: &AppTerms) {
        let is_any = self.message.headers().mode == Mode::Any;
        let is_live = is_any && terms.live.contains(&self.key.provider);
        if is_live && self.reading.simulated {
            self.reading.meaning = Meaning::Ignored(IgnoreReason::Simulated);
        }
    }

    /// The mode and the time of an event of another mode than its secret's.
    pub(super) fn wrong_mode(&self) -> Option<(bool, Timestamp)> {
        let is_wrong = self.reading.meaning == Meaning::Ignored(IgnoreReason::LivemodeMismatch);
        let wrong = self.reading.livemode.zip(self.reading.occurred_at);
        wrong.filter(|_| is_wrong)
    }

    fn origin(&self) -> Origin {
        match self.message.headers().mode {
            Mode::Test => Origin::TestSecret,
            Mode::Any | Mode::Live if self.reading.simulated => Origin::Simulation,
            Mode::Any | Mode::Live => Origin::Plain,
        }
    }

    /// Returns the key of an object of this event: its own, for what is noted of it.
    fn event_key(&self) -> ObjectKey {
        let Reading {
            livemode,
            connected,
            ..
        } = &self.reading;
        event_key(self.key, *livemode, connected.clone())
    }

    /// True of the provider's answer to a question, which is no event that it sent.
    pub(super) fn is_observed(&self) -> bool {
        provider::api::is_observed(&self.key.id)
    }

    pub(super) fn occurrence(&self) -> Option<&Occurrence> {
        match &self.reading.meaning {
            Meaning::Facts(occurrence) => Some(occurrence),
            Meaning::Ignored(_) => None,
        }
    }
}

/// A delivery of a known event that has another body than the first.
pub(super) struct OtherBody {
    /// Position of the message in the batch.
    pub(super) index: usize,
    pub(super) key: EventKey,
    pub(super) bodies: Bodies,
    /// When it was received.
    pub(super) at: Timestamp,
    /// The event as an object, as the ledger has it.
    pub(super) object: ObjectKey,
    /// The customer whose event it is, as the ledger has it.
    pub(super) customer: Option<CustomerId>,
}

impl OtherBody {
    /// Returns the keys of what noting it can touch.
    pub(super) fn add_to(&self, lookup_keys: &mut LookupKeys, tasks: &[Task<'_>]) {
        lookup_keys.unfetched.insert(self.object(tasks));
        lookup_keys.customers.extend(self.customer.clone());
    }

    /// Returns the key of the event as an object. If it is in this batch, the ledger may know less.
    fn object(&self, tasks: &[Task<'_>]) -> ObjectKey {
        let in_batch = tasks.iter().find(|task| *task.key == self.key);
        in_batch.map_or_else(|| self.object.clone(), Task::event_key)
    }
}

/// The key of an event as an object that something is noted of.
pub(super) fn event_key(
    key: &EventKey,
    livemode: Option<bool>,
    connected: Option<String>,
) -> ObjectKey {
    let scope = Scope {
        provider: key.provider,
        livemode: livemode.unwrap_or(true),
        connected,
    };
    scope.key(Kind::Event, &key.id)
}

/// The result of a batch, to be written in its transaction.
pub(super) struct BatchResult {
    pub(super) now: Timestamp,
    pub(super) entries: Vec<LedgerEntry>,
    audit: Vec<AuditEntry>,
    pub(super) duplicates: BTreeMap<EventKey, u32>,
    /// Endpoints that are live from now on.
    pub(super) live: BTreeSet<(AppSlug, Provider)>,
    /// What the log tells of the events, by the positions of their messages in the batch.
    pub(super) told: BTreeMap<usize, Told>,
}

impl BatchResult {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            entries: Vec::new(),
            audit: Vec::new(),
            duplicates: BTreeMap::new(),
            live: BTreeSet::new(),
            told: BTreeMap::new(),
        }
    }

    /// Applies one event to the working set and records its outcome.
    ///
    /// # Errors
    /// When no id can be made for a new customer. The working set must not be saved then.
    pub(super) fn apply(
        &mut self,
        working_set: &mut WorkingSet,
        task: &Task<'_>,
    ) -> Result<EventOutcome, RandomError> {
        let mut entry = ledger_entry(
            task.key,
            Incoming {
                message: task.message,
                named: task.named,
            },
            task.digest.clone(),
            EventOutcome::Ignored,
            self.now,
        );
        // Its customer is known now, or it has none.
        entry.account = None;
        entry.occurred_at = task.reading.occurred_at;
        entry.livemode = task.reading.livemode;
        entry.connected.clone_from(&task.reading.connected);
        match &task.reading.meaning {
            Meaning::Ignored(reason) => {
                entry.error = unread(*reason);
                if let Some((livemode, at)) = task.wrong_mode() {
                    working_set.note_wrong_mode(task.key.provider, livemode, at);
                }
                let told = Told::ignored(entry.error.as_ref());
                self.told.insert(task.index, told);
            }
            Meaning::Facts(occurrence) => {
                let effect = self.apply_facts(working_set, task.origin(), occurrence)?;
                self.record_effect(&mut entry, task, effect);
            }
        }
        let outcome = entry.outcome;
        // A forced replay that changes nothing must not hide what the first try changed.
        let is_idle = matches!(outcome, EventOutcome::Unchanged | EventOutcome::Superseded);
        if !(task.forced && is_idle) {
            self.entries.push(entry);
        }
        Ok(outcome)
    }

    /// Notes a delivery with another body. The events of the batch have been applied.
    pub(super) fn note_other_body(
        &mut self,
        working_set: &mut WorkingSet,
        other: &OtherBody,
        tasks: &[Task<'_>],
    ) {
        let entries = self.entries.iter().rev();
        let mut in_batch = entries.filter(|entry| entry.key == other.key);
        let customer = in_batch.find_map(|entry| entry.customer.clone());
        let customer = customer.or_else(|| other.customer.clone());
        let object = other.object(tasks);
        let was_noted = working_set.changed.other_bodies.contains(&object);
        let OtherBody { bodies, at, .. } = other;
        let changes =
            working_set.note_other_body(&object, customer.as_ref(), bodies, *at, self.now);
        let is_noted = working_set.changed.other_bodies.contains(&object);
        let told = self.told.entry(other.index).or_default();
        told.add_other_body(
            customer.as_ref(),
            !changes.is_empty() || is_noted && !was_noted,
        );
        let actor = Actor::Event(other.key.clone());
        let audit = audit_entries(&other.key.app, &actor, &changes, self.now);
        self.audit.extend(audit);
    }

    /// Records the licences that were made or removed: by the last event of their customer.
    pub(super) fn note_licenses(
        &mut self,
        app: &AppSlug,
        changes: &[OwedLicenseChange],
        tasks: &[Task<'_>],
    ) {
        for change in changes {
            let mut entries = self.entries.iter().rev();
            let event = entries.find(|it| it.customer.as_ref() == Some(change.customer()));
            let event = event.map(|it| &it.key);
            let event = event.or_else(|| tasks.last().map(|task| task.key));
            let actor = event.map_or(Actor::Timer, |key| Actor::Event(key.clone()));
            let entry = owed_licenses::audit_entry(app, &actor, change, self.now);
            self.audit.push(entry);
        }
    }

    /// The domain cannot fail half-way, so a missing id is reported when it has finished.
    fn apply_facts(
        &self,
        working_set: &mut WorkingSet,
        origin: Origin,
        occurrence: &Occurrence,
    ) -> Result<Effect, RandomError> {
        let mut failure = None;
        let mut fresh_id = || {
            let id = random::uuid(self.now).unwrap_or_else(|error| {
                failure = Some(error);
                Uuid::nil()
            });
            CustomerId::from_uuid(id)
        };
        let effect = working_set.apply_from(origin, occurrence, self.now, &mut fresh_id);
        failure.map_or(Ok(effect), Err)
    }

    fn record_effect(&mut self, entry: &mut LedgerEntry, task: &Task<'_>, effect: Effect) {
        entry.outcome = match effect.outcome {
            Outcome::Applied => EventOutcome::Applied,
            Outcome::Unchanged => EventOutcome::Unchanged,
            Outcome::Superseded => EventOutcome::Superseded,
            Outcome::Ignored(reason) => {
                entry.error = unapplied(reason);
                EventOutcome::Ignored
            }
        };
        let told = Told::of(
            effect.outcome,
            effect.customer.as_ref(),
            &effect.changes,
            entry.error.as_ref(),
        );
        self.told.insert(task.index, told);
        if effect.forgotten {
            entry.payload = None;
        }
        let actor = Actor::Event(task.key.clone());
        self.audit.extend(audit_entries(
            &task.key.app,
            &actor,
            &effect.changes,
            self.now,
        ));
        entry.customer = effect.customer;
        entry.changes = effect.changes;
    }

    /// Writes outcomes, duplicates, audit entries, and which endpoints are live, after taking from the
    /// entries what is about persons who were erased. Returns the apps whose customers have to be
    /// derived anew, for which a walk has begun.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn write(&mut self, tx: &mut Tx) -> Result<BTreeSet<AppSlug>, StoreError> {
        without_persons(tx, &mut self.entries).await?;
        tx.ledger_write(&self.entries).await?;
        tx.ledger_count_duplicates(&self.duplicates).await?;
        tx.audit_add(&self.audit).await?;
        let mut walks = BTreeSet::new();
        for (app, provider) in &self.live {
            tx.endpoint_mark_live(app, *provider, self.now).await?;
            if tx.endpoint_has_test_accounts(app, *provider).await? {
                tx.app_walk_begin(app).await?;
                walks.insert(app.clone());
            }
        }
        Ok(walks)
    }
}

/// Makes the ledger's entry of a message, without changes.
pub(super) fn ledger_entry(
    key: &EventKey,
    Incoming { message, named }: Incoming<'_>,
    digest: BodyDigest,
    outcome: EventOutcome,
    now: Timestamp,
) -> LedgerEntry {
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
        attempts: headers.tries(headers.attempt.saturating_add(1)),
        error: None,
        customer: None,
        account: named.account.clone(),
        named: named.ids.clone(),
        changes: Vec::new(),
        payload: Some(message.body.to_string()),
        digest,
    }
}

/// Explains in the ledger why a payload was not read; `None` if nothing is wrong.
fn unread(reason: IgnoreReason) -> Option<EventError> {
    let detail = match reason {
        IgnoreReason::Type | IgnoreReason::Content => return None,
        IgnoreReason::LivemodeMismatch => {
            "a live event signed with a test secret, or the reverse; nothing was applied"
        }
        IgnoreReason::Simulated => {
            "a simulated event signed with a live secret; it may carry real ids, so nothing was applied"
        }
    };
    reason.code().map(|code| event_error(code, detail))
}

/// Explains in the ledger why facts were not applied; `None` if nothing is wrong.
fn unapplied(code: IgnoreCode) -> Option<EventError> {
    match code {
        IgnoreCode::NoFacts | IgnoreCode::ReferencesOnly => None,
        IgnoreCode::CustomerDeleted => Some(customer_deleted()),
        IgnoreCode::UnknownConnectedAccount => Some(event_error(
            code.as_str(),
            "of a connected account that the app does not name; nothing was applied. When the app \
             names it, a replay applies the event",
        )),
        IgnoreCode::WrongMode => Some(event_error(
            code.as_str(),
            "a test event at an endpoint that has verified live ones; it counts for nothing",
        )),
        IgnoreCode::FetchedInstead => Some(event_error(
            code.as_str(),
            "a thin event only names an object; the provider is asked for it",
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
