//! Replays of many events, kept so that they go on after a restart.
//!
//! A replay is a filter and a cursor in the ledger. A worker that carries it out leases it,
//! publishes the next events and moves the cursor behind them.

use super::filter::Filter;
use super::ledger::StoredEvent;
use super::page::{Key, Listed, Window};
use super::record::{binds, record};
use super::{EventFilter, StoreError, Tx};
use crate::domain::id::{AppSlug, ReplayId};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// The status of a replay of many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayStatus {
    /// Events are still to be published.
    Open,
    /// All were published.
    Finished,
    /// An admin canceled it.
    Canceled,
}

words!(ReplayStatus {
    Open = "open",
    Finished = "finished",
    Canceled = "canceled",
});

/// A replay of many events.
#[derive(Clone, Debug)]
pub struct BulkReplay {
    /// Names it in the API.
    pub id: ReplayId,
    /// The app of the ledger.
    pub app: AppSlug,
    /// The events that it is about.
    pub filter: EventFilter,
    /// Also those that have had their effect.
    pub force: bool,
    /// Most events published in a second; `None` for as many as go without keeping webhooks waiting.
    pub per_second: Option<u32>,
    /// Time of the order, by the local clock.
    pub created_at: Timestamp,
    /// The last row of the ledger then: what comes later is left alone.
    pub last_seq: i64,
    /// The last row that was looked at; 0 at the start.
    pub cursor: i64,
    /// The number of events that it was about when it was ordered.
    pub matched: i64,
    /// The number of events published so far.
    pub published: i64,
    /// The number of events that were not published, because their payloads were removed.
    pub skipped: i64,
    /// Time at which the last of them was published, or at which it was canceled.
    pub finished_at: Option<Timestamp>,
    /// Time at which it was canceled.
    pub canceled_at: Option<Timestamp>,
}

record! {
    impl BulkReplay from "replays" {
        id, app, filter, force, per_second, created_at, last_seq, cursor, matched, published,
        skipped, finished_at, canceled_at,
    }
}

impl BulkReplay {
    /// Returns its status.
    pub fn status(&self) -> ReplayStatus {
        match (self.finished_at, self.canceled_at) {
            (_, Some(_)) => ReplayStatus::Canceled,
            (Some(_), None) => ReplayStatus::Finished,
            (None, None) => ReplayStatus::Open,
        }
    }
}

/// The events that a replay would be about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayable {
    /// Their number.
    pub count: u64,
    /// The number of those among them whose payloads were removed, which would be skipped.
    pub skipped: u64,
    /// The ids of the first of the others, oldest first.
    pub first: Vec<String>,
    /// The last row of the app's ledger, whatever the filter.
    pub last_seq: i64,
}

/// The progress that one batch of a replay made.
#[derive(Clone, Copy, Debug)]
pub struct ReplayStep {
    /// The last row that was looked at.
    pub cursor: i64,
    /// The number of events published.
    pub published: i64,
    /// The number of events whose payloads were removed.
    pub skipped: i64,
    /// Time of the end, if there are no more.
    pub finished_at: Option<Timestamp>,
}

/// An event of the ledger that is to be published again.
#[derive(Debug)]
pub(crate) struct ReplayedEvent {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) stored: StoredEvent,
}

record! {
    struct PlaceRow from "events" {
        seq: i64,
        id: String,
    }
}

record! {
    /// The numbers of a preview, with one of the first ids.
    struct PreviewRow from "events" {
        count: u64,
        skipped: u64,
        last_seq: i64,
        id: Option<String>,
    }
}

impl Tx {
    /// The events that a replay is about.
    async fn replayable(
        &mut self,
        app: &AppSlug,
        wanted: &EventFilter,
        force: bool,
    ) -> Result<Filter, StoreError> {
        let mut filter = self.event_filter(app, wanted).await?;
        if !force {
            filter.and_plain("outcome IN ('pending', 'ignored', 'failed')");
        }
        Ok(filter)
    }

