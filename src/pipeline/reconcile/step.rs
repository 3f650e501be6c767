//! A step of a comparison: a page is read and applied, and the place behind it is kept.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tracing::{error, info};

use super::apply::{Page, apply};
use super::error::ReconcileError;
use super::same;
use crate::clock::Clock;
use crate::domain::announcement::{Announcement, RECONCILE_DRIFT};
use crate::domain::id::ObjectKey;
use crate::domain::reconcile::{ReconcileStatus, Stage};
use crate::domain::time::Timestamp;
use crate::pipeline::apis::ApiOfApp;
use crate::provider::api::{ApiError, Listed};
use crate::store::Store;
use crate::store::reconcile::Reconcile;
use crate::store::reconcile_object::ObjectTable;

/// How long a worker has a comparison in hand unless it says that it is still at it.
pub(super) const LEASE: Duration = Duration::from_secs(20);

/// How often it says so while it waits for the provider.
const SAY_SO: Duration = Duration::from_secs(5);

/// How many unmapped prices are named.
const UNMAPPED: u32 = 100;

/// Why a step was not made.
pub(super) enum StepError {
    Reconcile(ReconcileError),
    Api(ApiError),
}

impl<E: Into<ReconcileError>> From<E> for StepError {
    fn from(error: E) -> Self {
        Self::Reconcile(error.into())
    }
}

/// What a step needs.
pub(super) struct Step<'a> {
    pub(super) store: &'a Store,
    pub(super) api: &'a ApiOfApp,
    pub(super) clock: &'a dyn Clock,
}

impl Step<'_> {
    /// Asks, and keeps the comparison in hand for as long as that takes.
    pub(super) async fn ask<T>(
        &self,
        it: &Reconcile,
        question: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, StepError> {
        let mut question = std::pin::pin!(question);
        loop {
            if let Ok(answer) = tokio::time::timeout(SAY_SO, &mut question).await {
                return answer.map_err(StepError::Api);
            }
            let until = self.clock.now().plus(LEASE);
            let mut tx = self.store.begin().await?;
            tx.reconcile_hold(&it.id, it.step, until).await?;
            tx.commit().await?;
        }
    }

    /// Reads and applies a page of a list.
    pub(super) async fn read_page(
        &self,
        mut it: Reconcile,
        what: Listed,
    ) -> Result<Option<Reconcile>, StepError> {
        let since = match it.stage {
            Stage::Customers | Stage::Subscriptions => it.ordered_since,
            Stage::Events => it.events_since,
            _ => it.since,
        };
        let api = &self.api.api;
        let asking = api.list(what, since, it.cursor.as_deref());
        let answer = self.ask(&it, asking).await?;
        it.found.requests += 1;
        let now = self.clock.now();
        // The objects are at least as new as the question: a slow answer must not outdo what
        // happened while it was on its way.
        let at = answer.at.minus(answer.took);
        let mode = self.api.mode;
        let mut page = Page::of(&it, what, &answer.objects, at, mode, now)?;
        same::leave_out(&mut self.store.read().await?, &it, &mut page).await?;
        let is_events = it.stage == Stage::Events;
        let is_old = since.is_some_and(|since| page.oldest.is_some_and(|at| at < since));
        let next = answer.next.filter(|_| !(is_events && is_old));
        it.provider_time.get_or_insert(at);
        let seen: BTreeSet<ObjectKey> = match it.stage {
            Stage::Subscriptions => {
                let objects = page.objects().into_iter();
                let objects = objects.filter(|(table, _)| *table == ObjectTable::Subscriptions);
                objects.map(|(_, key)| key).collect()
            }
            _ => BTreeSet::new(),
        };
        self.apply(it, &page, is_events, next, &seen, now).await
    }

    /// Applies a page and moves on behind it.
    pub(super) async fn apply(
        &self,
        it: Reconcile,
        page: &Page,
        is_events: bool,
        next: Option<String>,
        seen: &BTreeSet<ObjectKey>,
        now: Timestamp,
    ) -> Result<Option<Reconcile>, StepError> {
        let from_step = it.step;
        let mut after = it.clone();
        after.step += 1;
        after.failures = 0;
        after.error = None;
        after.leased_until = now;
        let stage = it.stage;
        after.cursor = next;
        let at_end = after.cursor.is_none();
        let is_last = at_end && move_on(&mut after);
        let (mut tx, applied) = apply(self.store, &it, page, is_events, now).await?;
        let tally = applied.tally;
        let of_kind = after.found.kinds.entry(stage).or_default();
        of_kind.read += tally.read;
        of_kind.missing += tally.missing;
        of_kind.different += tally.different;
        of_kind.unreadable += tally.unreadable;
        if !after.dry_run {
            after.found.repaired += tally.missing + tally.different;
        }
        tx.reconcile_see(&after.id, seen).await?;
        if is_last {
            let (app, provider) = (&after.app, after.provider);
            after.found.unmapped = tx.reconcile_unmapped(app, provider, UNMAPPED).await?;
            after.finished_at = Some(now);
            after.outcome = Some(ReconcileStatus::Finished);
        }
        if !tx.reconcile_advance(&after, from_step).await? {
            return Ok(None);
        }
        let drifted = after.found.drift() > 0 && !after.is_first_import();
        if after.finished_at.is_some() && drifted {
            tx.change_add(vec![drift(&after, now)]).await?;
        }
        tx.commit().await?;
        applied.finish(self.store, now).await?;
        if after.finished_at.is_some() {
            tell(&after);
        }
        Ok(Some(after))
    }

    /// Goes on from a stage that has nothing to read.
    pub(super) async fn end_stage(&self, it: Reconcile) -> Result<Option<Reconcile>, StepError> {
        let now = self.clock.now();
        let (page, seen) = (Page::default(), BTreeSet::new());
        self.apply(it, &page, false, None, &seen, now).await
    }
}

/// What operators are told of a comparison that found differences.
fn drift(it: &Reconcile, now: Timestamp) -> Announcement {
    let data = json!({
        "id": it.id, "provider": it.provider, "drift": it.found.drift(),
        "repaired": it.found.repaired, "dry_run": it.dry_run,
    });
    Announcement {
        app: it.app.clone(),
        customer: None,
        kind: RECONCILE_DRIFT,
        occurred_at: now,
        data: data.as_object().cloned().unwrap_or_default(),
    }
}

/// Moves to the next stage; true at the end.
fn move_on(it: &mut Reconcile) -> bool {
    it.cursor = None;
    match it.stage.next() {
        Some(next) => {
            it.stage = next;
            false
        }
        None => true,
    }
}

/// Writes the line by which the log tells the end. One that failed finds no lost webhooks, until somebody sees
/// to it.
pub(super) fn tell(it: &Reconcile) {
    if it.status() == ReconcileStatus::Failed {
        error!(
            app = %it.app, provider = %it.provider, reconcile.id = %it.id,
            error = it.error.as_ref().map(|it| it.detail.as_str()),
            error.code = it.error.as_ref().map(|it| it.code.as_str()),
            "a reconciliation failed; what webhooks were lost stays unknown until one succeeds"
        );
        return;
    }
    let total = it.found.total();
    info!(
        app = %it.app, provider = %it.provider, reconcile.id = %it.id, dry_run = it.dry_run,
        outcome = it.status().as_str(), read = total.read, missing = total.missing,
        different = total.different, gone = it.found.gone, unreadable = total.unreadable,
        repaired = it.found.repaired, unmapped = it.found.unmapped.len(),
        "reconciliation ended"
    );
}
