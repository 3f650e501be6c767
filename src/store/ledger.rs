//! The event ledger, as the worker writes it: whole batches, a fixed number of statements.
//! Reading it is in `event.rs`.

use std::collections::BTreeMap;

use serde_json::json;

use super::driver::{Batch, Kind, Row, binds};
use super::{StoreError, Tx};
use crate::domain::event::{EventError, EventKey, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId, Provider};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// What the ledger says of an event that comes (again).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerState {
    /// The receipt whose processing led to the outcome.
    pub receipt: String,
    /// What became of it.
    pub outcome: EventOutcome,
    /// The mode of the secret that it was verified with, if it was ignored because the event was
    /// of the other mode: the right secret may still bring it.
    pub wrong_mode: Option<Mode>,
}

/// A row to write.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// Which event.
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
    /// When this outcome was reached.
    pub processed_at: Timestamp,
    /// What became of it.
    pub outcome: EventOutcome,
    /// Tries so far.
    pub attempts: u32,
    /// Why it failed or was ignored.
    pub error: Option<EventError>,
    /// Whose customer it concerns.
    pub customer: Option<CustomerId>,
    /// What it changed, as a JSON list.
    pub changes: serde_json::Value,
    /// The signed bytes.
    pub payload: String,
}

/// An event as the ledger keeps it, to be published again.
#[derive(Debug)]
pub(crate) struct StoredEvent {
    pub(crate) provider: Provider,
    pub(crate) event_type: String,
    pub(crate) received_at: Timestamp,
    pub(crate) mode: Mode,
    pub(crate) outcome: EventOutcome,
    pub(crate) payload: String,
}

impl Tx {
    /// What the ledger says of these events.
    pub(crate) async fn ledger_find(
        &mut self,
        keys: impl IntoIterator<Item = &EventKey> + Send,
    ) -> Result<BTreeMap<EventKey, LedgerState>, StoreError> {
        let mut rows = Batch::new(&[
            ("app", Kind::Text),
            ("provider", Kind::Text),
            ("id", Kind::Text),
        ]);
        for key in keys {
            rows.row([json!(key.app), json!(key.provider), json!(key.id)]);
        }
        let sql = "SELECT events.app, events.provider, events.id, receipt, outcome, \
                   CASE WHEN outcome = 'ignored' AND error_code = 'livemode_mismatch' \
                   THEN mode END AS wrong_mode \
                   FROM {rows} AS wanted \
                   JOIN events ON events.app = wanted.app \
                   AND events.provider = wanted.provider AND events.id = wanted.id";
        self.fetch(sql, binds![rows])
            .await?
            .iter()
            .map(|row| {
                let key = EventKey {
                    app: row.parsed("app")?,
                    provider: row.parsed("provider")?,
                    id: row.text("id")?,
                };
                let state = LedgerState {
                    receipt: row.text("receipt")?,
                    outcome: row.parsed("outcome")?,
                    wrong_mode: row.parsed_opt("wrong_mode")?,
                };
                Ok((key, state))
            })
            .collect()
    }

    /// Writes outcomes: new rows, and new outcomes of rows that were `pending`, `failed`, replayed
    /// or ignored because of a secret's mode. When and how often an event came stays as it was.
    pub(crate) async fn ledger_write(&mut self, entries: &[LedgerEntry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut rows = Batch::new(&[
            ("app", Kind::Text),
            ("provider", Kind::Text),
            ("id", Kind::Text),
            ("receipt", Kind::Text),
            ("type", Kind::Text),
            ("account", Kind::Text),
            ("livemode", Kind::Bool),
            ("mode", Kind::Text),
            ("occurred_at", Kind::Nanos),
            ("received_at", Kind::Time),
            ("processed_at", Kind::Time),
            ("outcome", Kind::Text),
            ("attempts", Kind::Int),
            ("error_code", Kind::Text),
            ("error_detail", Kind::Text),
            ("customer_id", Kind::Text),
            ("changes", Kind::Json),
            ("payload", Kind::Text),
        ]);
        // A batch may hold an event and its replay. One row for each event, the last word on it: a
        // statement may not write a row twice.
        let last: BTreeMap<&EventKey, usize> = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| (&entry.key, index))
            .collect();
        let is_last = |(index, entry): &(usize, &LedgerEntry)| last.get(&entry.key) == Some(index);
        for (_, entry) in entries.iter().enumerate().filter(is_last) {
            rows.row([
                json!(entry.key.app),
                json!(entry.key.provider),
                json!(entry.key.id),
                json!(entry.receipt),
                json!(entry.event_type),
                json!(entry.connected),
                json!(entry.livemode),
                json!(entry.mode),
                json!(entry.occurred_at),
                json!(entry.received_at),
                json!(entry.processed_at),
                json!(entry.outcome),
                json!(entry.attempts),
                json!(entry.error.as_ref().map(|error| &error.code)),
                json!(entry.error.as_ref().map(|error| &error.detail)),
                json!(entry.customer),
                json!(entry.changes.to_string()),
                json!(entry.payload),
            ]);
        }
        let sql = "INSERT INTO events (app, provider, id, receipt, type, account, livemode, mode, \
                   occurred_at, received_at, processed_at, outcome, duplicates, attempts, \
                   error_code, error_detail, customer_id, changes, payload) \
                   SELECT app, provider, id, receipt, type, account, livemode, mode, \
                   occurred_at, received_at, processed_at, outcome, 0, attempts, \
                   error_code, error_detail, customer_id, changes, payload \
                   FROM {rows} AS new WHERE true \
                   ON CONFLICT (app, provider, id) DO UPDATE SET receipt = excluded.receipt, \
                   mode = excluded.mode, account = excluded.account, livemode = excluded.livemode, \
                   occurred_at = excluded.occurred_at, processed_at = excluded.processed_at, \
                   outcome = excluded.outcome, attempts = excluded.attempts, \
                   error_code = excluded.error_code, error_detail = excluded.error_detail, \
                   customer_id = excluded.customer_id, changes = excluded.changes";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }

    /// What a replay of an event needs.
    pub(crate) async fn event_message(
        &mut self,
        app: &AppSlug,
        id: &str,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let sql = "SELECT provider, type, received_at, mode, outcome, payload FROM events \
                   WHERE app = $1 AND id = $2 \
                   ORDER BY received_at DESC LIMIT 1";
        let Some(row) = self.fetch_opt(sql, binds![app.as_str(), id]).await? else {
            return Ok(None);
        };
        stored_of(&row).map(Some)
    }

    /// Counts further deliveries of events that are already in the ledger.
    pub(crate) async fn ledger_count_duplicates(
        &mut self,
        counts: &BTreeMap<EventKey, u32>,
    ) -> Result<(), StoreError> {
        if counts.is_empty() {
            return Ok(());
        }
        let mut rows = Batch::new(&[
            ("app", Kind::Text),
            ("provider", Kind::Text),
            ("id", Kind::Text),
            ("more", Kind::Int),
        ]);
        for (key, more) in counts {
            rows.row([
                json!(key.app),
                json!(key.provider),
                json!(key.id),
                json!(more),
            ]);
        }
        let sql = "UPDATE events SET duplicates = duplicates + new.more FROM {rows} AS new \
                   WHERE events.app = new.app AND events.provider = new.provider \
                   AND events.id = new.id";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }
}

/// The columns that a replay needs.
pub(super) fn stored_of(row: &Row) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        provider: row.parsed("provider")?,
        event_type: row.text("type")?,
        received_at: row.time("received_at")?,
        mode: row.parsed("mode")?,
        outcome: row.parsed("outcome")?,
        payload: row.text("payload")?,
    })
}
