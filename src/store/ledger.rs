//! The event ledger, as the worker writes it: whole batches, a fixed number of statements.
//! Reading it is in `event.rs`.

use std::collections::BTreeMap;

use super::cell::Nanos;
use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::apply::change::Change;
use crate::domain::event::{BodyDigest, EventError, EventKey, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey, Provider};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// The ledger's word on an event that comes (again).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerState {
    /// The receipt whose processing led to the outcome.
    pub receipt: String,
    /// The result of its processing.
    pub outcome: EventOutcome,
    /// The mode of the secret that it was verified with, if it was ignored because the event was
    /// of the other mode: the right secret may still bring it.
    pub wrong_mode: Option<Mode>,
    /// True for a test event that a secret of any mode has verified: only one for test events can
    /// say that it is meant to count beside live ones.
    pub test_by_any: bool,
    /// The digest of the body that came first.
    pub digest: BodyDigest,
    /// The customer that the event belongs to.
    pub customer: Option<CustomerId>,
    /// The connected account (`acct_…`).
    pub connected: Option<String>,
    /// Live or test, where the payload or the secret says so.
    pub livemode: Option<bool>,
}

/// A row to write.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// Names the event.
    pub key: EventKey,
    /// The receipt that was processed.
    pub receipt: String,
    /// The provider's event type.
    pub event_type: String,
    /// The connected account (`acct_…`).
    pub connected: Option<String>,
    /// Live or test, where the payload or the secret says so.
    pub livemode: Option<bool>,
    /// The mode of the secret that verified it.
    pub mode: Mode,
    /// The provider's time of the event.
    pub occurred_at: Option<Timestamp>,
    /// The receiver's time.
    pub received_at: Timestamp,
    /// Time at which this outcome was reached.
    pub processed_at: Timestamp,
    /// The result of its processing.
    pub outcome: EventOutcome,
    /// Tries so far.
    pub attempts: u32,
    /// The reason of a failure, or why it was ignored.
    pub error: Option<EventError>,
    /// The customer that it concerns.
    pub customer: Option<CustomerId>,
    /// The billing account that it names, of one that was not processed: its customer's events
    /// are found by it.
    pub account: Option<ObjectKey>,
    /// The ids of objects that its payload names.
    pub named: Vec<String>,
    /// Its changes.
    pub changes: Vec<Change>,
    /// The signed bytes; `None` where nothing about a person may be kept.
    pub payload: Option<String>,
    /// Their digest.
    pub digest: BodyDigest,
}

/// An event as the ledger keeps it, to be published again.
#[derive(Debug)]
pub(crate) struct StoredEvent {
    pub(crate) provider: Provider,
    pub(crate) event_type: String,
    pub(crate) received_at: Timestamp,
    pub(crate) mode: Mode,
    pub(crate) outcome: EventOutcome,
    pub(crate) attempts: u32,
    /// `None` once it was removed.
    pub(crate) payload: Option<String>,
    pub(crate) payload_removed_at: Option<Timestamp>,
}

record! {
    impl StoredEvent from "events, payloads" {
        provider, event_type, received_at, mode, outcome, attempts, payload,
        payload_removed_at,
    }
}

record! {
    struct StateRow from "events" {
        app: AppSlug,
        provider: Provider,
        id: String,
        receipt: String,
        outcome: EventOutcome,
        wrong_mode: Option<Mode>,
        test_by_any: bool,
        digest: BodyDigest,
        customer_id: Option<CustomerId>,
        account: Option<String>,
        livemode: Option<bool>,
    }
}

record! {
    struct PlaceRow from "events" {
        seq: i64,
        app: AppSlug,
        provider: Provider,
        id: String,
        keeps_payload: bool,
    }
}

record! {
    struct WantedEvent<'a> {
        app: &'a AppSlug,
        provider: Provider,
        id: &'a str,
    }
}

record! {
    struct Duplicates<'a> {
        app: &'a AppSlug,
        provider: Provider,
        id: &'a str,
        more: u32,
    }
}

