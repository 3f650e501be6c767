//! Subscriptions that are kept here and that the provider did not list.
//!
//! A subscription can be missed without being gone: it was made while its list was read, or moved
//! between two pages. So each is asked for by its id; what the provider does have is an observation
//! like any other.

use std::collections::BTreeSet;

use super::apply::Page;
use super::step::{Step, StepError};
use crate::domain::reconcile::Stage;
use crate::provider::api::{ApiError, Listed};
use crate::store::reconcile::Reconcile;

/// How many are looked for in one step.
const MOST: u32 = 20;

/// How many are asked for one by one, and named. More of them are only counted: the key is more likely
/// one of another account.
const ASKED: u64 = 100;

/// How many are counted in one step when none is asked for.
const COUNTED: u32 = 1_000;

/// Looks at the next of them.
pub(super) async fn look(
    step: &Step<'_>,
    mut it: Reconcile,
) -> Result<Option<Reconcile>, StepError> {
    debug_assert_eq!(it.stage, Stage::Gone);
    let livemode = step.api.mode.livemode().unwrap_or(true);
    let asks = it.found.gone < ASKED;
    let most = if asks { MOST } else { COUNTED };
    let mut tx = step.store.read().await?;
    let after = it.cursor.clone();
    let unseen = tx
        .reconcile_unseen(&it, livemode, after.as_deref(), most)
        .await?;
    drop(tx);
    let next = unseen.last().map(ToString::to_string);
    let next = next.filter(|_| unseen.len() >= most as usize);
    let mut page = Page::default();
    for key in &unseen {
        if !asks {
            it.found.gone += 1;
            continue;
        }
        let asking = step.api.api.get(key);
        let answer = step.ask(&it, asking).await;
        it.found.requests += 1;
        match answer {
            Ok(fetched) => {
                let (now, mode) = (step.clock.now(), step.api.mode);
                let objects = [fetched.object];
                let found = Page::of(&it, Listed::Subscriptions, &objects, fetched.at, mode, now)?;
                page.messages.extend(found.messages);
                page.tally.read += found.tally.read;
                page.tally.unreadable += found.tally.unreadable;
            }
            Err(StepError::Api(ApiError::NotFound)) => {
                it.found.gone += 1;
                it.found.gone_ids.push(key.id.clone());
            }
            Err(error) => return Err(error),
        }
    }
    let now = step.clock.now();
    let seen = BTreeSet::new();
    step.apply(it, &page, false, next, &seen, now).await
}
