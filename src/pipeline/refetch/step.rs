//! One step: one question, its answer, and what it changed.

use std::time::Duration;

use super::message::{NoMessage, message_of};
use crate::causes::chain;
use crate::clock::Clock;
use crate::domain::id::Provider;
use crate::domain::mode::Mode;
use crate::domain::refetch::{LONGEST, pause_after};
use crate::domain::time::Timestamp;
use crate::pipeline::apis::{Apis, NoApi};
use crate::pipeline::note::note_failed;
use crate::pipeline::process::{Disposition, ProcessError, process_answer};
use crate::provider::STRIPE;
use crate::provider::api::{ApiError, Fetched};
use crate::queue::Message;
use crate::store::{SealedApiKey, Store, StoreError, WaitingRefetch};

/// How long a worker may take for one question: more than all its time-outs.
const LEASE: Duration = Duration::from_mins(1);

/// A lease that ends later than this was given by a clock that was ahead, and is no longer heeded.
const LONGEST_LEASE: Duration = Duration::from_hours(2);

/// The rest of a key that a provider refused: somebody has to do something first.
const REFUSED: Duration = Duration::from_mins(5);

/// The status of an answer to a key that is right, but may not read this.
const FORBIDDEN: u16 = 403;

/// The rest of a key after a provider did not answer, unless it names one.
const AWAY: Duration = Duration::from_secs(5);

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who was asked.
    pub provider: Provider,
    /// `recorded`, or the code of what went wrong.
    pub result: &'static str,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is due, or others are at it.
    Nothing,
    /// Something was asked.
    Asked(Asked),
}

/// Asks the next question that is due.
///
/// # Errors
/// When the store failed. The question stays then.
pub async fn step(store: &Store, apis: &Apis, clock: &dyn Clock) -> Result<Step, StoreError> {
    let now = clock.now();
    let longest = now.plus(LONGEST_LEASE);
    // Most looks find nothing, and those need not wait for a turn to write.
    let due = store.read().await?.api_key_due(now, longest).await?;
    let Some(key) = due else {
        return Ok(Step::Nothing);
    };
    let mut tx = store.begin().await?;
    if !tx
        .api_key_lease(&key, now, now.plus(LEASE), longest)
        .await?
    {
        return Ok(Step::Nothing);
    }
    let refetch = tx.refetch_due(&key.app, key.provider, now).await?;
    tx.commit().await?;
    let Some(refetch) = refetch else {
        give_back(store, &key, now).await?;
        return Ok(Step::Nothing);
    };
    let asked = ask(store, apis, &refetch, clock).await?;
    let rest = asked.rest.map_or(now, |rest| clock.now().plus(rest));
    give_back(store, &key, rest).await?;
    Ok(Step::Asked(Asked {
        provider: key.provider,
        result: asked.result,
    }))
}

async fn give_back(store: &Store, key: &SealedApiKey, from: Timestamp) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.api_key_release(key, from).await?;
    tx.commit().await
}

/// What came of a question, and how long the key rests.
struct Answered {
    result: &'static str,
    rest: Option<Duration>,
}

async fn ask(
    store: &Store,
    apis: &Apis,
    refetch: &WaitingRefetch,
    clock: &dyn Clock,
) -> Result<Answered, StoreError> {
    let scope = &refetch.key.scope;
    let found = apis
        .find(&mut store.read().await?, &refetch.app, scope.provider)
        .await;
    let of_app = match found {
        Ok(Some(of_app)) => of_app,
        Ok(None) => return put_off(store, refetch, "no_api_key", Some(REFUSED), clock).await,
        Err(NoApi::Store(error)) => return Err(error),
        Err(error @ (NoApi::Vault(_) | NoApi::Client(_))) => {
            tracing::error!(
                app = %refetch.app, provider = %scope.provider, error = chain(&error),
                "the API key cannot be used; set it again"
            );
            return put_off(store, refetch, "api_key_unusable", Some(REFUSED), clock).await;
        }
    };
    // Paddle's objects do not say their mode: they are of the webhooks'.
    let mode = if scope.provider == STRIPE.name {
        of_app.api.mode()
    } else {
        of_app.mode
    };
    if mode.livemode() == Some(!scope.livemode) {
        return end(store, refetch, "other_mode", clock).await;
    }
    match of_app.api.once().get(&refetch.key).await {
        Ok(fetched) => record(store, refetch, &fetched, of_app.mode, clock).await,
        Err(error) => fail(store, refetch, &error, clock).await,
    }
}

