//! Writes what some lines ask for: the customers, their packages and their tokens, each kind at once.

use std::collections::BTreeMap;
use std::mem;

use serde_json::json;

use super::check::Step;
use super::error::ImportError;
use super::found::Found;
use super::people::Person;
use crate::domain::access::hand_grant::HandGrant;
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::apply::change::Change;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::row::Profile;
use crate::domain::id::CustomerId;
use crate::pipeline::customers::lookup_keys_of;
use crate::pipeline::order::{Order, audit_entries};
use crate::pipeline::owed_licenses;
use crate::pipeline::tokens::{created, taken_over};
use crate::random;
use crate::store::{AuditEntry, GivenGrant, Tx};

/// Customers of one working set, where they can have to do with others: searches in it are scans.
const RELATED_AT_ONCE: usize = 50;

/// A customer that lines name, as it is to be.
struct Target {
    id: CustomerId,
    is_new: bool,
    is_changed: bool,
    has_first_token: bool,
    profile: Profile,
}

/// Writes the customers of some lines that are new or changed, and what the lines give them.
pub(super) async fn write(
    tx: &mut Tx,
    order: &Order,
    found: &Found,
    people: Vec<Person>,
    steps: Vec<Step>,
) -> Result<(), ImportError> {
    let mut customers = Vec::with_capacity(people.len());
    for person in people {
        customers.push(Target {
            is_new: person.id.is_none(),
            id: match person.id {
                Some(id) => id,
                None => CustomerId::from_uuid(random::uuid(order.now)?),
            },
            is_changed: person.is_changed,
            has_first_token: person.has_first_token,
            profile: person.profile.map(|it| *it).unwrap_or_default(),
        });
    }
    let mut grants = Vec::new();
    let mut tokens: Vec<(CustomerToken, TokenHash)> = Vec::new();
    for step in steps {
        let customer = &mut customers[step.person];
        if let Some(grant) = step.grant {
            grants.push((customer.id.clone(), grant));
        }
        if let Some(taken) = &step.token {
            let token = taken_over(order, &customer.id, taken, customer.has_first_token)?;
            customer.has_first_token = true;
            tokens.push((token, taken.hash()));
        }
    }
    let mut entries = write_customers(tx, order, &customers, &grants).await?;
    entries.extend(write_grants(tx, order, found, &grants).await?);
    if !tx.tokens_add(&order.app, &tokens).await? {
        return Err(ImportError::TokenTaken);
    }
    let tokens = tokens.iter().map(|(token, _)| token);
    entries.extend(tokens.map(|token| created(order, token)));
    tx.audit_add(&entries).await?;
    Ok(())
}

/// Makes and changes customers, with the grants that they are to have. Returns what the audit says of
/// it.
async fn write_customers(
    tx: &mut Tx,
    order: &Order,
    customers: &[Target],
    grants: &[(CustomerId, HandGrant)],
) -> Result<Vec<AuditEntry>, ImportError> {
    let mut given: BTreeMap<&CustomerId, Vec<&HandGrant>> = BTreeMap::new();
    for (customer, grant) in grants {
        given.entry(customer).or_default().push(grant);
    }
    let touched = customers.iter();
    let touched = touched.filter(|it| it.is_new || it.is_changed || given.contains_key(&it.id));
    let (new, known): (Vec<&Target>, Vec<&Target>) = touched.partition(|it| it.is_new);
    let mut entries = Vec::new();
    if !new.is_empty() {
        let lookup_keys = lookup_keys_of(None, new.iter().map(|it| &it.profile));
        let working_set = tx.working_set_load(&order.app, &lookup_keys).await?;
        if working_set.accounts.is_empty() && working_set.customers.is_empty() {
            entries.extend(make_strangers(tx, order, working_set, &new, &given).await?);
        } else {
            for part in new.chunks(RELATED_AT_ONCE) {
                entries.extend(write_related(tx, order, part, &given).await?);
            }
        }
    }
    for part in known.chunks(RELATED_AT_ONCE) {
        entries.extend(write_related(tx, order, part, &given).await?);
    }
    Ok(entries)
}

