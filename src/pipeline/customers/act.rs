//! One act on one customer: loading what it can touch, and writing what it changed.

use serde_json::json;

use super::orders::{Acted, CustomerError};
use crate::domain::access::plan::Plans;
use crate::domain::access::versions::Schemes;
use crate::domain::apply::change::Change;
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::act::ActError;
use crate::domain::customer::row::{AdminHold, Customer, Profile};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::pipeline::order::Order;
use crate::pipeline::owed_licenses;
use crate::store::{Granted, StoreError, Tx};

/// Lets an act work on everything that it can touch, and writes what it changed. The answer is
/// read in the same transaction, so it shows what this act did and nothing later.
pub(super) async fn act_in(
    tx: &mut Tx,
    order: &Order,
    id: &CustomerId,
    lookup_keys: &LookupKeys,
    name: &str,
    act: impl FnOnce(&mut WorkingSet) -> Result<Vec<Change>, ActError>,
) -> Result<Acted, CustomerError> {
    let mut working_set = tx.working_set_load(&order.app, lookup_keys).await?;
    let before = hold_of(&working_set, id);
    let difference = act(&mut working_set)?;
    let has_effect = !working_set.changed.customers.is_empty();
    let made = owed_licenses::save(tx, &order.app, &working_set, order.now).await?;
    let mut entries = order.entries(&difference);
    if has_effect && entries.is_empty() {
        // The act counts though nothing of it shows yet, such as a hold behind a stronger one.
        let details = json!({"from": before, "to": hold_of(&working_set, id)});
        entries.push(order.entry(Some(id), name, details));
    }
    entries.extend(owed_licenses::audit_entries(order, &made));
    tx.audit_add(&entries).await?;
    let row = working_set.customers.get(id).ok_or(ActError::Unknown)?;
    // A row of an admin's is shown before others that it is merged with.
    let shown = row.merged_into.clone().unwrap_or_else(|| id.clone());
    let customer = working_set.customers.remove(&shown);
    let customer = customer.ok_or(ActError::Unknown)?;
    let granted = granted_now(tx, &order.app, &customer, working_set.plans, order.now).await?;
    Ok(Acted {
        customer,
        granted,
        changed: has_effect,
    })
}

/// Everything that is granted to a customer. The plans are those of the working set.
async fn granted_now(
    tx: &mut Tx,
    app: &AppSlug,
    customer: &Customer,
    plans: Plans,
    now: Timestamp,
) -> Result<Granted, StoreError> {
    let mut granted = Granted {
        by_hand: tx.grant_list(app, [&customer.id]).await?,
        plans,
        releases: Vec::new(),
        schemes: Schemes::default(),
        failures: tx.event_failures_of(app, [&customer.id]).await?,
        links: tx.flag_links(app, &customer.derived.flags).await?,
        now,
    };
    let only = std::slice::from_ref(customer);
    tx.granted_versions(app, only, &mut granted).await?;
    Ok(granted)
}

/// The admin's hold of a row, for the audit.
fn hold_of(working_set: &WorkingSet, id: &CustomerId) -> serde_json::Value {
    let hold = working_set
        .customers
        .get(id)
        .and_then(|row| row.hold.as_ref());
    json!({"hold": hold.map(AdminHold::as_str)})
}

/// The keys of everybody whom an act on these profiles can touch.
pub(in crate::pipeline) fn lookup_keys_of<'a>(
    id: Option<&CustomerId>,
    profiles: impl IntoIterator<Item = &'a Profile>,
) -> LookupKeys {
    let mut lookup_keys = LookupKeys {
        customers: id.into_iter().cloned().collect(),
        ..LookupKeys::default()
    };
    for profile in profiles {
        lookup_keys.emails.extend(profile.folded_email());
        if let Some(external_id) = &profile.external_id {
            lookup_keys.given_external_ids.insert(external_id.clone());
            lookup_keys.external_ids.insert(external_id.clone());
        }
        lookup_keys
            .given_external_ids
            .extend(profile.user_id.clone());
    }
    lookup_keys
}