/// Processes an answer.
async fn record(
    store: &Store,
    refetch: &WaitingRefetch,
    fetched: &Fetched,
    mode: Mode,
    clock: &dyn Clock,
) -> Result<Answered, StoreError> {
    let now = clock.now();
    let message = match message_of(refetch, fetched, mode, now) {
        Ok(Some(message)) => message,
        Ok(None) => return end(store, refetch, "says_nothing", clock).await,
        Err(NoMessage::Read(_)) => {
            return end(store, refetch, "answer_not_understood", clock).await;
        }
        Err(NoMessage::Random(error)) => {
            tracing::warn!(error = chain(&error), "no receipt could be made");
            return put_off(store, refetch, "no_receipt", None, clock).await;
        }
    };
    match process_answer(store, &message, refetch, now).await {
        Ok(Disposition::Final(error)) => {
            note_failed(store, &message, &error, now).await?;
            end(store, refetch, "answer_not_understood", clock).await
        }
        Ok(_) => {
            told(&message, refetch);
            Ok(Answered {
                result: "recorded",
                rest: None,
            })
        }
        Err(ProcessError::Store(error)) => Err(error),
        Err(ProcessError::Random(_)) => put_off(store, refetch, "no_id", None, clock).await,
    }
}

fn told(message: &Message, refetch: &WaitingRefetch) {
    tracing::info!(
        event.id = %message.headers().event_id, reason = %refetch.reason,
        attempts = refetch.attempts, "a provider's word was recorded"
    );
}

async fn fail(
    store: &Store,
    refetch: &WaitingRefetch,
    error: &ApiError,
    clock: &dyn Clock,
) -> Result<Answered, StoreError> {
    let code = error.code();
    match error {
        ApiError::NotFound => end(store, refetch, code, clock).await,
        ApiError::KeyRefused { status, .. } => {
            tracing::error!(
                app = %refetch.app, provider = %refetch.key.scope.provider, error = chain(error),
                "a provider refused the API key; give it read access, or set another"
            );
            // A key that may not read objects of this kind may read others.
            let rest = (*status != FORBIDDEN).then_some(REFUSED);
            put_off(store, refetch, code, rest, clock).await
        }
        ApiError::Away { retry_after, .. } => {
            let rest = retry_after.unwrap_or(AWAY).min(LONGEST);
            put_off(store, refetch, code, Some(rest), clock).await
        }
        ApiError::NotUnderstood { .. } => {
            tracing::warn!(
                app = %refetch.app, provider = %refetch.key.scope.provider, error = chain(error),
                "a provider's answer was not understood; asking again later"
            );
            put_off(store, refetch, code, None, clock).await
        }
    }
}

async fn put_off(
    store: &Store,
    refetch: &WaitingRefetch,
    code: &'static str,
    rest: Option<Duration>,
    clock: &dyn Clock,
) -> Result<Answered, StoreError> {
    let pause = pause_after(refetch.attempts + 1).max(rest.unwrap_or_default());
    let mut tx = store.begin().await?;
    tx.refetch_put_off(refetch, Some(code), clock.now().plus(pause))
        .await?;
    tx.commit().await?;
    Ok(Answered { result: code, rest })
}

async fn end(
    store: &Store,
    refetch: &WaitingRefetch,
    code: &'static str,
    clock: &dyn Clock,
) -> Result<Answered, StoreError> {
    let mut tx = store.begin().await?;
    tx.refetch_end(refetch, code, clock.now()).await?;
    tx.commit().await?;
    Ok(Answered {
        result: code,
        rest: None,
    })
}
