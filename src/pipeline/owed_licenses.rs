//! Licences for what was bought: made in the transaction that shows that they are owed, whatever
//! that is: an event, a due time, an admin's act, or a plan that names the product only now.

use std::error::Error;
use std::sync::Arc;

use serde_json::json;

use super::order::Order;
use crate::domain::access::license_key::LicenseKey;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::{AppSlug, LicenseId};
use crate::domain::time::Timestamp;
use crate::random;
use crate::store::{Actor, AuditEntry, LicenseMaker, OwedLicenseChange, SealedKey, StoreError, Tx};
use crate::vault::{SealedFor, Vault, VaultError};

/// Returns what the store makes licences with.
pub fn maker(vault: &Vault) -> Arc<dyn LicenseMaker> {
    Arc::new(Maker(vault.clone()))
}

struct Maker(Vault);

impl LicenseMaker for Maker {
    fn make(
        &self,
        app: &AppSlug,
        now: Timestamp,
    ) -> Result<(LicenseId, SealedKey), Box<dyn Error + Send + Sync>> {
        let id = LicenseId::from_uuid(random::uuid(now)?);
        let key = LicenseKey::made(random::bytes()?);
        let key = sealed(&self.0, app, &id, &key)?;
        Ok((id, key))
    }
}

/// Writes what has changed in a working set, and makes the licences that are owed for what is in it.
/// Returns those, and those that were removed.
///
/// # Errors
/// When the store fails, or no key can be made.
pub(super) async fn save(
    tx: &mut Tx,
    app: &AppSlug,
    working_set: &WorkingSet,
    now: Timestamp,
) -> Result<Vec<OwedLicenseChange>, StoreError> {
    tx.working_set_save(app, working_set, now).await?;
    tx.license_make_owed(app, working_set, now).await
}

/// Seals the key of a licence.
///
/// # Errors
/// When the vault has no key.
pub(super) fn sealed(
    vault: &Vault,
    app: &AppSlug,
    id: &LicenseId,
    key: &LicenseKey,
) -> Result<SealedKey, VaultError> {
    Ok(SealedKey {
        hash: key.hash(),
        is_made: key.is_made(),
        sealed: vault.seal(SealedFor::License { app, id }, key.text())?,
    })
}

/// The audit entries of what became of licences on the way of an order.
pub(super) fn audit_entries(order: &Order, changes: &[OwedLicenseChange]) -> Vec<AuditEntry> {
    let entry = |change| {
        let entry = audit_entry(&order.app, &order.actor, change, order.now);
        order.with_reason(entry)
    };
    changes.iter().map(entry).collect()
}

/// The audit entry of a licence that was made or removed.
pub(super) fn audit_entry(
    app: &AppSlug,
    actor: &Actor,
    change: &OwedLicenseChange,
    now: Timestamp,
) -> AuditEntry {
    let (operation, details) = match change {
        OwedLicenseChange::Made(license) => {
            let source = license.source.as_ref();
            let plan = source.map(|it| &it.plan);
            let source = source.map(|it| &it.object.id);
            let details = json!({"id": license.id, "product": license.product, "from": null,
                "to": license.status(now).as_str(), "expires_at": null, "plan": plan,
                "source": source});
            ("license_create", details)
        }
        OwedLicenseChange::Removed {
            id,
            product,
            merged_into,
            ..
        } => {
            let details = json!({"id": id, "product": product, "to": null,
                "merged_into": merged_into});
            ("license_delete", details)
        }
    };
    AuditEntry {
        app: app.clone(),
        at: now,
        actor: actor.clone(),
        customer: Some(change.customer().clone()),
        operation: operation.to_owned(),
        details,
    }
}
