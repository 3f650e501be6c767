//! Comparisons that an app has ordered for regular times.

use super::error::ReconcileError;
use super::orders::{Wanted, order};
use crate::causes::chain;
use crate::domain::time::Timestamp;
use crate::pipeline::apis::Apis;
use crate::pipeline::order::Order;
use crate::provider;
use crate::store::{Actor, Store};

/// Orders the comparisons that are due by the settings of the apps; returns how many. One that failed
/// is ordered again after the same time.
///
/// # Errors
/// When the store failed.
pub async fn order_due(
    store: &Store,
    apis: &Apis,
    now: Timestamp,
) -> Result<usize, ReconcileError> {
    let all = store.read().await?.app_list().await?;
    let mut ordered = 0;
    for app in all {
        let Some(every) = app.settings.in_force().reconcile_every else {
            continue;
        };
        for provider in provider::names() {
            let last = store
                .read()
                .await?
                .reconcile_last(&app.slug, provider)
                .await?;
            let is_due = last.is_none_or(|last| {
                last.finished_at.is_some() && every.after(last.created_at) <= now
            });
            if !is_due {
                continue;
            }
            let by = Order {
                app: app.slug.clone(),
                actor: Actor::Timer,
                now,
                reason: None,
            };
            let wanted = Wanted {
                provider,
                since: None,
                dry_run: false,
            };
            match order(store, apis, &by, wanted).await {
                Ok(_) => ordered += 1,
                // Without a key the schedule says nothing; another worker may have been quicker.
                Err(ReconcileError::KeyNeeded { .. } | ReconcileError::Open { .. }) => {}
                Err(ReconcileError::Store(error)) => return Err(error.into()),
                // A key that cannot be used, for one. Other apps do not wait for it.
                Err(error) => tracing::error!(
                    app = %by.app, %provider, error = chain(&error),
                    "the comparison that is due by the settings of an app could not be ordered"
                ),
            }
        }
    }
    Ok(ordered)
}
