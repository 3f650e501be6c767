//! An app's policy: seeing what a change would do, and making it count for everybody.
//!
//! A policy is input of every derivation. From the commit of a new one on, events, admin acts and
//! due times follow it. All other customers were derived before, and a walk brings them in step:
//! over all of the app in the order of their ids, a bounded number in a transaction. How far it
//! has come stands with the app and moves in the transaction that derives, so a walk goes on
//! after a crash, and however many take part, each customer is derived once. The request that
//! sets the policy does the first steps itself, which is all of them for most apps; the workers'
//! timers do the rest.
//!
//! Refused: to make everybody due now. That writes each row once more, and one that derives as
//! before would stay due for ever. Refused too: one transaction for all, which needs memory for
//! all and keeps the workers out for as long.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tracing::warn;

use super::order::Order;
use super::pins;
use super::timers::{MOST, derive};
use crate::causes::chain;
use crate::domain::access::notice::is_noticed;
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::row::{Customer, Derived, Status};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::policy::Policy;
use crate::domain::precondition::{Precondition, Stale, StateTag};
use crate::domain::time::Timestamp;
use crate::domain::validate::FieldError;
use crate::store::{Actor, Store, StoreError};

/// How many steps of the walk the request that sets a policy takes itself: a thousand customers,
/// which is a second at most.
const STEPS_AT_ONCE: usize = 5;

/// Most customers that one simulation looks at. Another goes on where it ended.
pub const MOST_EXAMINED: usize = 10_000;

/// Most customers that one simulation lists.
pub const MOST_LISTED: usize = 1_000;

/// Customers of one step.
const STEP: usize = MOST as usize;

/// Lets one request of this process simulate at a time. Each works through thousands of
/// customers, and a few at once would leave sign-ins and access checks neither processor nor
/// connections.
static SIMULATING: Semaphore = Semaphore::const_new(1);

/// Why a policy was not changed or tried.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Some fields say something that is not allowed.
    #[error("the policy has fields that are not right")]
    Invalid {
        /// The faults, field by field.
        errors: Vec<FieldError>,
    },
    /// It has changed since it was read.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The app is gone.
    #[error("there is no such app")]
    NoApp,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// An app's policy, and how far it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The policy that everything follows from now on.
    pub policy: Policy,
    /// Some customers are still shown by the previous policy.
    pub pending: bool,
}

impl InForce {
    /// Returns the tag of the policy.
    pub fn state_tag(&self) -> StateTag {
        StateTag::of(&self.policy)
    }
}

/// The policy of an app.
///
/// # Errors
/// When there is no such app, or the store failed.
pub async fn show(store: &Store, app: &AppSlug) -> Result<InForce, PolicyError> {
    let mut tx = store.read().await?;
    let policy = tx.app_policy(app).await?.ok_or(PolicyError::NoApp)?;
    let pending = tx.app_walk(app).await?.is_some();
    Ok(InForce { policy, pending })
}

/// Sets some fields of an app's policy. Returns the policy as it is then, and whether anything
/// changed. A change of `on_same_email` first pins the accounts that would follow another
/// customer.
///
/// # Errors
/// When fields are wrong, there is no such app, the policy is another than `only_if` says, or the
/// store failed.
pub async fn put(
    store: &Store,
    order: &Order,
    fields: &Map<String, Value>,
    only_if: &Precondition,
) -> Result<(InForce, bool), PolicyError> {
    let app = &order.app;
    let mut tx = store.begin_in(app).await?;
    let before = tx.app_policy(app).await?.ok_or(PolicyError::NoApp)?;
    // What no state would take is wrong whatever was read before (RFC 9110 section 13.2.1).
    let policy = before
        .with(fields)
        .map_err(|errors| PolicyError::Invalid { errors })?;
    only_if.check(Some(&StateTag::of(&before)))?;
    if policy == before {
        let pending = tx.app_walk(app).await?.is_some();
        return Ok((InForce { policy, pending }, false));
    }
    if policy.on_same_email != before.on_same_email {
        pins::keep_addresses(&mut tx, order, &policy).await?;
    }
    tx.app_policy_put(app, &policy).await?;
    let details = json!({"from": before, "to": policy});
    order.audit(&mut tx, None, "policy_put", details).await?;
    tx.commit().await?;
    let pending = begin_walk(store, app, order.now).await;
    Ok((InForce { policy, pending }, true))
}

/// Takes the next step of each app's walk; whether there may be more to do.
///
/// # Errors
/// When the store failed in a way that may pass. What was committed before stays.
pub async fn walk_on(store: &Store, now: Timestamp) -> Result<bool, StoreError> {
    let apps = store.read().await?.app_walks().await?;
    let mut more = false;
    for app in apps {
        match step(store, &app, now).await {
            Ok(left) => more |= left,
            Err(error) if error.is_passing() => return Err(error),
            // A row of one app that cannot be read must not keep the others waiting.
            Err(error) => warn!(
                %app,
                error = chain(&error),
                "customers cannot be derived under their new policy"
            ),
        }
    }
    Ok(more)
}

