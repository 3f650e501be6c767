//! Applies a page of objects or events, and says what of it differed.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::error::ReconcileError;
use crate::domain::billing::fact::Fact;
use crate::domain::billing::history::FeatureHistory;
use crate::domain::event::{EventError, EventKey, EventOutcome};
use crate::domain::id::{AppSlug, ObjectKey};
use crate::domain::mode::Mode;
use crate::domain::reconcile::Tally;
use crate::domain::time::Timestamp;
use crate::pipeline::incoming::{incoming, named_by, read_all};
use crate::pipeline::note;
use crate::pipeline::observation::message;
use crate::pipeline::policy;
use crate::pipeline::process::{Disposition, Paused, process_batch};
use crate::provider::api::{self, Fetched, Listed};
use crate::provider::{self, Meaning, Named};
use crate::queue::{Message, Origin};
use crate::store::reconcile::Reconcile;
use crate::store::reconcile_object::ObjectTable;
use crate::store::{LockMode, Store, StoreError, Tx};

/// Most messages that are processed beside those of others. A larger batch would need so many locks
/// that it conflicts with the others anyway.
const MAX_PARALLEL: usize = 128;

/// An object that was read.
pub(super) struct Read {
    pub(super) message: Message,
    /// What it is about, and where that is kept.
    about: Option<(ObjectTable, ObjectKey)>,
    /// The facts of an observation; those of events are read when they are processed.
    pub(super) facts: Vec<Fact>,
}

/// Objects that were read, made into messages.
#[derive(Default)]
pub(super) struct Page {
    /// Those that say something.
    pub(super) messages: Vec<Read>,
    /// The numbers so far: those that could not even be made into messages.
    pub(super) tally: Tally,
    /// The time of the oldest event.
    pub(super) oldest: Option<Timestamp>,
}

impl Page {
    /// Makes messages of the objects of a list, observed at an instant of the provider's clock.
    pub(super) fn of(
        it: &Reconcile,
        what: Listed,
        objects: &[Box<RawValue>],
        at: Timestamp,
        mode: Mode,
        now: Timestamp,
    ) -> Result<Self, ReconcileError> {
        let mut page = Self::default();
        for object in objects {
            page.add(it, what, object, at, mode, now)?;
        }
        Ok(page)
    }

    fn add(
        &mut self,
        it: &Reconcile,
        what: Listed,
        object: &RawValue,
        at: Timestamp,
        mode: Mode,
        now: Timestamp,
    ) -> Result<(), ReconcileError> {
        self.tally.read += 1;
        let observed = match api::observed(it.provider, what, object, at, mode) {
            Ok(Some(observed)) => observed,
            Ok(None) => return Ok(()),
            Err(_) => {
                self.tally.unreadable += 1;
                return Ok(());
            }
        };
        let body = observed.body.as_bytes();
        let reading = provider::read(it.provider, &observed.event_type, body, mode);
        let (mut about, mut facts) = (None, Vec::new());
        // Of one that cannot be understood the ledger will say why.
        if let Ok(reading) = reading {
            if what == Listed::Events {
                let times = self.oldest.into_iter().chain(reading.occurred_at);
                self.oldest = times.min();
            }
            let Meaning::Facts(occurrence) = reading.meaning else {
                return Ok(());
            };
            if what != Listed::Events {
                about = about_of(&occurrence.facts);
                facts = occurrence.facts;
            }
        }
        let message = message(&it.app, it.provider, observed, mode, origin_of(it), now)?;
        self.messages.push(Read {
            message,
            about,
            facts,
        });
        Ok(())
    }

    /// Adds the features of an account, unless they are those that are known: each list that is kept
    /// takes the place of an older one.
    pub(super) fn add_features(
        &mut self,
        it: &Reconcile,
        list: &ObjectKey,
        fetched: &Fetched,
        known: &FeatureHistory,
        mode: Mode,
        now: Timestamp,
    ) -> Result<(), ReconcileError> {
        self.tally.read += 1;
        let Ok(Some(observed)) = api::observed_of(list, &fetched.object, fetched.at) else {
            self.tally.unreadable += 1;
            return Ok(());
        };
        let body = observed.body.as_bytes();
        if let Ok(reading) = provider::read(it.provider, &observed.event_type, body, mode)
            && let Meaning::Facts(occurrence) = reading.meaning
            && let [Fact::Features(fact)] = occurrence.facts.as_slice()
            && known.settles_on(&fact.list)
        {
            return Ok(());
        }
        let message = message(&it.app, it.provider, observed, mode, origin_of(it), now)?;
        self.messages.push(Read {
            message,
            about: None,
            facts: Vec::new(),
        });
        Ok(())
    }

    /// The objects that it is about.
    pub(super) fn objects(&self) -> BTreeSet<(ObjectTable, ObjectKey)> {
        let objects = self.messages.iter().filter_map(|it| it.about.clone());
        objects.collect()
    }
}

/// What is read says which comparison read it.
fn origin_of(it: &Reconcile) -> Origin {
    Origin::new(Some(it.id.to_string()), None)
}

