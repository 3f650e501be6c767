//! What receivers have acknowledged, until the ledger has it.
//!
//! A row holds what one receiver acknowledged of one app in about a second: a list of ids, not a row
//! an event, which would double what each event writes. Rows are looked at again and again, in
//! growing intervals, and shrink to those events that are not in the ledger yet; an empty row goes.
//! So nothing stays of an event that was worked on, and what was lost on its way can be listed.

use serde::{Deserialize, Serialize};

use super::cell::{Document, IntoCell, documents};
use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;

/// A webhook that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgedEvent {
    /// The sender.
    #[serde(rename = "p")]
    pub provider: Provider,
    /// The provider's event id.
    #[serde(rename = "i")]
    pub id: String,
    /// The provider's event type.
    #[serde(rename = "t")]
    pub event_type: String,
    /// Time of its arrival, by the receiver's clock.
    #[serde(rename = "a")]
    pub received_at: Timestamp,
}

/// Some webhooks that were acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AcknowledgedEvents(pub(crate) Vec<AcknowledgedEvent>);

documents!(AcknowledgedEvents);

/// Events on their way into the table, as the list of [`AcknowledgedEvents`] that will stand there. Each is
/// written down at once: as texts of their own, thousands of them would be strewn over the memory that
/// requests come and go in.
#[derive(Clone, Debug)]
pub(crate) struct AcknowledgedNotes {
    /// The list without its closing bracket.
    open: String,
    count: usize,
    since: Timestamp,
}

impl AcknowledgedNotes {
    /// Begins an empty list.
    pub(crate) fn new() -> Self {
        Self {
            open: "[".to_owned(),
            count: 0,
            since: Timestamp::MAX,
        }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// When it has no form as JSON, which every event has.
    pub(crate) fn add(&mut self, event: &AcknowledgedEvent) -> Result<(), StoreError> {
        let Document(text) = Document::of(event)?;
        if self.count > 0 {
            self.open.push(',');
        }
        self.open.push_str(&text);
        self.count += 1;
        self.since = self.since.min(event.received_at);
        Ok(())
    }

    /// The number of events.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }
}

impl IntoCell for &AcknowledgedNotes {
    type Stored = Document;

    fn into_cell(self) -> Result<Option<Document>, StoreError> {
        Ok(Some(Document(format!("{}]", self.open))))
    }
}

/// Events of one app that were acknowledged at about the same time.
#[derive(Clone, Debug)]
pub(crate) struct AcknowledgedBatch {
    /// Its place in the table.
    pub(crate) seq: i64,
    /// The app.
    pub(crate) app: AppSlug,
    /// True if it was said of them that they are overdue.
    pub(crate) reported: bool,
    /// True if the last look found that no queue has any.
    pub(crate) nowhere: bool,
    /// Those that were not in the ledger when it was last looked at.
    pub(crate) events: AcknowledgedEvents,
}

record! {
    impl AcknowledgedBatch from "acknowledged" { seq, app, reported, nowhere, events }
}

record! {
    struct NewBatch<'a> {
        app: &'a AppSlug,
        since: Timestamp,
        count: i64,
        events: &'a AcknowledgedNotes,
    }
}

record! {
    struct KeptBatch<'a> {
        seq: i64,
        since: Timestamp,
        check_at: Timestamp,
        reported: bool,
        nowhere: bool,
        count: i64,
        events: &'a AcknowledgedEvents,
    }
}

/// The number of events that were acknowledged and not in the ledger when it was last looked at, by
/// age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcknowledgedWaiting {
    /// Acknowledged in the last minute. Some may be in the ledger by now.
    pub under_1_minute: u64,
    /// One to ten minutes ago.
    pub under_10_minutes: u64,
    /// Ten minutes to two hours ago.
    pub under_2_hours: u64,
    /// Longer ago than an event is ever retried.
    pub older: u64,
    /// When the first of them was received.
    pub oldest: Option<Timestamp>,
}

record! {
    impl AcknowledgedWaiting from "acknowledged" {
        under_1_minute, under_10_minutes, under_2_hours, older, oldest,
    }
}

fn count(events: &AcknowledgedEvents) -> i64 {
    i64::try_from(events.0.len()).unwrap_or(i64::MAX)
}

fn since(events: &AcknowledgedEvents) -> Option<Timestamp> {
    events.0.iter().map(|event| event.received_at).min()
}

