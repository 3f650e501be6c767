//! Replays of many events, kept so that they go on after a restart.
//!
//! A replay is a filter and a cursor in the ledger. Whoever carries it out leases it, publishes the
//! next events and moves the cursor behind them.

use super::driver::{Row, Value, binds};
use super::event::filter_of;
use super::ledger::{StoredEvent, stored_of};
use super::page::Filter;
use super::{EventFilter, StoreError, Tx, document};
use crate::domain::id::{AppSlug, ReplayId};
use crate::domain::time::Timestamp;

/// A replay of many events.
#[derive(Clone, Debug)]
pub struct BulkReplay {
    /// Names it in the API.
    pub id: ReplayId,
    /// Whose ledger.
    pub app: AppSlug,
    /// Which events.
    pub filter: EventFilter,
    /// Also those that have had their effect.
    pub force: bool,
    /// When it was ordered, by the local clock.
    pub created_at: Timestamp,
    /// The last row of the ledger then: what comes later is left alone.
    pub last_seq: i64,
    /// The last row that was looked at; 0 at the start.
    pub cursor: i64,
    /// How many events it was about when it was ordered.
    pub matched: i64,
    /// How many have been published.
    pub published: i64,
    /// When the last of them was.
    pub finished_at: Option<Timestamp>,
}

/// What a replay would be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayable {
    /// How many events.
    pub count: u64,
    /// The ids of the first of them, oldest first.
    pub first: Vec<String>,
    /// The last row of the app's ledger, whatever the filter.
    pub last_seq: i64,
}

/// An event of the ledger that is to be published again.
#[derive(Debug)]
pub(crate) struct ReplayedEvent {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) stored: StoredEvent,
}

const COLUMNS: &str = "id, app, filter, force, created_at, last_seq, cursor, matched, published, \
                       finished_at";

/// The events that a replay is about.
fn replayable(app: &AppSlug, wanted: &EventFilter, force: bool) -> Filter {
    let mut filter = filter_of(app, wanted);
    if !force {
        filter.and_plain("outcome IN ('pending', 'ignored', 'failed')");
    }
    filter
}

impl Tx {
    /// What a replay would be about, with as many ids as `most`.
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
        let select = "SELECT id FROM events";
        let count = self.count(select, &replayable(app, wanted, force)).await?;
        let filter = replayable(app, wanted, force);
        let first = self.first(select, filter, "seq", most, |row| row.text("id"));
        let first = first.await?;
        let sql = "SELECT MAX(seq) AS seq FROM events WHERE app = $1";
        let last = self.fetch_opt(sql, binds![app.as_str()]).await?;
        let last_seq = last.map_or(Ok(None), |row| row.int_opt("seq"))?;
        Ok(Replayable {
            count,
            first,
            last_seq: last_seq.unwrap_or_default(),
        })
    }

    /// Keeps a replay that was ordered. Workers will find it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_add(&mut self, replay: &BulkReplay) -> Result<(), StoreError> {
        let sql = "INSERT INTO replays (id, app, filter, force, created_at, last_seq, cursor, \
                   matched, published, leased_until) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $5)";
        let binds = binds![
            replay.id.as_str(),
            replay.app.as_str(),
            Value::Json(document(&replay.filter)?),
            replay.force,
            replay.created_at,
            replay.last_seq,
            replay.cursor,
            replay.matched,
            replay.published,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// A replay.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_find(
        &mut self,
        app: &AppSlug,
        id: &ReplayId,
    ) -> Result<Option<BulkReplay>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM replays WHERE app = $1 AND id = $2");
        let row = self.fetch_opt(&sql, binds![app.as_str(), id.as_str()]);
        row.await?.as_ref().map(replay_of).transpose()
    }

    /// Whether a replay waits for somebody to go on with it. Cheaper than to ask for one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_is_open(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM replays \
                   WHERE finished_at IS NULL AND leased_until <= $1 LIMIT 1";
        Ok(self.fetch_opt(sql, binds![now]).await?.is_some())
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
        let sql = format!(
            "UPDATE replays SET leased_until = $2 \
             WHERE finished_at IS NULL AND leased_until <= $1 AND id = (\
                 SELECT id FROM replays WHERE finished_at IS NULL AND leased_until <= $1 \
                 ORDER BY id LIMIT 1) \
             RETURNING {COLUMNS}"
        );
        let row = self.fetch_opt(&sql, binds![now, until]).await?;
        row.as_ref().map(replay_of).transpose()
    }

    /// The next events of a replay, oldest first.
    pub(crate) async fn replay_events(
        &mut self,
        replay: &BulkReplay,
        most: u32,
    ) -> Result<Vec<ReplayedEvent>, StoreError> {
        let mut filter = replayable(&replay.app, &replay.filter, replay.force);
        filter.and("seq > ?", replay.cursor);
        filter.and("seq <= ?", replay.last_seq);
        let select = "SELECT seq, id, provider, type, received_at, mode, outcome, payload \
                      FROM events";
        let read = |row: &Row| {
            Ok(ReplayedEvent {
                seq: row.int("seq")?,
                id: row.text("id")?,
                stored: stored_of(row)?,
            })
        };
        self.first(select, filter, "seq", most, read).await
    }

    /// Moves the cursor of a replay behind what was published, and gives it back. Nothing happens
    /// if another has moved it in the meantime.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replay_advance(
        &mut self,
        replay: &BulkReplay,
        (cursor, more): (i64, i64),
        finished_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE replays SET cursor = $3, published = published + $4, \
                   finished_at = $5, leased_until = $6 \
                   WHERE id = $1 AND cursor = $2 AND finished_at IS NULL";
        let id = replay.id.as_str();
        let binds = binds![id, replay.cursor, cursor, more, finished_at, now];
        self.execute(sql, binds).await?;
        Ok(())
    }
}

fn replay_of(row: &Row) -> Result<BulkReplay, StoreError> {
    Ok(BulkReplay {
        id: row.parsed("id")?,
        app: row.parsed("app")?,
        filter: row.json("filter")?,
        force: row.int("force")? != 0,
        created_at: row.time("created_at")?,
        last_seq: row.int("last_seq")?,
        cursor: row.int("cursor")?,
        matched: row.int("matched")?,
        published: row.int("published")?,
        finished_at: row.time_opt("finished_at")?,
    })
}