/// Returns the object that an observation is about, and where it is kept.
fn about_of(facts: &[Fact]) -> Option<(ObjectTable, ObjectKey)> {
    facts.iter().find_map(|fact| match fact {
        Fact::Contact(fact) => Some((ObjectTable::Accounts, fact.account.clone())),
        Fact::AccountRemoved { account } => Some((ObjectTable::Accounts, account.clone())),
        Fact::Subscription(fact) => Some((ObjectTable::Subscriptions, fact.subscription.clone())),
        Fact::Payment(fact) => Some((ObjectTable::Payments, fact.document.clone())),
        Fact::Disputed { dispute, .. } => Some((ObjectTable::Disputes, dispute.clone())),
        Fact::Refunded(fact) => Some((ObjectTable::Refunds, fact.refund.clone())),
        _ => None,
    })
}

/// What became of a page.
pub(super) struct Applied {
    /// The numbers.
    pub(super) tally: Tally,
    /// Messages that could not be understood, and why.
    pub(super) failed: Vec<(Message, EventError)>,
    /// Apps whose customers have to be derived anew.
    walks: BTreeSet<AppSlug>,
}

impl Applied {
    /// Does what is done after the commit.
    pub(super) async fn finish(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        for app in &self.walks {
            policy::begin_walk(store, app, now).await;
        }
        for (message, error) in &self.failed {
            note::note(store, message, EventOutcome::Failed, error, now).await?;
        }
        Ok(())
    }
}

/// Applies a page. The transaction is still to be committed, with what else belongs into it; of a dry
/// run it is one in which nothing of the page is left.
pub(super) async fn apply(
    store: &Store,
    it: &Reconcile,
    page: &Page,
    is_events: bool,
    now: Timestamp,
) -> Result<(Tx, Applied), ReconcileError> {
    // Read apart: what a transaction reads before it has its locks may be old.
    let mut reading = store.read().await?;
    let known_objects = reading.reconcile_known(&it.app, &page.objects()).await?;
    let keys: Vec<EventKey> = page.messages.iter().map(|it| key_of(&it.message)).collect();
    let known_events = reading.ledger_find(&keys).await?;
    drop(reading);
    let mut fresh = Vec::new();
    let mut missing = BTreeSet::new();
    for (Read { message, about, .. }, key) in page.messages.iter().zip(keys) {
        if known_events.contains_key(&key) {
            continue;
        }
        fresh.push(message);
        let is_unknown = about.as_ref().is_some_and(|it| !known_objects.contains(it));
        if is_events || is_unknown {
            missing.insert(key);
        }
    }
    let mut mode = if fresh.len() <= MAX_PARALLEL {
        LockMode::Shared
    } else {
        LockMode::Exclusive
    };
    let (mut tx, mut applied) = loop {
        match try_apply(store, it, &fresh, &missing, is_events, now, mode).await {
            Err(ReconcileError::Store(StoreError::Contended)) if mode == LockMode::Shared => {
                mode = LockMode::Exclusive;
            }
            tried => break tried?,
        }
    };
    applied.tally.read += page.tally.read;
    applied.tally.unreadable += page.tally.unreadable;
    if it.dry_run {
        drop(tx);
        applied.failed.clear();
        tx = store.begin().await?;
    }
    Ok((tx, applied))
}

async fn try_apply(
    store: &Store,
    it: &Reconcile,
    messages: &[&Message],
    missing: &BTreeSet<EventKey>,
    is_events: bool,
    now: Timestamp,
    mode: LockMode,
) -> Result<(Tx, Applied), ReconcileError> {
    let named: Vec<Named> = messages.iter().map(|it| named_by(it)).collect();
    let read = read_all(&incoming(messages, &named));
    let mut tx = store.begin().await?;
    // A page that was read before its app was paused is the last: the next step waits.
    let processed = process_batch(&mut tx, read, now, mode, Paused::Process);
    let (dispositions, mut result) = processed.await?;
    // A webhook that came in the meantime is no delivery of ours.
    result.duplicates.clear();
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    let mut kept = BTreeSet::new();
    for (message, disposition) in messages.iter().zip(dispositions) {
        let key = key_of(message);
        let is_missing = missing.contains(&key);
        match disposition {
            Disposition::Done(EventOutcome::Applied) => {
                if is_missing {
                    tally.missing += 1;
                } else {
                    tally.different += 1;
                }
                kept.insert(key);
            }
            Disposition::Done(EventOutcome::Unchanged | EventOutcome::Superseded) if is_missing => {
                tally.missing += 1;
                kept.insert(key);
            }
            // Told as a webhook would be, so that it is not read again.
            Disposition::Done(_) if is_events => {
                kept.insert(key);
            }
            Disposition::Final(error) => {
                tally.unreadable += 1;
                failed.push(((*message).clone(), error));
            }
            Disposition::Done(_)
            | Disposition::Duplicate
            | Disposition::Redelivered
            | Disposition::Paused
            | Disposition::AppGone => {}
        }
    }
    result.entries.retain(|entry| kept.contains(&entry.key));
    let walks = if it.dry_run {
        BTreeSet::new()
    } else {
        result.write(&mut tx).await?
    };
    let applied = Applied {
        tally,
        failed,
        walks,
    };
    Ok((tx, applied))
}

fn key_of(message: &Message) -> EventKey {
    let headers = message.headers();
    EventKey {
        app: headers.app.clone(),
        provider: headers.provider,
        id: headers.event_id.clone(),
    }
}
