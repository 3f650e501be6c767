//! What the steps of an erasure read and write; see `store/erasure.rs`.

use serde_json::Value;

use super::erasure::Erasure;
use super::record::{Rows, binds, keys, record};
use super::{Actor, StoreError, Tx};
use crate::domain::event::{EventError, EventKey, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId, Provider};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

record! {
    /// An event that an erasure may change.
    pub(crate) struct ErasableEvent from "events" {
        pub(crate) seq: i64,
        pub(crate) provider: Provider,
        pub(crate) id: String,
        pub(crate) outcome: EventOutcome,
        pub(crate) changes: Value,
    }
}

record! {
    /// What an event says, as long as it is kept.
    pub(crate) struct ErasableBody from "events, payloads" {
        pub(crate) seq: i64,
        pub(crate) provider: Provider,
        pub(crate) event_type: String,
        pub(crate) mode: Mode,
        pub(crate) payload: String,
    }
}

impl ErasableEvent {
    /// The event by its key.
    pub(crate) fn key(&self, app: &AppSlug) -> EventKey {
        EventKey {
            app: app.clone(),
            provider: self.provider,
            id: self.id.clone(),
        }
    }
}

/// An event after an erasure.
pub(crate) struct ErasedEvent {
    pub(crate) seq: i64,
    pub(crate) outcome: EventOutcome,
    pub(crate) changes: Value,
    /// What its outcome is due to from now on, if that is another than before.
    pub(crate) error: Option<EventError>,
}

record! {
    struct ErasedRow<'a> {
        seq: i64,
        outcome: EventOutcome,
        changes: &'a Value,
        error_code: Option<&'a str>,
        error_detail: Option<&'a str>,
    }
}

record! {
    struct ChangesRow<'a> {
        seq: i64,
        changes: &'a Value,
    }
}

record! {
    /// An entry of the audit that an erasure may change.
    pub(crate) struct ErasableEntry from "audit" {
        pub(crate) seq: i64,
        pub(crate) actor: String,
        pub(crate) event: Option<String>,
        pub(crate) customer: Option<CustomerId>,
        pub(crate) operation: String,
        pub(crate) details: Value,
    }
}

record! {
    struct SharedRow<'a> {
        customer: &'a CustomerId,
        first: i64,
        last: i64,
        began_at: Timestamp,
        ended_at: Timestamp,
    }
}

record! {
    struct ActorRow<'a> {
        event: &'a str,
        actor: String,
    }
}

record! {
    struct DetailsRow<'a> {
        seq: i64,
        details: &'a Value,
    }
}

record! {
    struct KeyOfEvent<'a> {
        provider: Provider,
        id: &'a str,
    }
}

impl Tx {
    /// Finds the next events of an erased customer: those that concerned its row, and those that
    /// name anything of it. Their rows must be read again once they are locked.
    pub(crate) async fn erasure_events(
        &mut self,
        erasure: &Erasure,
        most: u32,
        most_bytes: i64,
    ) -> Result<Vec<ErasableEvent>, StoreError> {
        let hashes = keys(erasure.objects.hashes.iter().copied()).sent_when_empty();
        let sql = r"
            SELECT seq, provider, id, outcome, changes
            FROM (
                SELECT
                    seq, provider, id, outcome, changes,
                    SUM(bytes) OVER (ORDER BY seq) - bytes AS before
                FROM (
                    SELECT
                        seq, provider, id, outcome, changes,
                        COALESCE(
                            (
                                SELECT OCTET_LENGTH(payload) FROM payloads
                                WHERE payloads.seq = events.seq
                            ),
                            0
                        ) AS bytes
                    FROM events
                    WHERE seq IN (
                        SELECT seq FROM (
                            SELECT seq FROM events
                            WHERE app = $2 AND customer_id = $3 AND seq > $4 AND seq <= $5
                            ORDER BY seq LIMIT $6
                        ) AS applied
                        UNION
                        SELECT seq FROM (
                            SELECT DISTINCT seq FROM event_objects
                            WHERE app = $2
                                AND hash IN (SELECT key FROM {rows} AS named)
                                AND seq > $4 AND seq <= $5
                            ORDER BY seq LIMIT $6
                        ) AS naming
                    )
                    ORDER BY seq
                    LIMIT $6
                ) AS next
            ) AS sized
            WHERE before < $7
            ORDER BY seq
        ";
        let binds = binds![
            hashes,
            &erasure.app,
            &erasure.customer,
            erasure.cursor,
            erasure.last_seq,
            most,
            most_bytes,
        ];
        self.fetch(sql, binds).await
    }

