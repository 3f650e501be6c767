//! Orders: who asks for something to be done, and how the audit remembers it.
//!
//! Every use case that changes something takes an [`Order`]. The HTTP API makes one from the
//! token of a request, a command from the operator who runs it.

use serde_json::json;

use crate::domain::apply::change::Change;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::store::{Actor, AuditEntry, StoreError, Tx};

/// An order: the actor, the app and the time.
#[derive(Clone, Debug)]
pub struct Order {
    /// The app in which it is done.
    pub app: AppSlug,
    /// The actor, for the audit.
    pub actor: Actor,
    /// When, by the local clock.
    pub now: Timestamp,
    /// Why, where whoever asks says so. It goes into the audit, beside what was done.
    pub reason: Option<String>,
}

impl Order {
    /// Writes to the audit what was done. `details` must hold no secret.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn audit(
        &self,
        tx: &mut Tx,
        customer: Option<&CustomerId>,
        operation: &str,
        details: serde_json::Value,
    ) -> Result<(), StoreError> {
        let entry = self.entry(customer, operation, details);
        tx.audit_add(&[entry]).await
    }

    /// The same order with a reason, if one is given here.
    #[must_use]
    pub fn because<R: Into<String>>(mut self, reason: Option<R>) -> Self {
        self.reason = reason.map(R::into).or(self.reason);
        self
    }

    /// An entry for the audit.
    pub(super) fn entry(
        &self,
        customer: Option<&CustomerId>,
        operation: &str,
        details: serde_json::Value,
    ) -> AuditEntry {
        let entry = AuditEntry {
            app: self.app.clone(),
            at: self.now,
            actor: self.actor.clone(),
            customer: customer.cloned(),
            operation: operation.to_owned(),
            details,
        };
        self.with_reason(entry)
    }

    /// The entries of changes that the order brought along.
    pub(super) fn entries(&self, changes: &[Change]) -> Vec<AuditEntry> {
        let entries = audit_entries(&self.app, &self.actor, changes, self.now);
        let entries = entries.into_iter().map(|entry| self.with_reason(entry));
        entries.collect()
    }

    /// Adds the reason of the order to an entry that has none of its own.
    pub(super) fn with_reason(&self, mut entry: AuditEntry) -> AuditEntry {
        if let (Some(reason), Some(details)) = (&self.reason, entry.details.as_object_mut()) {
            let place = details.entry("reason").or_insert(serde_json::Value::Null);
            if place.is_null() {
                *place = json!(reason);
            }
        }
        entry
    }
}

/// One audit entry for each change.
pub(super) fn audit_entries(
    app: &AppSlug,
    actor: &Actor,
    changes: &[Change],
    now: Timestamp,
) -> Vec<AuditEntry> {
    let entry = |change: &Change| {
        let details = json!(change.operation);
        let name = details.get("operation").and_then(serde_json::Value::as_str);
        AuditEntry {
            app: app.clone(),
            at: now,
            actor: actor.clone(),
            customer: Some(change.customer.clone()),
            operation: name.unwrap_or_default().to_owned(),
            details,
        }
    };
    changes.iter().map(entry).collect()
}
