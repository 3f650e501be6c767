//! Whose turn it is: the next step of the comparison that is due.

use std::time::Duration;

use tracing::warn;

use super::error::ReconcileError;
use super::step::{LEASE, Step, StepError, tell};
use super::{features, gone};
use crate::causes::chain;
use crate::clock::Clock;
use crate::domain::event::EventError;
use crate::domain::id::ReconcileId;
use crate::domain::reconcile::{ReconcileStatus, Stage};
use crate::domain::time::Timestamp;
use crate::pipeline::apis::{ApiOfApp, Apis, NoApi};
use crate::provider;
use crate::provider::api::{ApiError, Listed};
use crate::store::reconcile::Reconcile;
use crate::store::{Store, StoreError};

/// A lease that ends later than this was given by a clock that was ahead, and is no longer heeded.
const LONGEST_LEASE: Duration = Duration::from_mins(20);

/// The longest time between looks for what is due.
const INTERVAL: Duration = Duration::from_secs(1);

/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// How often a step is tried before the comparison fails: for about an hour and a half.
const TRIES: i64 = 14;

/// What a look for open comparisons came to.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The comparison as it is after a step; `None` if nothing was due.
    pub worked: Option<Reconcile>,
    /// The time until it is worth to look again.
    pub rest: Duration,
}

impl Turn {
    const fn none(rest: Duration) -> Self {
        Self { worked: None, rest }
    }
}

/// Makes the next step of a comparison that is open and due: of this one, or of any.
///
/// # Errors
/// When the store failed. Nothing is lost: the same page is read again. A provider that does not
/// answer is no error; the comparison says so, and is due again later.
pub async fn carry_on(
    store: &Store,
    apis: &Apis,
    clock: &dyn Clock,
    id: Option<&ReconcileId>,
) -> Result<Turn, ReconcileError> {
    let now = clock.now();
    let Some(due) = store.read().await?.reconcile_next(id).await? else {
        return Ok(Turn::none(INTERVAL));
    };
    let longest = now.plus(LONGEST_LEASE);
    if due > now && due <= longest {
        let rest = due.nanos().saturating_sub(now.nanos()).unsigned_abs();
        return Ok(Turn::none(Duration::from_nanos(rest).min(INTERVAL)));
    }
    let mut tx = store.begin().await?;
    let leased = tx
        .reconcile_lease(id, now, now.plus(LEASE), longest)
        .await?;
    let Some(mut it) = leased else {
        return Ok(Turn::none(INTERVAL));
    };
    let api = apis.find(&mut tx, &it.app, it.provider).await;
    tx.commit().await?;
    it.started_at.get_or_insert(now);
    let error = match api {
        Ok(Some(api)) => return go_on(store, &api, clock, it).await,
        Ok(None) => EventError::new("api_key_needed", "the app has no API key".to_owned()),
        Err(NoApi::Store(error)) => return Err(error.into()),
        Err(error) => EventError::new("api_key_unusable", chain(&error)),
    };
    fail(store, it, error, now).await
}

async fn go_on(
    store: &Store,
    api: &ApiOfApp,
    clock: &dyn Clock,
    it: Reconcile,
) -> Result<Turn, ReconcileError> {
    let asked = Step { store, api, clock };
    match make(&asked, it.clone()).await {
        Ok(Some(it)) => Ok(Turn {
            worked: Some(it),
            rest: Duration::ZERO,
        }),
        // Another made it.
        Ok(None) => Ok(Turn::none(Duration::ZERO)),
        Err(StepError::Reconcile(error)) => Err(error),
        Err(StepError::Api(error)) => put_off(store, it, &error, clock.now()).await,
    }
}

async fn make(step: &Step<'_>, it: Reconcile) -> Result<Option<Reconcile>, StepError> {
    match listed(&it) {
        Some(what) => step.read_page(it, what).await,
        None if it.stage == Stage::Features => features::look(step, it).await,
        None if it.stage == Stage::Gone && it.ordered_since.is_none() => gone::look(step, it).await,
        None => step.end_stage(it).await,
    }
}

/// The list that a stage reads; `None` if it reads none.
fn listed(it: &Reconcile) -> Option<Listed> {
    Some(match it.stage {
        Stage::Customers => Listed::Customers,
        Stage::Subscriptions => Listed::Subscriptions,
        Stage::Payments => Listed::Payments,
        // Paddle's adjustments are both, and are read once.
        Stage::Disputes if it.provider == provider::PADDLE.name => return None,
        Stage::Disputes => Listed::Disputes,
        Stage::Refunds => Listed::Refunds,
        Stage::Events => Listed::Events,
        Stage::Features | Stage::Gone => return None,
    })
}

/// Notes that the provider did not answer. The step is due again later, or the comparison has failed.
async fn put_off(
    store: &Store,
    mut it: Reconcile,
    error: &ApiError,
    now: Timestamp,
) -> Result<Turn, ReconcileError> {
    let noted = EventError::new(error.code(), chain(error));
    if !error.is_passing() || it.failures + 1 >= TRIES {
        return fail(store, it, noted, now).await;
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << it.failures.clamp(0, 16));
    let wanted = match error {
        ApiError::Away { retry_after, .. } => *retry_after,
        _ => None,
    };
    let pause = wanted.unwrap_or(doubled).min(LONGEST_PAUSE);
    warn!(
        app = %it.app, provider = %it.provider, reconcile.id = %it.id, error = chain(error),
        pause_s = pause.as_secs(), "the provider did not answer; the reconciliation waits"
    );
    it.failures += 1;
    it.error = Some(noted);
    it.leased_until = now.plus(pause);
    let worked = write(store, it).await?;
    Ok(Turn {
        worked,
        rest: INTERVAL,
    })
}

async fn fail(
    store: &Store,
    mut it: Reconcile,
    error: EventError,
    now: Timestamp,
) -> Result<Turn, ReconcileError> {
    it.error = Some(error);
    it.finished_at = Some(now);
    it.outcome = Some(ReconcileStatus::Failed);
    let worked = write(store, it).await?;
    worked.iter().for_each(tell);
    Ok(Turn {
        worked,
        rest: Duration::ZERO,
    })
}

async fn write(store: &Store, it: Reconcile) -> Result<Option<Reconcile>, StoreError> {
    let mut tx = store.begin().await?;
    if !tx.reconcile_advance(&it, it.step).await? {
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(it))
}