    /// Finds the next events that name any of some objects, and whose payloads are still there.
    /// Those of a customer who is not erased are left out.
    pub(crate) async fn erasure_events_naming(
        &mut self,
        app: &AppSlug,
        hashes: &[i64],
        after: i64,
        (most, most_bytes): (u32, i64),
    ) -> Result<Vec<ErasableEvent>, StoreError> {
        let sql = r"
            SELECT seq, provider, id, outcome, changes
            FROM (
                SELECT
                    seq, provider, id, outcome, changes,
                    SUM(bytes) OVER (ORDER BY seq) - bytes AS before
                FROM (
                    SELECT
                        events.seq, provider, id, outcome, changes,
                        OCTET_LENGTH(payload) AS bytes
                    FROM events
                    JOIN payloads ON payloads.seq = events.seq
                    WHERE events.seq IN (
                            SELECT seq FROM event_objects
                            WHERE app = $2
                                AND hash IN (SELECT key FROM {rows} AS named)
                                AND seq > $5
                        )
                        AND NOT EXISTS (
                            SELECT 1 FROM customers WHERE customers.id = events.customer_id
                        )
                    ORDER BY events.seq
                    LIMIT $3
                ) AS next
            ) AS sized
            WHERE before < $4
            ORDER BY seq
        ";
        let named = keys(hashes.iter().copied());
        self.fetch(sql, binds![named, app, most, most_bytes, after])
            .await
    }

    /// Reads the payloads of events by their places, of those that still have one.
    pub(crate) async fn erasure_bodies(
        &mut self,
        places: impl IntoIterator<Item = i64> + Send,
    ) -> Result<Vec<ErasableBody>, StoreError> {
        let sql = r"
            SELECT events.seq, provider, type AS event_type, mode, payload
            FROM {rows} AS wanted
            JOIN events ON events.seq = wanted.key
            JOIN payloads ON payloads.seq = wanted.key
        ";
        self.fetch(sql, binds![keys(places)]).await
    }

    /// Reads events by their places, as they are now.
    pub(crate) async fn erasure_events_again(
        &mut self,
        places: impl IntoIterator<Item = i64> + Send,
    ) -> Result<Vec<ErasableEvent>, StoreError> {
        let sql = r"
            SELECT events.seq, provider, id, outcome, changes
            FROM {rows} AS wanted
            JOIN events ON events.seq = wanted.key
        ";
        self.fetch(sql, binds![keys(places)]).await
    }

    /// Reads the events of these keys.
    pub(crate) async fn erasure_events_of(
        &mut self,
        app: &AppSlug,
        events: &[EventKey],
    ) -> Result<Vec<ErasableEvent>, StoreError> {
        let rows = events.iter().map(|key| KeyOfEvent {
            provider: key.provider,
            id: &key.id,
        });
        let rows: Rows<KeyOfEvent<'_>> = rows.collect();
        let sql = r"
            SELECT seq, events.provider, events.id, outcome, changes
            FROM {rows} AS wanted
            JOIN events
                ON events.app = $2
                AND events.provider = wanted.provider
                AND events.id = wanted.id
        ";
        self.fetch(sql, binds![rows, app]).await
    }

