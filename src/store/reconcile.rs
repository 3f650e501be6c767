//! Comparisons with what a provider says, kept so that they go on after a restart.
//!
//! One is a stage and a cursor in the provider's lists. Who carries it out leases it, reads a page and
//! writes what the page says together with the next cursor, in one transaction. The number of the
//! step is a condition of that write, so a page that two workers read counts once.

use super::filter::Filter;
use super::page::{Key, Listed, Window};
use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::event::EventError;
use crate::domain::id::{AppSlug, Provider, ReconcileId};
use crate::domain::reconcile::{Found, ReconcileStatus, Stage};
use crate::domain::time::Timestamp;
use crate::store::cell::{Nanos, documents, texts};

texts! { Stage, ReconcileStatus }
documents! { Found, EventError }

/// A comparison with what a provider says.
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// Names it in the API.
    pub id: ReconcileId,
    /// The app.
    pub app: AppSlug,
    /// The provider.
    pub provider: Provider,
    /// True if nothing is repaired.
    pub dry_run: bool,
    /// From when on objects are read, by the provider's clock, if that was ordered.
    pub ordered_since: Option<Timestamp>,
    /// From when on payments, disputes and refunds are read; `None` for all.
    pub since: Option<Timestamp>,
    /// From when on events are read; `None` for all that the provider keeps.
    pub events_since: Option<Timestamp>,
    /// The provider's clock at the first answer. The next comparison goes on from here.
    pub provider_time: Option<Timestamp>,
    /// The stage that is under way, or was at the end.
    pub stage: Stage,
    /// The place in the list of the stage; `None` at its start.
    pub cursor: Option<String>,
    /// The number of steps made.
    pub step: i64,
    /// Tries of the present step that failed.
    pub failures: i64,
    /// What was found so far.
    pub found: Found,
    /// Time of the order, by the local clock.
    pub created_at: Timestamp,
    /// Time of the first step.
    pub started_at: Option<Timestamp>,
    /// Time of the end.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<ReconcileStatus>,
    /// Why it failed, or why it waits.
    pub error: Option<EventError>,
    /// Until when a worker has it in hand, or when it is due again.
    pub leased_until: Timestamp,
}

record! {
    impl Reconcile from "reconciles" {
        id, app, provider, dry_run, ordered_since, since, events_since, provider_time, stage,
        cursor, step, failures, found, created_at, started_at, finished_at, outcome, error,
        leased_until,
    }
}

/// The most apps and providers of which the last comparison is shown in figures.
const MOST_LATEST: i64 = 1_000;

/// The columns of a [`Reconcile`].
const COLUMNS: &str = r"
    id, app, provider, dry_run, ordered_since, since, events_since, provider_time, stage,
    cursor, step, failures, found, created_at, started_at, finished_at, outcome, error,
    leased_until
";

impl Reconcile {
    /// True if it read everything and nothing was known here, as before the first webhook: such differences are
    /// no webhooks that were lost. One that read what is new since some time may have missed all of it.
    pub fn is_first_import(&self) -> bool {
        self.since.is_none() && self.ordered_since.is_none() && self.found.knew_nothing()
    }

    /// Returns how it stands.
    pub fn status(&self) -> ReconcileStatus {
        self.outcome.unwrap_or(ReconcileStatus::Open)
    }
}

