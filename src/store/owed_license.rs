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
        metadata: Map<String, Value>,
        expires_at: Option<Timestamp>,
        activations_limit: Option<u32>,
        revoked_at: Option<Timestamp>,
        revoked_reason: Option<String>,
    }
}

record! {
    struct PlacedLicense<'a> {
        id: &'a LicenseId,
        customer_id: &'a CustomerId,
        source: &'a ObjectKey,
        plan: &'a str,
        metadata: &'a Map<String, Value>,
        expires_at: Option<Timestamp>,
        activations_limit: Option<u32>,
        revoked_at: Option<Timestamp>,
        revoked_reason: Option<&'a str>,
    }
}

record! {
    struct RemovedLicense from "licenses" {
        id: LicenseId,
        customer_id: CustomerId,
        product: String,
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

/// What became of a licence for something that was bought.
#[derive(Clone, Debug)]
pub enum OwedLicenseChange {
    /// It was made.
    Made(License),
    /// It was removed.
    Removed {
        /// Its id.
        id: LicenseId,
        /// The customer whose it was.
        customer: CustomerId,
        /// Its product.
        product: String,
        /// The licence that has its activations now, because both were for one payment; `None` if it was
        /// of a test and live events have come.
        merged_into: Option<LicenseId>,
    },
}

impl OwedLicenseChange {
    /// The customer whose it is, or was.
    pub const fn customer(&self) -> &CustomerId {
        match self {
            Self::Made(license) => &license.customer,
            Self::Removed { customer, .. } => customer,
        }
    }
}

impl Tx {
    /// Makes the licences that are owed for what is in a working set and are not there yet, and
    /// returns them, with those that were removed. Those that are there go along with the customer whose they
    /// are now; those of tests that count no more are removed. A store without a maker leaves it to the next
    /// look.
    ///
    /// # Errors
    /// When the database does not answer, or no key can be made.
    pub async fn license_make_owed(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
        now: Timestamp,
    ) -> Result<Vec<OwedLicenseChange>, StoreError> {
        let Some(maker) = self.licenses.clone() else {
            return Ok(Vec::new());
        };
        let owed = working_set.owed_licenses();
        let off = working_set.sources_turned_off(&owed);
        let sql = r"
            DELETE FROM licenses
            WHERE app = $2 AND source IN (SELECT key FROM {rows} AS off)
            RETURNING id, customer_id, product
        ";
        let off: Vec<RemovedLicense> = self.fetch(sql, binds![keys(&off), app]).await?;
        let mut changes: Vec<_> = off.into_iter().map(|it| it.change(None)).collect();
        let known = self.license_list_of_sources(app, &owed).await?;
        changes.extend(self.license_merge(&owed, &known).await?);
        self.license_place(&owed, &known).await?;
        let new = owed.iter().filter(|it| of(&known, it).next().is_none());
        let made: Vec<(License, SealedKey)> = new
            .map(|it| {
                let made = maker.make(app, now);
                let (id, key) = made.map_err(|source| StoreError::LicenseKey { source })?;
                Ok((license_of(it, id, now), key))
            })
            .collect::<Result<_, StoreError>>()?;
        let rows = made
            .iter()
            .zip(owed.iter().filter(|it| of(&known, it).next().is_none()));
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
        let made = made.filter(|it| added.contains(&it.id));
        changes.extend(made.map(OwedLicenseChange::Made));
        Ok(changes)
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
    ) -> Result<Known, StoreError> {
        let sources = owed.iter().map(|it| &it.source);
        let documents = owed.iter().flat_map(|it| &it.documents);
        let wanted: BTreeSet<&ObjectKey> = sources.chain(documents).collect();
        let sql = r"
            SELECT
                it.id, it.customer_id, it.product, it.source, it.plan, it.metadata, it.expires_at,
                it.activations_limit, it.revoked_at, it.revoked_reason
            FROM {rows} AS wanted
            JOIN licenses AS it ON it.app = $2 AND it.source = wanted.key
        ";
        let known: Vec<KnownLicense> = self.fetch(sql, binds![keys(wanted), app]).await?;
        let known = known.into_iter();
        Ok(known
            .map(|it| ((it.source.clone(), it.product.clone()), it))
            .collect())
    }

