//! The event ledger, as people read it. How it is written is in `ledger.rs`.

use super::customer::part;
use super::customer_rows::rows_of;
use super::event_filter::EventFilter;
use super::event_object::hash;
use super::page::{Key, Listed, Window};
use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::event::{EventError, EventKey, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey, Provider};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// An event as the ledger has it.
#[derive(Clone, Debug)]
pub struct EventRecord {
    /// Its place in the ledger.
    pub seq: i64,
    /// Names the event.
    pub key: EventKey,
    /// The provider's event type.
    pub event_type: String,
    /// The connected account (`acct_…`).
    pub account: Option<String>,
    /// Live or test, where the payload or the secret says so.
    pub livemode: Option<bool>,
    /// The provider's time of the event.
    pub occurred_at: Option<Timestamp>,
    /// Time of its arrival, by the receiver's clock.
    pub received_at: Timestamp,
    /// Time at which its outcome was reached.
    pub processed_at: Option<Timestamp>,
    /// The result of its processing.
    pub outcome: EventOutcome,
    /// The number of further deliveries.
    pub duplicates: i64,
    /// Tries so far.
    pub attempts: i64,
    /// The reason of a failure, or why it was ignored.
    pub error: Option<EventError>,
    /// The customer that it concerns.
    pub customer: Option<CustomerId>,
    /// The billing account that it names, of one that was not processed.
    pub billing_account: Option<ObjectKey>,
    /// Its changes, as a JSON list.
    pub changes: serde_json::Value,
    /// The signed bytes; only where one event is read, and until they are removed.
    pub payload: Option<String>,
    /// Time at which the payload was removed.
    pub payload_removed_at: Option<Timestamp>,
}

record! {
    struct EventRow from "events" {
        seq: i64,
        app: AppSlug,
        provider: Provider,
        id: String,
        event_type: String,
        account: Option<String>,
        livemode: Option<bool>,
        occurred_at: Option<Timestamp>,
        received_at: Timestamp,
        processed_at: Option<Timestamp>,
        outcome: EventOutcome,
        duplicates: i64,
        attempts: i64,
        error_code: Option<String>,
        error_detail: Option<String>,
        customer_id: Option<CustomerId>,
        billing_account: Option<ObjectKey>,
        changes: serde_json::Value,
        payload_removed_at: Option<Timestamp>,
    }
}

record! {
    struct PayloadRow from "payloads" {
        payload: Option<String>,
    }
}

record! {
    struct ModeRow from "events" {
        mode: Mode,
        payload: Option<String>,
    }
}

/// An event with its payload, and where it stands in the ledger.
#[derive(Clone, Debug)]
pub(crate) struct PlacedEvent {
    /// Its place.
    pub(crate) place: i64,
    /// The mode of the secret that verified it.
    pub(crate) mode: Mode,
    /// The event.
    pub(crate) record: EventRecord,
}

impl From<EventRow> for EventRecord {
    fn from(row: EventRow) -> Self {
        let detail = row.error_detail.unwrap_or_default();
        Self {
            seq: row.seq,
            key: EventKey {
                app: row.app,
                provider: row.provider,
                id: row.id,
            },
            event_type: row.event_type,
            account: row.account,
            livemode: row.livemode,
            occurred_at: row.occurred_at,
            received_at: row.received_at,
            processed_at: row.processed_at,
            outcome: row.outcome,
            duplicates: row.duplicates,
            attempts: row.attempts,
            error: row.error_code.map(|code| EventError { code, detail }),
            customer: row.customer_id,
            billing_account: row.billing_account,
            changes: row.changes,
            payload: None,
            payload_removed_at: row.payload_removed_at,
        }
    }
}

/// What is read of an event, without its payload.
const SELECTED: &str = r"
    seq, app, provider, id, type AS event_type, account, livemode, occurred_at, received_at,
    processed_at, outcome, duplicates, attempts, error_code, error_detail, customer_id,
    billing_account, changes, payload_removed_at
";

