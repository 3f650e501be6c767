//! Replays of many events, kept so that they go on after a restart.
//!
//! A replay is a filter and a cursor in the ledger. A worker that carries it out leases it,
//! publishes the next events and moves the cursor behind them.

use super::event::filter_of;
use super::ledger::StoredEvent;
use super::page::Filter;
use super::record::{binds, record};
use super::{EventFilter, StoreError, Tx};
use crate::domain::id::{AppSlug, ReplayId};
use crate::domain::time::Timestamp;

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
    /// Time at which the last of them was published.
    pub finished_at: Option<Timestamp>,
}

record! {
    impl BulkReplay from "replays" {
        id, app, filter, force, created_at, last_seq, cursor, matched, published, skipped,
        finished_at,
    }
}

/// The events that a replay would be about.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// The events that a replay is about.
fn replayable(app: &AppSlug, wanted: &EventFilter, force: bool) -> Filter {
    let mut filter = filter_of(app, wanted);
    if !force {
        filter.and_plain("outcome IN ('pending', 'ignored', 'failed')");
    }
    filter
}

impl Tx {
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
        let select = "SELECT seq, id FROM events";
        let filter = replayable(app, wanted, force);
        let count = self.count_all(select, filter).await?;
        let mut filter = replayable(app, wanted, force);
        filter.and_plain("payload IS NULL");
        let skipped = self.count_all(select, filter).await?;
        let mut filter = replayable(app, wanted, force);
        filter.and_plain("payload IS NOT NULL");
        let first: Vec<PlaceRow> = self.first(select, filter, "seq", most).await?;
        let sql = "SELECT MAX(seq) AS seq FROM events WHERE app = $1";
        let last_seq: Option<Option<i64>> = self.fetch_value("events", sql, binds![app]).await?;
        Ok(Replayable {
            count,
            skipped,
            first: first.into_iter().map(|row| row.id).collect(),
            last_seq: last_seq.flatten().unwrap_or_default(),
        })
    }

    /// Keeps a replay that was ordered. Workers will find it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_add(&mut self, replay: &BulkReplay) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO replays (
                id, app, filter, force, created_at, last_seq, cursor, matched, published,
                skipped, leased_until
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $5)
        ";
        let binds = binds![
            &replay.id,
            &replay.app,
            &replay.filter,
            replay.force,
            replay.created_at,
            replay.last_seq,
            replay.cursor,
            replay.matched,
            replay.published,
            replay.skipped,
        ];
        self.execute(sql, binds).await?;
        Ok(())
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
                id, app, filter, force, created_at, last_seq, cursor, matched, published,
                skipped, finished_at
            FROM replays
            WHERE app = $1 AND id = $2
        ";
        self.fetch_opt(sql, binds![app, id]).await
    }

    /// Returns true if a replay waits for a worker to go on with it. Cheaper than to ask for one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_is_open(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let sql = r"
            SELECT 1 AS one
            FROM replays
            WHERE finished_at IS NULL AND leased_until <= $1
            LIMIT 1
        ";
        let found: Option<i64> = self.fetch_value("replays", sql, binds![now]).await?;
        Ok(found.is_some())
    }

    /// Takes the oldest unfinished replay for a while. One statement, so that of several workers
    /// one gets it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_lease(
        &mut self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<BulkReplay>, StoreError> {
        // Asked for twice, because an engine with several writers asks the outer question again
        // after it has waited for another taker.
        let sql = r"
            UPDATE replays
            SET leased_until = $2
            WHERE finished_at IS NULL
                AND leased_until <= $1
                AND id = (
                    SELECT id FROM replays
                    WHERE finished_at IS NULL AND leased_until <= $1
                    ORDER BY id
                    LIMIT 1
                )
            RETURNING
                id, app, filter, force, created_at, last_seq, cursor, matched, published,
                skipped, finished_at
        ";
        self.fetch_opt(sql, binds![now, until]).await
    }

    /// Reads the next events of a replay, oldest first.
    pub(crate) async fn replay_events(
        &mut self,
        replay: &BulkReplay,
        most: u32,
    ) -> Result<Vec<ReplayedEvent>, StoreError> {
        let mut filter = replayable(&replay.app, &replay.filter, replay.force);
        filter.and("seq > ?", replay.cursor);
        filter.and("seq <= ?", replay.last_seq);
        let select = r"
            SELECT
                seq, id,
                provider, type AS event_type, received_at, mode, outcome, payload,
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

    /// Moves the cursor of a replay behind what was published or skipped, and gives it back.
    /// Nothing happens if another has moved it in the meantime.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_advance(
        &mut self,
        replay: &BulkReplay,
        step: ReplayStep,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE replays
            SET
                cursor = $3, published = published + $4, skipped = skipped + $5,
                finished_at = $6, leased_until = $7
            WHERE id = $1 AND cursor = $2 AND finished_at IS NULL
        ";
        let binds = binds![
            &replay.id,
            replay.cursor,
            step.cursor,
            step.published,
            step.skipped,
            step.finished_at,
            now,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }
}