    /// Where two documents turned out to be one payment and each had a licence, moves the activations to the
    /// one that is kept, and removes the other one.
    async fn license_merge(
        &mut self,
        owed: &[OwedLicense],
        known: &Known,
    ) -> Result<Vec<OwedLicenseChange>, StoreError> {
        let mut changes = Vec::new();
        for owed in owed {
            let mut same = of(known, owed);
            let Some(kept) = same.next() else { continue };
            for removed in same {
                let sql = r"
                    UPDATE activations
                    SET license_id = $1
                    WHERE license_id = $2 AND fingerprint NOT IN (
                        SELECT fingerprint FROM activations WHERE license_id = $1
                    )
                ";
                self.execute(sql, binds![&kept.id, &removed.id]).await?;
                let sql = "DELETE FROM licenses WHERE id = $1 RETURNING id, customer_id, product";
                let gone: Option<RemovedLicense> = self.fetch_opt(sql, binds![&removed.id]).await?;
                changes.extend(gone.map(|it| it.change(Some(kept.id.clone()))));
            }
        }
        Ok(changes)
    }

    /// Gives licences that are there to the customers whose they are now, under the document by
    /// which their payment is known now.
    async fn license_place(
        &mut self,
        owed: &[OwedLicense],
        known: &Known,
    ) -> Result<(), StoreError> {
        let misplaced = owed.iter().filter_map(|owed| {
            let same: Vec<_> = of(known, owed).collect();
            let kept = same.first()?;
            let is_placed = (&kept.customer_id, &kept.source, &kept.plan)
                == (&owed.customer, &owed.source, &owed.plan);
            let revoked = same.iter().find(|it| it.revoked_at.is_some());
            let metadata = same.iter().map(|it| &it.metadata);
            (!is_placed || same.len() > 1).then(|| PlacedLicense {
                id: &kept.id,
                customer_id: &owed.customer,
                source: &owed.source,
                plan: &owed.plan,
                metadata: metadata
                    .clone()
                    .find(|it| !it.is_empty())
                    .unwrap_or(&kept.metadata),
                expires_at: same.iter().find_map(|it| it.expires_at),
                activations_limit: same.iter().find_map(|it| it.activations_limit),
                revoked_at: revoked.and_then(|it| it.revoked_at),
                revoked_reason: revoked.and_then(|it| it.revoked_reason.as_deref()),
            })
        });
        let misplaced: Rows<PlacedLicense<'_>> = misplaced.collect();
        // What an admin said of one that was merged counts, unless he said it of the one that is kept.
        let sql = r"
            UPDATE licenses
            SET
                customer_id = new.customer_id, source = new.source, plan = new.plan,
                metadata = new.metadata,
                expires_at = COALESCE(licenses.expires_at, new.expires_at),
                activations_limit = COALESCE(licenses.activations_limit, new.activations_limit),
                revoked_at = COALESCE(licenses.revoked_at, new.revoked_at),
                revoked_reason = COALESCE(licenses.revoked_reason, new.revoked_reason)
            FROM {rows} AS new
            WHERE licenses.id = new.id
        ";
        self.execute(sql, binds![misplaced]).await?;
        Ok(())
    }
}

impl RemovedLicense {
    fn change(self, merged_into: Option<LicenseId>) -> OwedLicenseChange {
        OwedLicenseChange::Removed {
            id: self.id,
            customer: self.customer_id,
            product: self.product,
            merged_into,
        }
    }
}

/// The licences of some sources, by source and product.
type Known = BTreeMap<(ObjectKey, String), KnownLicense>;

/// Returns the licences that are known for what is owed, under whatever documents of its payment, oldest
/// first: its key may be in use.
fn of<'k>(known: &'k Known, owed: &OwedLicense) -> impl Iterator<Item = &'k KnownLicense> {
    let sources = [&owed.source].into_iter().chain(&owed.documents);
    let same = sources.filter_map(|source| known.get(&(source.clone(), owed.product.clone())));
    // Ids are made in the order of time.
    let same: BTreeMap<&LicenseId, &KnownLicense> = same.map(|it| (&it.id, it)).collect();
    same.into_values()
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