impl Tx {
    /// Finds an event by the provider's id, with its payload. Should two providers have used one
    /// id, the newer event is found.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn event_find(
        &mut self,
        app: &AppSlug,
        id: &str,
    ) -> Result<Option<EventRecord>, StoreError> {
        let sql = format!(
            r"
            SELECT
                {SELECTED},
                (SELECT payload FROM payloads WHERE payloads.seq = events.seq) AS payload
            FROM events
            WHERE app = $1 AND id = $2
            ORDER BY received_at DESC
            LIMIT 1
            "
        );
        let found: Option<(EventRow, PayloadRow)> = self.fetch_opt(&sql, binds![app, id]).await?;
        Ok(found.map(|(event, PayloadRow { payload })| EventRecord {
            payload,
            ..event.into()
        }))
    }

    /// Reads events by their places, with their payloads, the newest first.
    pub(crate) async fn event_at(
        &mut self,
        places: &[i64],
    ) -> Result<Vec<PlacedEvent>, StoreError> {
        let sql = r"
            SELECT
                seq, app, provider, events.id, type AS event_type, account, livemode,
                occurred_at, received_at, processed_at, outcome, duplicates, attempts,
                error_code, error_detail, customer_id, billing_account, changes,
                payload_removed_at, mode,
                (SELECT payload FROM payloads WHERE payloads.seq = events.seq) AS payload
            FROM {rows} AS wanted
            JOIN events ON events.seq = wanted.key
            ORDER BY seq DESC
        ";
        let rows: Vec<(EventRow, ModeRow)> = self
            .fetch(sql, binds![keys(places.iter().copied())])
            .await?;
        let read = rows.into_iter().map(|(event, row)| PlacedEvent {
            place: event.seq,
            mode: row.mode,
            record: EventRecord {
                payload: row.payload,
                ..event.into()
            },
        });
        Ok(read.collect())
    }

    /// Lists the newest events, by the provider's time, that were applied to a customer and name
    /// this object. Without payloads.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn event_deciding(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        object: &str,
        most: i64,
    ) -> Result<Vec<EventRecord>, StoreError> {
        // Only the customer's own chain is searched, and ends at the first that were wanted.
        let rows = rows_of("$2");
        let sql = format!(
            r"
                SELECT {SELECTED}
                FROM events
                WHERE seq IN (
                        SELECT seq FROM events
                        WHERE app = $1 AND customer_id IN ({rows})
                    )
                    AND outcome = 'applied'
                    AND seq IN (SELECT seq FROM event_objects WHERE app = $1 AND hash = $3)
                ORDER BY occurred_at DESC, seq DESC
                LIMIT $4
            "
        );
        let binds = binds![app, customer, hash(object), most];
        let rows: Vec<EventRow> = self.fetch(&sql, binds).await?;
        Ok(rows.into_iter().map(EventRecord::from).collect())
    }

    /// Lists the newest events whose payload has this text as a value, of so many that are looked through.
    /// Without payloads.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn event_holding(
        &mut self,
        app: &AppSlug,
        text: &str,
        among: i64,
        most: i64,
    ) -> Result<Vec<EventRecord>, StoreError> {
        // SQLite keeps the order of a CROSS JOIN: only payloads of the newest events are read.
        let sql = format!(
            r"
            SELECT {SELECTED}
            FROM events
            WHERE seq IN (
                SELECT payloads.seq
                FROM (
                    SELECT seq FROM events WHERE app = $1 ORDER BY seq DESC LIMIT $3
                ) AS newest
                CROSS JOIN payloads
                WHERE payloads.seq = newest.seq AND payloads.payload LIKE $2 ESCAPE '\'
            )
            ORDER BY seq DESC
            LIMIT $4
            "
        );
        let pattern = part(&format!("\"{text}\""));
        let rows: Vec<EventRow> = self.fetch(&sql, binds![app, pattern, among, most]).await?;
        Ok(rows.into_iter().map(EventRecord::from).collect())
    }

    /// Lists events of an app, newest first, without payloads.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn event_list(
        &mut self,
        app: &AppSlug,
        wanted: &EventFilter,
        window: &Window,
    ) -> Result<Listed<EventRecord>, StoreError> {
        let select = format!("SELECT {SELECTED} FROM events");
        let filter = self.event_filter(app, wanted).await?;
        let seq = |row: &EventRow| row.seq.to_string();
        let list = self.list(&select, filter, Key::Number("seq"), window, seq);
        Ok(list.await?.map(EventRecord::from))
    }
}