impl Tx {
    /// Notes what was acknowledged. Apps that are gone are left out.
    pub(crate) async fn acknowledged_add<'a>(
        &mut self,
        batches: impl IntoIterator<Item = (&'a AppSlug, &'a AcknowledgedNotes)> + Send,
        check_at: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = batches.into_iter().map(|(app, events)| NewBatch {
            app,
            since: events.since,
            count: i64::try_from(events.count).unwrap_or(i64::MAX),
            events,
        });
        let rows: Rows<NewBatch<'_>> = rows.collect();
        let sql = r"
            INSERT INTO acknowledged (app, since, check_at, reported, nowhere, count, events)
            SELECT new.app, new.since, $2, $3, $3, new.count, new.events
            FROM {rows} AS new
            JOIN apps ON apps.slug = new.app
        ";
        self.execute(sql, binds![rows, check_at, false]).await?;
        Ok(())
    }

    /// Tells whether any batch is to be looked at again.
    pub(crate) async fn acknowledged_is_due(
        &mut self,
        now: Timestamp,
        longest: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = r"
            SELECT seq
            FROM acknowledged
            WHERE check_at <= $1 OR check_at > $2
            LIMIT 1
        ";
        let due: Option<i64> = self
            .fetch_value("acknowledged", sql, binds![now, longest])
            .await?;
        Ok(due.is_some())
    }

    /// Takes batches that are to be looked at again, those whose turn was longest ago first. One
    /// statement, so that of several takers each gets its own.
    pub(crate) async fn acknowledged_take(
        &mut self,
        now: Timestamp,
        until: Timestamp,
        longest: Timestamp,
        most: i64,
    ) -> Result<Vec<AcknowledgedBatch>, StoreError> {
        let sql = r"
            UPDATE acknowledged
            SET check_at = $2
            WHERE (check_at <= $1 OR check_at > $3)
                AND seq IN (
                    SELECT seq FROM acknowledged
                    WHERE check_at <= $1 OR check_at > $3
                    ORDER BY check_at, seq
                    LIMIT $4
                )
            RETURNING seq, app, reported, nowhere, events
        ";
        self.fetch(sql, binds![now, until, longest, most]).await
    }

    /// Writes what is left of batches, each with the time of the next look. Empty ones go.
    pub(crate) async fn acknowledged_keep(
        &mut self,
        batches: &[(AcknowledgedBatch, Timestamp)],
    ) -> Result<(), StoreError> {
        let done = batches
            .iter()
            .filter(|(batch, _)| batch.events.0.is_empty());
        let sql = "DELETE FROM acknowledged WHERE seq IN (SELECT key FROM {rows} AS done)";
        let done = keys(done.map(|(batch, _)| batch.seq));
        self.execute(sql, binds![done]).await?;
        let kept = batches.iter().filter_map(|(batch, check_at)| {
            Some(KeptBatch {
                seq: batch.seq,
                since: since(&batch.events)?,
                check_at: *check_at,
                reported: batch.reported,
                nowhere: batch.nowhere,
                count: count(&batch.events),
                events: &batch.events,
            })
        });
        let kept: Rows<KeptBatch<'_>> = kept.collect();
        let sql = r"
            UPDATE acknowledged
            SET
                since = kept.since, check_at = kept.check_at, reported = kept.reported,
                nowhere = kept.nowhere, count = kept.count, events = kept.events
            FROM {rows} AS kept
            WHERE acknowledged.seq = kept.seq
        ";
        self.execute(sql, binds![kept]).await?;
        Ok(())
    }

    /// Lists the oldest batches of an app, up to a number of batches.
    pub(crate) async fn acknowledged_oldest(
        &mut self,
        app: &AppSlug,
        most: i64,
    ) -> Result<Vec<AcknowledgedBatch>, StoreError> {
        let sql = r"
            SELECT seq, app, reported, nowhere, events
            FROM acknowledged
            WHERE app = $1
            ORDER BY since, seq
            LIMIT $2
        ";
        self.fetch(sql, binds![app, most]).await
    }

    /// Counts the events of an app of which it was said that they are overdue.
    pub(crate) async fn acknowledged_overdue(&mut self, app: &AppSlug) -> Result<u64, StoreError> {
        let sql = r"
            SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) AS n
            FROM acknowledged
            WHERE app = $1 AND reported
        ";
        let count: Option<u64> = self.fetch_value("acknowledged", sql, binds![app]).await?;
        Ok(count.unwrap_or_default())
    }

    /// Counts what waits, of one app or of all, by age. `bounds` are instants, the newest first.
    pub(crate) async fn acknowledged_waiting(
        &mut self,
        app: Option<&AppSlug>,
        [minute, ten_minutes, two_hours]: [Timestamp; 3],
    ) -> Result<AcknowledgedWaiting, StoreError> {
        // One engine's sum of whole numbers is a decimal.
        let sql = r"
            SELECT
                CAST(COALESCE(SUM(CASE WHEN since > $2 THEN count END), 0) AS BIGINT)
                    AS under_1_minute,
                CAST(COALESCE(SUM(CASE WHEN since <= $2 AND since > $3 THEN count END), 0)
                    AS BIGINT) AS under_10_minutes,
                CAST(COALESCE(SUM(CASE WHEN since <= $3 AND since > $4 THEN count END), 0)
                    AS BIGINT) AS under_2_hours,
                CAST(COALESCE(SUM(CASE WHEN since <= $4 THEN count END), 0) AS BIGINT) AS older,
                MIN(since) AS oldest
            FROM acknowledged
            WHERE $1 IS NULL OR app = $1
        ";
        let binds = binds![app, minute, ten_minutes, two_hours];
        Ok(self.fetch_opt(sql, binds).await?.unwrap_or_default())
    }
}
