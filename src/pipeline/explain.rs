//! Explaining why a customer's status is what it is: the explanation of the domain, with the
//! events of the ledger and the orders of the audit that made it so.

use std::collections::{BTreeMap, BTreeSet};

use super::customers::{CustomerDetails, FindError, details, shown};
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::customer::explain::{self, Explanation};
use crate::domain::customer::row::{Customer, Hold};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::identity::links::stored_groups;
use crate::domain::time::Timestamp;
use crate::store::{EventFilter, EventRecord, FailureGroup, Store, StoreError, Tx, WaitingRefetch};

/// Most subscriptions, disputes and refunds whose events are looked up: each is a search through
/// the customer's events.
const MOST_SUBJECTS: usize = 20;

/// Most events of one of them.
const MOST_EVENTS: i64 = 3;

/// An explanation with its evidence.
#[derive(Debug)]
pub struct Explained {
    /// The explanation of the domain.
    pub explanation: Explanation,
    /// By subscription, dispute or refund, its newest events that changed something.
    pub events: BTreeMap<String, Vec<EventRecord>>,
    /// The admin who set the manual hold, as the audit writes it.
    pub held_by: Option<String>,
    /// The events of its accounts that failed, in groups: what is shown may be out of date by them.
    pub failures: Vec<FailureGroup>,
    /// What a provider is still to be asked about.
    pub waiting: Vec<WaitingRefetch>,
}

/// A customer, why it is shown as it is, and everything that is granted to it.
#[derive(Debug)]
pub struct ExplainedCustomer {
    /// The customer.
    pub details: CustomerDetails,
    /// The explanation; `None` for a customer that was deleted, of which nothing is derived any
    /// more.
    pub explained: Option<Explained>,
}

/// Explains a customer, with its timers as of `now`.
///
/// # Errors
/// When there is no such customer.
pub async fn explain(
    store: &Store,
    app: &AppSlug,
    id: &CustomerId,
    now: Timestamp,
) -> Result<ExplainedCustomer, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, id).await?;
    let explained = explained(&mut tx, app, &customer, now).await?;
    let details = details(&mut tx, app, customer, now).await?;
    Ok(ExplainedCustomer { details, explained })
}

async fn explained(
    tx: &mut Tx,
    app: &AppSlug,
    customer: &Customer,
    now: Timestamp,
) -> Result<Option<Explained>, StoreError> {
    let lookup_keys = LookupKeys {
        customers: BTreeSet::from([customer.id.clone()]),
        ..LookupKeys::default()
    };
    let working_set = tx.working_set_load(app, &lookup_keys).await?;
    let Some(group) = stored_groups(&working_set, &lookup_keys.customers).pop() else {
        return Ok(None);
    };
    if group.gone {
        return Ok(None);
    }
    let explanation = explain::explain(&working_set, &group, now);
    let mut events = BTreeMap::new();
    for subject in subjects(&explanation) {
        if events.len() == MOST_SUBJECTS {
            break;
        }
        if events.contains_key(subject) {
            continue;
        }
        let found = tx
            .event_deciding(app, &customer.id, subject, MOST_EVENTS)
            .await?;
        events.insert(subject.to_owned(), found);
    }
    let manual = explanation.holds.iter().find(|it| it.hold == Hold::Manual);
    let held_by = match manual.and_then(|hold| hold.since) {
        Some(since) => tx.audit_actor(app, &customer.id, since).await?,
        None => None,
    };
    let filter = EventFilter {
        customer: Some(customer.id.clone()),
        ..EventFilter::default()
    };
    let failures = tx.event_failures(app, &filter).await?;
    let accounts = working_set.accounts.keys();
    let objects = accounts.chain(working_set.subscriptions.keys());
    let objects = objects.chain(working_set.payments.keys());
    let waiting = tx.refetch_of(app, objects).await?;
    Ok(Some(Explained {
        explanation,
        events,
        held_by,
        failures,
        waiting,
    }))
}

/// The subjects of the customer's holds first, then its other subscriptions.
fn subjects(explanation: &Explanation) -> impl Iterator<Item = &str> {
    let holds = explanation.holds.iter();
    let held = holds.flat_map(|it| {
        let money = it.refunds.iter().chain(&it.subject);
        money.chain(&it.subscriptions)
    });
    let subscriptions = explanation.subscriptions.iter().map(|it| &it.id);
    held.chain(subscriptions).map(String::as_str)
}