/// Makes customers of whom nothing is known here, and who have nothing to do with each other: each in
/// a working set of its own, since searches in one are scans.
async fn make_strangers(
    tx: &mut Tx,
    order: &Order,
    mut all: WorkingSet,
    new: &[&Target],
    given: &BTreeMap<&CustomerId, Vec<&HandGrant>>,
) -> Result<Vec<AuditEntry>, ImportError> {
    let mut changes = Vec::new();
    let mut alone = all.clone();
    for customer in new {
        let (id, profile) = (customer.id.clone(), customer.profile.clone());
        changes.extend(alone.create_customer(id, profile, order.now));
        if let Some(grants) = given.get(&customer.id) {
            for grant in grants {
                give(&mut alone, &customer.id, grant);
            }
            changes.extend(alone.tick(order.now));
        }
        all.customers.extend(mem::take(&mut alone.customers));
        all.hand_grants.extend(mem::take(&mut alone.hand_grants));
        let touched = mem::take(&mut alone.changed);
        all.changed.customers.extend(touched.customers);
    }
    save(tx, order, &all, &changes).await
}

/// Makes or changes customers who can have to do with others.
async fn write_related(
    tx: &mut Tx,
    order: &Order,
    customers: &[&Target],
    given: &BTreeMap<&CustomerId, Vec<&HandGrant>>,
) -> Result<Vec<AuditEntry>, ImportError> {
    let mut lookup_keys = lookup_keys_of(None, customers.iter().map(|it| &it.profile));
    let there = customers.iter().filter(|it| !it.is_new);
    lookup_keys.customers.extend(there.map(|it| it.id.clone()));
    let mut working_set = tx.working_set_load(&order.app, &lookup_keys).await?;
    let mut changes = Vec::new();
    for customer in customers {
        let profile = customer.profile.clone();
        if customer.is_new {
            let id = customer.id.clone();
            changes.extend(working_set.create_customer(id, profile, order.now));
        } else if customer.is_changed {
            changes.extend(working_set.update_profile(&customer.id, profile, order.now)?);
        }
        for grant in given.get(&customer.id).into_iter().flatten() {
            give(&mut working_set, &customer.id, grant);
        }
    }
    // Whether customers have grants by hand, and until when, is part of how they stand.
    changes.extend(working_set.tick(order.now));
    working_set.asks = tx.api_key_providers(&order.app).await?;
    let doubts = working_set.doubts(std::iter::empty(), std::iter::empty());
    tx.refetch_want(&order.app, &doubts, order.now).await?;
    save(tx, order, &working_set, &changes).await
}

async fn save(
    tx: &mut Tx,
    order: &Order,
    working_set: &WorkingSet,
    changes: &[Change],
) -> Result<Vec<AuditEntry>, ImportError> {
    let made = owed_licenses::save(tx, &order.app, working_set, order.now).await?;
    let mut entries = audit_entries(&order.app, &order.actor, changes, order.now);
    entries.extend(owed_licenses::audit_entries(order, &made));
    Ok(entries)
}

/// Gives a customer a grant in place of those for the same package, whichever of its rows has them.
fn give(working_set: &mut WorkingSet, customer: &CustomerId, grant: &HandGrant) {
    let rows = working_set.customers.values();
    let rows = rows.filter(|row| row.merged_into.as_ref().unwrap_or(&row.id) == customer);
    let rows: Vec<CustomerId> = rows.map(|row| row.id.clone()).collect();
    for row in rows {
        if let Some(grants) = working_set.hand_grants.get_mut(&row) {
            grants.retain(|it| it.grant.package != grant.grant.package);
        }
    }
    let grants = working_set.hand_grants.entry(customer.clone());
    grants.or_default().push(grant.clone());
}

async fn write_grants(
    tx: &mut Tx,
    order: &Order,
    found: &Found,
    grants: &[(CustomerId, HandGrant)],
) -> Result<Vec<AuditEntry>, ImportError> {
    let mut entries = Vec::with_capacity(grants.len());
    let mut replaced: BTreeMap<&CustomerId, Vec<&str>> = BTreeMap::new();
    for (customer, grant) in grants {
        let package = grant.grant.package.as_str();
        let there = found.grants(customer).iter();
        let there = there.filter(|it| it.grant.grant.package == package);
        let there: Vec<&GivenGrant> = there.collect();
        if !there.is_empty() {
            replaced.entry(customer).or_default().push(package);
        }
        let from: Vec<&HandGrant> = there.iter().map(|it| &it.grant).collect();
        let details = json!({"source": "manual", "package": package, "from": from, "to": [grant]});
        entries.push(order.entry(Some(customer), "grant", details));
    }
    for (customer, packages) in replaced {
        tx.grant_delete(&order.app, customer, packages).await?;
    }
    tx.grants_put(&order.app, grants, order.now).await?;
    Ok(entries)
}