record! {
    struct NewEvent<'a> {
        app: &'a AppSlug,
        provider: Provider,
        id: &'a str,
        receipt: &'a str,
        event_type: &'a str,
        account: Option<&'a str>,
        livemode: Option<bool>,
        mode: Mode,
        occurred_at: Option<Nanos>,
        received_at: Timestamp,
        processed_at: Timestamp,
        outcome: EventOutcome,
        attempts: u32,
        error_code: Option<&'a str>,
        error_detail: Option<&'a str>,
        customer_id: Option<&'a CustomerId>,
        billing_account: Option<&'a ObjectKey>,
        changes: &'a Vec<Change>,
        payload_removed_at: Option<Timestamp>,
        digest: &'a BodyDigest,
    }
}

impl<'a> From<&'a LedgerEntry> for NewEvent<'a> {
    fn from(entry: &'a LedgerEntry) -> Self {
        let error = entry.error.as_ref();
        Self {
            app: &entry.key.app,
            provider: entry.key.provider,
            id: &entry.key.id,
            receipt: &entry.receipt,
            event_type: &entry.event_type,
            account: entry.connected.as_deref(),
            livemode: entry.livemode,
            mode: entry.mode,
            occurred_at: entry.occurred_at.map(Nanos),
            received_at: entry.received_at,
            processed_at: entry.processed_at,
            outcome: entry.outcome,
            attempts: entry.attempts,
            error_code: error.map(|error| error.code.as_str()),
            error_detail: error.map(|error| error.detail.as_str()),
            customer_id: entry.customer.as_ref(),
            billing_account: entry.account.as_ref(),
            changes: &entry.changes,
            payload_removed_at: entry.payload.is_none().then_some(entry.processed_at),
            digest: &entry.digest,
        }
    }
}

impl Tx {
    /// Finds what the ledger says of these events.
    pub(crate) async fn ledger_find(
        &mut self,
        keys: impl IntoIterator<Item = &EventKey> + Send,
    ) -> Result<BTreeMap<EventKey, LedgerState>, StoreError> {
        let wanted = keys.into_iter().map(|key| WantedEvent {
            app: &key.app,
            provider: key.provider,
            id: &key.id,
        });
        let wanted: Rows<WantedEvent<'_>> = wanted.collect();
        let sql = r"
            SELECT
                events.app, events.provider, events.id, receipt, outcome,
                CASE
                    WHEN outcome = 'ignored' AND error_code = 'livemode_mismatch' THEN mode
                END AS wrong_mode,
                COALESCE(NOT livemode, FALSE) AND mode = 'any' AS test_by_any,
                digest, customer_id, account, livemode
            FROM {rows} AS wanted
            JOIN events
                ON events.app = wanted.app
                AND events.provider = wanted.provider
                AND events.id = wanted.id
        ";
        let rows: Vec<StateRow> = self.fetch(sql, binds![wanted]).await?;
        let states = rows.into_iter().map(|row| {
            let key = EventKey {
                app: row.app,
                provider: row.provider,
                id: row.id,
            };
            let state = LedgerState {
                receipt: row.receipt,
                outcome: row.outcome,
                wrong_mode: row.wrong_mode,
                test_by_any: row.test_by_any,
                digest: row.digest,
                customer: row.customer_id,
                connected: row.account,
                livemode: row.livemode,
            };
            (key, state)
        });
        Ok(states.collect())
    }