    /// Removes the payloads of events, and writes what is left of the rest.
    pub(crate) async fn erasure_events_put(
        &mut self,
        events: &[ErasedEvent],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = events.iter().map(|event| ErasedRow {
            seq: event.seq,
            outcome: event.outcome,
            changes: &event.changes,
            error_code: event.error.as_ref().map(|error| error.code.as_str()),
            error_detail: event.error.as_ref().map(|error| error.detail.as_str()),
        });
        let rows: Rows<ErasedRow<'_>> = rows.collect();
        let sql = r"
            UPDATE events
            SET
                outcome = new.outcome,
                changes = new.changes,
                error_code = COALESCE(new.error_code, events.error_code),
                error_detail = COALESCE(new.error_detail, events.error_detail),
                billing_account = CASE
                    WHEN new.error_code IS NULL THEN events.billing_account
                END,
                payload_removed_at = COALESCE(payload_removed_at, $2)
            FROM {rows} AS new
            WHERE events.seq = new.seq
        ";
        self.execute(sql, binds![rows, now]).await?;
        self.payload_delete(events.iter().map(|event| event.seq))
            .await
    }

    /// Writes what is left of the changes of events.
    pub(crate) async fn erasure_changes_put(
        &mut self,
        changes: &[(i64, Value)],
    ) -> Result<(), StoreError> {
        let rows = changes.iter();
        let rows: Rows<ChangesRow<'_>> = rows
            .map(|(seq, changes)| ChangesRow { seq: *seq, changes })
            .collect();
        let sql = r"
            UPDATE events
            SET changes = new.changes
            FROM {rows} AS new
            WHERE events.seq = new.seq
        ";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }

    /// Reads the next entries of the audit about an erased customer, and those about others from
    /// the time in which they had an account of it.
    pub(crate) async fn erasure_audit(
        &mut self,
        erasure: &Erasure,
        most: u32,
    ) -> Result<Vec<ErasableEntry>, StoreError> {
        let shared = erasure.objects.shared.iter().map(|time| SharedRow {
            customer: &time.customer,
            first: time.first,
            last: time.last,
            began_at: time.began_at,
            ended_at: time.ended_at,
        });
        let shared: Rows<SharedRow<'_>> = shared.collect();
        let sql = r"
            SELECT seq, actor, event, customer_id AS customer, operation, details
            FROM audit
            WHERE seq IN (
                SELECT seq FROM (
                    SELECT seq FROM audit
                    WHERE app = $2 AND customer_id = $3 AND seq > $4
                    ORDER BY seq LIMIT $5
                ) AS own
                UNION
                SELECT audit.seq
                FROM {rows} AS shared
                JOIN audit ON audit.app = $2 AND audit.customer_id = shared.customer
                WHERE audit.seq > $4
                    AND (
                        audit.seq >= shared.first AND audit.seq <= shared.last
                        OR audit.at IN (shared.began_at, shared.ended_at)
                    )
            )
            ORDER BY seq
            LIMIT $5
        ";
        let binds = binds![
            shared.sent_when_empty(),
            &erasure.app,
            &erasure.customer,
            erasure.cursor,
            most,
        ];
        self.fetch(sql, binds).await
    }

    /// Reads the entries of the audit that some events made.
    pub(crate) async fn erasure_audit_of(
        &mut self,
        app: &AppSlug,
        events: &[ErasableEvent],
    ) -> Result<Vec<ErasableEntry>, StoreError> {
        let made = events.iter().map(|event| ActorRow {
            event: &event.id,
            actor: Actor::Event(event.key(app)).to_string(),
        });
        let made: Rows<ActorRow<'_>> = made.collect();
        let sql = r"
            SELECT
                seq, audit.actor, audit.event, customer_id AS customer, operation, details
            FROM {rows} AS made
            JOIN audit
                ON audit.app = $2
                AND audit.event = made.event
                AND audit.actor = made.actor
        ";
        self.fetch(sql, binds![made, app]).await
    }

    /// Writes what is left of entries of the audit. The database takes it only while an erasure is
    /// under way, and only what was there before and that something was erased.
    pub(crate) async fn erasure_audit_put(
        &mut self,
        entries: &[(i64, Value)],
    ) -> Result<(), StoreError> {
        let rows = entries.iter();
        let rows: Rows<DetailsRow<'_>> = rows
            .map(|(seq, details)| DetailsRow { seq: *seq, details })
            .collect();
        let sql = r"
            UPDATE audit
            SET details = new.details
            FROM {rows} AS new
            WHERE audit.seq = new.seq
        ";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }
}