    /// Counts the events that a replay would be about, with as many ids as `most`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_preview(
        &mut self,
        app: &AppSlug,
        wanted: &EventFilter,
        force: bool,
        most: u32,
    ) -> Result<Replayable, StoreError> {
        // One statement, so that all numbers are of one moment.
        let mut filter = self.replayable(app, wanted, force).await?;
        let most = filter.place(most);
        let (conditions, binds) = filter.into_parts();
        let sql = format!(
            r"
            SELECT numbers.count, numbers.skipped, ledger.last_seq, earliest.id
            FROM (
                SELECT
                    COUNT(*) AS count,
                    COALESCE(SUM(CASE WHEN payload_removed_at IS NOT NULL THEN 1 END), 0) AS skipped
                FROM events
                WHERE {conditions}
            ) AS numbers
            CROSS JOIN (
                SELECT COALESCE(MAX(seq), 0) AS last_seq FROM events WHERE app = $1
            ) AS ledger
            LEFT JOIN (
                SELECT seq, id
                FROM events
                WHERE {conditions} AND payload_removed_at IS NULL
                ORDER BY seq
                LIMIT {most}
            ) AS earliest ON TRUE
            ORDER BY earliest.seq
            "
        );
        let rows: Vec<PreviewRow> = self.fetch(&sql, binds).await?;
        let mut about = Replayable::default();
        for row in rows {
            (about.count, about.skipped, about.last_seq) = (row.count, row.skipped, row.last_seq);
            about.first.extend(row.id);
        }
        Ok(about)
    }

    /// Keeps a replay that was ordered. Workers will find it. Returns false, and keeps nothing, if
    /// the app has one that is open.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_add(&mut self, replay: &BulkReplay) -> Result<bool, StoreError> {
        let sql = r"
            INSERT INTO replays (
                id, app, filter, force, per_second, created_at, last_seq, cursor, matched,
                published, skipped, leased_until
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $6)
            ON CONFLICT DO NOTHING
        ";
        let binds = binds![
            &replay.id,
            &replay.app,
            &replay.filter,
            replay.force,
            replay.per_second.map(i64::from),
            replay.created_at,
            replay.last_seq,
            replay.cursor,
            replay.matched,
            replay.published,
            replay.skipped,
        ];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// Ends a replay that is open. Returns false if none of this id is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_cancel(
        &mut self,
        app: &AppSlug,
        id: &ReplayId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE replays
            SET finished_at = $3, canceled_at = $3
            WHERE app = $1 AND id = $2 AND finished_at IS NULL
        ";
        Ok(self.execute(sql, binds![app, id, now]).await? > 0)
    }

    /// Finds the replay of an app that is open.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_open(&mut self, app: &AppSlug) -> Result<Option<ReplayId>, StoreError> {
        let sql = "SELECT id FROM replays WHERE app = $1 AND finished_at IS NULL";
        self.fetch_value("replays", sql, binds![app]).await
    }

    /// Lists the replays of an app, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_list(
        &mut self,
        app: &AppSlug,
        window: &Window,
    ) -> Result<Listed<BulkReplay>, StoreError> {
        let select = r"
            SELECT
                id, app, filter, force, per_second, created_at, last_seq, cursor, matched,
                published, skipped, finished_at, canceled_at
            FROM replays
        ";
        let filter = Filter::new("app = ?", app);
        let id = |replay: &BulkReplay| replay.id.to_string();
        self.list(select, filter, Key::Text("id"), window, id).await
    }

    /// Finds a replay.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_find(
        &mut self,
        app: &AppSlug,
        id: &ReplayId,
    ) -> Result<Option<BulkReplay>, StoreError> {
        let sql = r"
            SELECT
                id, app, filter, force, per_second, created_at, last_seq, cursor, matched,
                published, skipped, finished_at, canceled_at
            FROM replays
            WHERE app = $1 AND id = $2
        ";
        self.fetch_opt(sql, binds![app, id]).await
    }

    /// Returns when the next step of any open replay is due; `None` if none is open. Cheaper than to
    /// ask for a replay.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_next(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let sql = r"
            SELECT MIN(leased_until) AS next
            FROM replays
            WHERE finished_at IS NULL
                AND app NOT IN (SELECT app FROM pauses WHERE ended_at IS NULL)
        ";
        let next: Option<Option<Timestamp>> = self.fetch_value("replays", sql, binds![]).await?;
        Ok(next.flatten())
    }

    /// Takes an unfinished replay for a while: the one whose turn was longest ago. One statement, so
    /// that of several workers one gets it. A lease beyond `longest` was given by a clock that was
    /// ahead, and is not heeded.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_lease(
        &mut self,
        now: Timestamp,
        until: Timestamp,
        longest: Timestamp,
    ) -> Result<Option<BulkReplay>, StoreError> {
        // Asked for twice, because an engine with several writers asks the outer question again
        // after it has waited for another taker.
        let sql = r"
            UPDATE replays
            SET leased_until = $2
            WHERE finished_at IS NULL
                AND (leased_until <= $1 OR leased_until > $3)
                AND id = (
                    SELECT id FROM replays
                    WHERE finished_at IS NULL AND (leased_until <= $1 OR leased_until > $3)
                        AND app NOT IN (SELECT app FROM pauses WHERE ended_at IS NULL)
                    ORDER BY leased_until, id
                    LIMIT 1
                )
            RETURNING
                id, app, filter, force, per_second, created_at, last_seq, cursor, matched,
                published, skipped, finished_at, canceled_at
        ";
        self.fetch_opt(sql, binds![now, until, longest]).await
    }

    /// Reads the next events of a replay, oldest first.
    pub(crate) async fn replay_events(
        &mut self,
        replay: &BulkReplay,
        most: u32,
    ) -> Result<Vec<ReplayedEvent>, StoreError> {
        let filter = self.replayable(&replay.app, &replay.filter, replay.force);
        let mut filter = filter.await?;
        filter.and("seq > ?", replay.cursor);
        filter.and("seq <= ?", replay.last_seq);
        let select = r"
            SELECT
                seq, id,
                provider, type AS event_type, received_at, mode, outcome, attempts,
                (SELECT payload FROM payloads WHERE payloads.seq = events.seq) AS payload,
                payload_removed_at
            FROM events
        ";
        let rows: Vec<(PlaceRow, StoredEvent)> = self.first(select, filter, "seq", most).await?;
        let events = rows.into_iter().map(|(place, stored)| ReplayedEvent {
            seq: place.seq,
            id: place.id,
            stored,
        });
        Ok(events.collect())
    }

    /// Moves the cursor of a replay behind what was published or skipped, and gives it back until
    /// its next step is due. Nothing happens if another has moved it in the meantime. What was
    /// published counts also if it was canceled in the meantime.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_advance(
        &mut self,
        replay: &BulkReplay,
        step: ReplayStep,
        due: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE replays
            SET
                cursor = $3, published = published + $4, skipped = skipped + $5,
                finished_at = COALESCE(finished_at, $6), leased_until = $7
            WHERE id = $1 AND cursor = $2
        ";
        let binds = binds![
            &replay.id,
            replay.cursor,
            step.cursor,
            step.published,
            step.skipped,
            step.finished_at,
            due,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }
}