    /// Writes outcomes: new rows, and new outcomes of rows that were `pending`, `failed`, replayed
    /// or ignored because of a secret's mode. When and how often an event came stays as it was, and
    /// so does its body, as long as it is kept: a failed event can only be replayed with one. An event
    /// of which nothing may be kept loses it; so does one that lost it while a message was under way,
    /// which only an erasure does.
    pub(crate) async fn ledger_write(&mut self, entries: &[LedgerEntry]) -> Result<(), StoreError> {
        // A batch may hold an event and its replay. One row for each event, the last word on it: a
        // statement may not write a row twice.
        let last: BTreeMap<&EventKey, usize> = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| (&entry.key, index))
            .collect();
        let is_last = |(index, entry): &(usize, &LedgerEntry)| last.get(&entry.key) == Some(index);
        let rows = entries.iter().enumerate().filter(is_last);
        let rows: Rows<NewEvent<'_>> = rows.map(|(_, entry)| entry.into()).collect();
        let sql = r"
            INSERT INTO events (
                app, provider, id, receipt, type, account, livemode, mode, occurred_at,
                received_at, processed_at, outcome, duplicates, attempts, error_code,
                error_detail, customer_id, billing_account, changes, payload_removed_at, digest
            )
            SELECT
                app, provider, id, receipt, event_type, account, livemode, mode, occurred_at,
                received_at, processed_at, outcome, 0, attempts, error_code,
                error_detail, customer_id, billing_account, changes, payload_removed_at, digest
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, provider, id) DO UPDATE SET
                receipt = excluded.receipt,
                mode = excluded.mode,
                account = excluded.account,
                livemode = excluded.livemode,
                occurred_at = excluded.occurred_at,
                processed_at = excluded.processed_at,
                outcome = excluded.outcome,
                attempts = excluded.attempts,
                error_code = excluded.error_code,
                error_detail = excluded.error_detail,
                customer_id = excluded.customer_id,
                billing_account = excluded.billing_account,
                changes = excluded.changes,
                payload_removed_at = CASE
                    WHEN excluded.payload_removed_at IS NOT NULL
                        OR (events.payload_removed_at IS NOT NULL AND events.outcome = 'pending')
                        THEN COALESCE(events.payload_removed_at, excluded.payload_removed_at)
                END
            RETURNING seq, app, provider, id, payload_removed_at IS NULL AS keeps_payload
        ";
        let written: Vec<PlaceRow> = self.fetch(sql, binds![rows]).await?;
        let gone = written.iter().filter(|row| !row.keeps_payload);
        self.payload_delete(gone.map(|row| row.seq).collect::<Vec<_>>())
            .await?;
        let kept = |row: PlaceRow| {
            let key = EventKey {
                app: row.app,
                provider: row.provider,
                id: row.id,
            };
            (key, (row.seq, row.keeps_payload))
        };
        let places: BTreeMap<EventKey, (i64, bool)> = written.into_iter().map(kept).collect();
        let rows = entries.iter().enumerate().filter(is_last);
        let payloads = rows.filter_map(|(_, entry)| {
            let (seq, is_kept) = places.get(&entry.key)?;
            let payload = entry.payload.as_deref()?;
            is_kept.then_some((*seq, payload))
        });
        self.payload_add(payloads.collect::<Vec<_>>()).await?;
        self.event_objects_add(entries, &places).await
    }

    /// Reads an event to be published again.
    pub(crate) async fn event_message(
        &mut self,
        app: &AppSlug,
        id: &str,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let sql = r"
            SELECT
                provider, type AS event_type, received_at, mode, outcome, attempts,
                (SELECT payload FROM payloads WHERE payloads.seq = events.seq) AS payload,
                payload_removed_at
            FROM events
            WHERE app = $1 AND id = $2
            ORDER BY received_at DESC
            LIMIT 1
        ";
        self.fetch_opt(sql, binds![app, id]).await
    }

    /// Counts further deliveries of events that are already in the ledger.
    pub(crate) async fn ledger_count_duplicates(
        &mut self,
        counts: &BTreeMap<EventKey, u32>,
    ) -> Result<(), StoreError> {
        let rows = counts.iter().map(|(key, more)| Duplicates {
            app: &key.app,
            provider: key.provider,
            id: &key.id,
            more: *more,
        });
        let rows: Rows<Duplicates<'_>> = rows.collect();
        let sql = r"
            UPDATE events
            SET duplicates = duplicates + new.more
            FROM {rows} AS new
            WHERE events.app = new.app
                AND events.provider = new.provider
                AND events.id = new.id
        ";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }
}