impl Tx {
    /// Keeps a comparison that was ordered. Returns false, and keeps nothing, if the app has one that
    /// is open at the provider.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_add(&mut self, it: &Reconcile) -> Result<bool, StoreError> {
        let sql = r"
            INSERT INTO reconciles (
                id, app, provider, dry_run, ordered_since, since, events_since, stage, step,
                failures, found, created_at, leased_until
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
            ON CONFLICT DO NOTHING
        ";
        let binds = binds![
            &it.id,
            &it.app,
            it.provider,
            it.dry_run,
            it.ordered_since.map(Nanos),
            it.since.map(Nanos),
            it.events_since.map(Nanos),
            it.stage,
            it.step,
            it.failures,
            &it.found,
            it.created_at,
        ];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// Finds a comparison.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_find(
        &mut self,
        app: &AppSlug,
        id: &ReconcileId,
    ) -> Result<Option<Reconcile>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM reconciles WHERE app = $1 AND id = $2");
        self.fetch_opt(&sql, binds![app, id]).await
    }

    /// Finds the comparison of an app with a provider that is open.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_open(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<Option<Reconcile>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM reconciles
             WHERE app = $1 AND provider = $2 AND finished_at IS NULL"
        );
        self.fetch_opt(&sql, binds![app, provider]).await
    }

    /// Finds the last comparison that read everything and repaired what it found. One that failed is
    /// none, so what it did not read is read by the next.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_last_done(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<Option<Reconcile>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM reconciles
             WHERE app = $1 AND provider = $2 AND outcome = 'finished' AND NOT dry_run AND ordered_since IS NULL
             ORDER BY id DESC LIMIT 1"
        );
        self.fetch_opt(&sql, binds![app, provider]).await
    }

    /// Finds the last comparison of an app with a provider, whatever became of it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_last(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<Option<Reconcile>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM reconciles WHERE app = $1 AND provider = $2
             ORDER BY id DESC LIMIT 1"
        );
        self.fetch_opt(&sql, binds![app, provider]).await
    }

    /// Returns the last comparison of each app and provider that read everything, of one app or of all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_latest(
        &mut self,
        app: Option<&AppSlug>,
    ) -> Result<Vec<Reconcile>, StoreError> {
        let sql = format!(
            r"
            SELECT {COLUMNS} FROM reconciles
            WHERE id IN (
                SELECT MAX(id) FROM reconciles
                WHERE outcome = 'finished' AND ($1 IS NULL OR app = $1)
                GROUP BY app, provider
            )
            ORDER BY app, provider
            LIMIT $2
            "
        );
        self.fetch(&sql, binds![app, MOST_LATEST]).await
    }

    /// Lists the comparisons of an app, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_list(
        &mut self,
        app: &AppSlug,
        window: &Window,
    ) -> Result<Listed<Reconcile>, StoreError> {
        let select = format!("SELECT {COLUMNS} FROM reconciles");
        let filter = Filter::new("app = ?", app);
        let id = |it: &Reconcile| it.id.to_string();
        self.list(&select, filter, Key::Text("id"), window, id)
            .await
    }

    /// Ends a comparison that is open. Returns false if none of this id is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_cancel(
        &mut self,
        app: &AppSlug,
        id: &ReconcileId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE reconciles
            SET finished_at = $3, outcome = 'canceled'
            WHERE app = $1 AND id = $2 AND finished_at IS NULL
        ";
        let canceled = self.execute(sql, binds![app, id, now]).await? > 0;
        if canceled {
            self.reconcile_forget_seen(id).await?;
        }
        Ok(canceled)
    }

    /// Returns when the next step of this comparison, or of any whose app is not paused, is due; `None`
    /// if none is open. Cheaper than to ask for one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_next(
        &mut self,
        id: Option<&ReconcileId>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = r"
            SELECT MIN(leased_until) AS next
            FROM reconciles
            WHERE finished_at IS NULL
                AND (id = $1 OR app NOT IN (SELECT app FROM pauses WHERE ended_at IS NULL))
        ";
        let next: Option<Option<Timestamp>> =
            self.fetch_value("reconciles", sql, binds![id]).await?;
        Ok(next.flatten())
    }

    /// Takes an open comparison for a while: this one, which somebody carries out by hand, or the one of
    /// all apps that are not paused whose turn was longest ago. One
    /// statement, so that of several workers one gets it. A lease beyond `longest` was given by a
    /// clock that was ahead, and is not heeded.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_lease(
        &mut self,
        id: Option<&ReconcileId>,
        now: Timestamp,
        until: Timestamp,
        longest: Timestamp,
    ) -> Result<Option<Reconcile>, StoreError> {
        // Asked for twice, because an engine with several writers asks the outer question again
        // after it has waited for another taker.
        let sql = format!(
            r"
            UPDATE reconciles
            SET leased_until = $2
            WHERE finished_at IS NULL
                AND (leased_until <= $1 OR leased_until > $3)
                AND id = (
                    SELECT id FROM reconciles
                    WHERE finished_at IS NULL AND (leased_until <= $1 OR leased_until > $3)
                        AND ($4 IS NULL OR id = $4)
                        AND (id = $4 OR app NOT IN (SELECT app FROM pauses WHERE ended_at IS NULL))
                    ORDER BY leased_until, id
                    LIMIT 1
                )
            RETURNING {COLUMNS}
            "
        );
        self.fetch_opt(&sql, binds![now, until, longest, id]).await
    }

    /// Keeps a comparison in hand for longer, if it is still at this step.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_hold(
        &mut self,
        id: &ReconcileId,
        step: i64,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE reconciles
            SET leased_until = $3
            WHERE id = $1 AND step = $2 AND finished_at IS NULL
        ";
        self.execute(sql, binds![id, step, until]).await?;
        Ok(())
    }

    /// Writes how far a comparison is, if it is still open and nobody made the step before. Returns
    /// false otherwise, and then nothing else of the transaction may be kept.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_advance(
        &mut self,
        it: &Reconcile,
        from_step: i64,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE reconciles
            SET
                provider_time = $3, stage = $4, cursor = $5, step = $6, failures = $7, found = $8,
                started_at = $9, finished_at = $10, outcome = $11, error = $12, leased_until = $13
            WHERE id = $1 AND step = $2 AND finished_at IS NULL
        ";
        let binds = binds![
            &it.id,
            from_step,
            it.provider_time.map(Nanos),
            it.stage,
            &it.cursor,
            it.step,
            it.failures,
            &it.found,
            it.started_at,
            it.finished_at,
            it.outcome,
            &it.error,
            it.leased_until,
        ];
        let advanced = self.execute(sql, binds).await? > 0;
        if advanced && it.finished_at.is_some() {
            self.reconcile_forget_seen(&it.id).await?;
        }
        Ok(advanced)
    }
}
