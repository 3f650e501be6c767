//! Licences that are owed for what was bought.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::license_maker::SealedKey;
use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::license::{License, LicenseSource};
use crate::domain::access::license_key::KeyHash;
use crate::domain::access::plan::Plans;
use crate::domain::apply::owed_licenses::OwedLicense;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, LicenseId, ObjectKey};
use crate::domain::time::Timestamp;

record! {
    struct KnownLicense from "licenses" {
        id: LicenseId,
        customer_id: CustomerId,
        product: String,
        source: ObjectKey,
        plan: String,
    }
}

record! {
    struct PlacedLicense<'a> {
        id: &'a LicenseId,
        customer_id: &'a CustomerId,
        source: &'a ObjectKey,
        plan: &'a str,
    }
}

record! {
    struct NewLicense<'a> {
        id: &'a LicenseId,
        customer_id: &'a CustomerId,
        product: &'a str,
        key_hash: &'a KeyHash,
        key_made: bool,
        sealed_key: Vec<u8>,
        source: &'a ObjectKey,
        plan: &'a str,
    }
}

impl Tx {
    /// Makes the licences that are owed for what is in a working set and are not there yet, and
    /// returns them. Those that are there go along with the customer whose they are now; those of tests
    /// that count no more are removed. A store without a maker leaves it to the next look.
    ///
    /// # Errors
    /// When the database does not answer, or no key can be made.
    pub async fn license_make_owed(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
        now: Timestamp,
    ) -> Result<Vec<License>, StoreError> {
        let Some(maker) = self.licenses.clone() else {
            return Ok(Vec::new());
        };
        let owed = working_set.owed_licenses();
        let off = working_set.sources_turned_off(&owed);
        let sql =
            "DELETE FROM licenses WHERE app = $2 AND source IN (SELECT key FROM {rows} AS off)";
        self.execute(sql, binds![keys(&off), app]).await?;
        let known = self.license_list_of_sources(app, &owed).await?;
        self.license_place(&owed, &known).await?;
        let new = owed.iter().filter(|it| find(&known, it).is_none());
        let made: Vec<(License, SealedKey)> = new
            .map(|it| {
                let made = maker.make(app, now);
                let (id, key) = made.map_err(|source| StoreError::LicenseKey { source })?;
                Ok((license_of(it, id, now), key))
            })
            .collect::<Result<_, StoreError>>()?;
        let rows = made
            .iter()
            .zip(owed.iter().filter(|it| find(&known, it).is_none()));
        let rows: Rows<NewLicense<'_>> = rows
            .map(|((license, key), owed)| NewLicense {
                id: &license.id,
                customer_id: &license.customer,
                product: &license.product,
                key_hash: &key.hash,
                key_made: key.is_made,
                sealed_key: key.sealed.clone(),
                source: &owed.source,
                plan: &owed.plan,
            })
            .collect();
        let sql = r"
            INSERT INTO licenses (
                id, app, customer_id, product, metadata, created_at, key_hash, key_made, sealed_key,
                source, plan
            )
            SELECT
                id, $2, customer_id, product, $3, $4, key_hash, key_made, sealed_key, source, plan
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, source, product) DO NOTHING
            RETURNING id
        ";
        let metadata: Map<String, Value> = Map::new();
        let binds = binds![rows, app, &metadata, now];
        let added: BTreeSet<LicenseId> = self.fetch_values("licenses", sql, binds).await?;
        let made = made.into_iter().map(|(license, _)| license);
        Ok(made.filter(|it| added.contains(&it.id)).collect())
    }

    /// Reads the plans on which the validity of licences and the number of their activations depend:
    /// those by which their sources give something now, and those with which they were made.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plans_for_licenses<'a>(
        &mut self,
        app: &AppSlug,
        licenses: impl IntoIterator<Item = &'a License> + Send,
        customers: &BTreeMap<CustomerId, Customer>,
    ) -> Result<Plans, StoreError> {
        let mut ids = BTreeSet::new();
        for license in licenses {
            let (source, customer) = (&license.source, customers.get(&license.customer));
            let Some((source, customer)) = source.as_ref().zip(customer) else {
                continue;
            };
            let made_with = (source.object.scope.provider, source.plan.clone());
            ids.insert(made_with);
            let entitlements = customer.derived.entitlements.iter();
            let of_source = entitlements.filter(|it| it.source == source.object);
            ids.extend(of_source.filter_map(|it| Some((it.provider, it.plan.clone()?))));
        }
        self.plans_for(app, &ids).await
    }

    /// Lists the licences of the sources of some that are owed.
    async fn license_list_of_sources(
        &mut self,
        app: &AppSlug,
        owed: &[OwedLicense],
    ) -> Result<BTreeMap<(ObjectKey, String), KnownLicense>, StoreError> {
        let sources = owed.iter().map(|it| &it.source);
        let documents = owed.iter().flat_map(|it| &it.documents);
        let wanted: BTreeSet<&ObjectKey> = sources.chain(documents).collect();
        let sql = r"
            SELECT it.id, it.customer_id, it.product, it.source, it.plan
            FROM {rows} AS wanted
            JOIN licenses AS it ON it.app = $2 AND it.source = wanted.key
        ";
        let known: Vec<KnownLicense> = self.fetch(sql, binds![keys(wanted), app]).await?;
        let known = known.into_iter();
        Ok(known
            .map(|it| ((it.source.clone(), it.product.clone()), it))
            .collect())
    }

    /// Gives licences that are there to the customers whose they are now, under the document by
    /// which their payment is known now.
    async fn license_place(
        &mut self,
        owed: &[OwedLicense],
        known: &BTreeMap<(ObjectKey, String), KnownLicense>,
    ) -> Result<(), StoreError> {
        let misplaced = owed.iter().filter_map(|owed| {
            let known = find(known, owed)?;
            let is_placed = (&known.customer_id, &known.source, &known.plan)
                == (&owed.customer, &owed.source, &owed.plan);
            (!is_placed).then_some(PlacedLicense {
                id: &known.id,
                customer_id: &owed.customer,
                source: &owed.source,
                plan: &owed.plan,
            })
        });
        let misplaced: Rows<PlacedLicense<'_>> = misplaced.collect();
        let sql = r"
            UPDATE licenses
            SET customer_id = new.customer_id, source = new.source, plan = new.plan
            FROM {rows} AS new
            WHERE licenses.id = new.id
        ";
        self.execute(sql, binds![misplaced]).await?;
        // Two documents turned out to be one payment, and each had its own.
        let twice = owed.iter().flat_map(|owed| {
            let kept = find(known, owed).map(|it| &it.id);
            let same = owed.documents.iter();
            let same = same.filter_map(|key| known.get(&(key.clone(), owed.product.clone())));
            same.map(|it| &it.id).filter(move |id| Some(*id) != kept)
        });
        let sql = "DELETE FROM licenses WHERE id IN (SELECT key FROM {rows} AS twice)";
        self.execute(sql, binds![keys(twice)]).await?;
        Ok(())
    }
}

/// Finds the licence that is owed, under whatever document of its payment.
fn find<'k>(
    known: &'k BTreeMap<(ObjectKey, String), KnownLicense>,
    owed: &OwedLicense,
) -> Option<&'k KnownLicense> {
    let mut sources = [&owed.source].into_iter().chain(&owed.documents);
    sources.find_map(|source| known.get(&(source.clone(), owed.product.clone())))
}

fn license_of(owed: &OwedLicense, id: LicenseId, now: Timestamp) -> License {
    License {
        id,
        customer: owed.customer.clone(),
        product: owed.product.clone(),
        metadata: Map::new(),
        created_at: now,
        expires_at: None,
        activations_limit: None,
        revoked: None,
        source: Some(LicenseSource {
            object: owed.source.clone(),
            plan: owed.plan.clone(),
        }),
    }
}