/// Takes the first steps of a walk whose order is committed; returns true if any are left.
/// Whatever stops it only leaves it to the timers.
pub(super) async fn begin_walk(store: &Store, app: &AppSlug, now: Timestamp) -> bool {
    first_steps(store, app, now).await.unwrap_or_else(|error| {
        warn!(
            error = chain(&error),
            "deriving customers anew failed; the timers go on"
        );
        true
    })
}

async fn first_steps(store: &Store, app: &AppSlug, now: Timestamp) -> Result<bool, StoreError> {
    for _ in 0..STEPS_AT_ONCE {
        if !step(store, app, now).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Derives the next customers of an app's walk; whether any are left.
async fn step(store: &Store, app: &AppSlug, now: Timestamp) -> Result<bool, StoreError> {
    let mut tx = store.begin_in(app).await?;
    let Some(after) = tx.app_walk(app).await? else {
        return Ok(false);
    };
    let customers = tx.customer_after(app, &after, MOST.into()).await?;
    let last = customers
        .last()
        .filter(|_| customers.len() == STEP)
        .cloned();
    derive(
        &mut tx,
        app,
        customers.into_iter().collect(),
        &Actor::Policy,
        now,
    )
    .await?;
    tx.app_walked(app, last.as_ref()).await?;
    tx.commit().await?;
    Ok(last.is_some())
}

/// The effect that a policy would have on the customers that were examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The policy as it would be.
    pub policy: Policy,
    /// How many customers were looked at.
    pub examined: usize,
    /// How many of them would go from one status to another. From a status to the same: those
    /// whose reason, holds or access would change.
    pub counts: BTreeMap<(&'static str, &'static str), usize>,
    /// Each of them.
    pub customers: Vec<Foreseen>,
    /// Where the next simulation goes on; `None` if these were all.
    pub next: Option<CustomerId>,
}

/// A customer who would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// Which one.
    pub id: CustomerId,
    /// The shown e-mail address.
    pub email: Option<String>,
    /// The status under the present policy.
    pub from: Status,
    /// The status under the other one.
    pub to: Status,
    /// Why it would be so.
    pub reason: Option<String>,
}

/// Simulates setting some fields of an app's policy, without changing anything. Looks at
/// [`MOST_EXAMINED`] customers behind `after`, a step at a time, each with a transaction of its
/// own. One simulation runs at a time; others wait for their turn.
///
/// # Errors
/// When fields are wrong, there is no such app, or the store failed.
pub async fn simulate(
    store: &Store,
    app: &AppSlug,
    fields: &Map<String, Value>,
    after: Option<CustomerId>,
    now: Timestamp,
) -> Result<Forecast, PolicyError> {
    let before = store.read().await?.app_policy(app).await?;
    let policy = before
        .ok_or(PolicyError::NoApp)?
        .with(fields)
        .map_err(|errors| PolicyError::Invalid { errors })?;
    // It is never closed.
    let _turn = SIMULATING.acquire().await;
    let mut forecast = Forecast {
        policy,
        examined: 0,
        counts: BTreeMap::new(),
        customers: Vec::new(),
        next: after,
    };
    while forecast.examined + STEP <= MOST_EXAMINED
        && forecast.customers.len() + STEP <= MOST_LISTED
    {
        let after = forecast.next.as_ref().map_or("", CustomerId::as_str);
        let mut tx = store.read().await?;
        let customers = tx.customer_after(app, after, MOST.into()).await?;
        forecast.next = customers
            .last()
            .filter(|_| customers.len() == STEP)
            .cloned();
        let lookup_keys = LookupKeys {
            customers: customers.iter().cloned().collect(),
            ..LookupKeys::default()
        };
        let working_set = tx.working_set_load(app, &lookup_keys).await?;
        drop(tx);
        forecast.examine(working_set, &lookup_keys.customers, now);
        if forecast.next.is_none() {
            break;
        }
    }
    Ok(forecast)
}

impl Forecast {
    /// Derives customers under the present policy and under the other one.
    fn examine(
        &mut self,
        mut working_set: WorkingSet,
        customers: &BTreeSet<CustomerId>,
        now: Timestamp,
    ) {
        working_set.tick(now);
        let before: Vec<Customer> = customers
            .iter()
            .filter_map(|id| working_set.customers.get(id).cloned())
            .collect();
        working_set.set_policy(self.policy.clone(), now);
        for row in before {
            self.examined += 1;
            let after = working_set.customers.get(&row.id).map(|row| &row.derived);
            let plans = &working_set.plans;
            if let Some(after) = after.filter(|after| is_noticed(&row.derived, after, plans)) {
                self.note(row.id, &row.derived, after);
            }
        }
    }

    fn note(&mut self, id: CustomerId, before: &Derived, after: &Derived) {
        let statuses = (before.status.as_str(), after.status.as_str());
        *self.counts.entry(statuses).or_default() += 1;
        self.customers.push(Foreseen {
            id,
            email: after.contact.email.clone(),
            from: before.status,
            to: after.status,
            reason: after.reason.clone(),
        });
    }
}
