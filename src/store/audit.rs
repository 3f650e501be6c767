//! Who changed what, from what to what: append-only.

use std::fmt;

use serde_json::json;

use super::driver::{Batch, Kind, binds};
use super::{StoreError, Tx};
use crate::domain::event::EventKey;
use crate::domain::id::{AdminTokenId, AppSlug, CustomerId};
use crate::domain::time::Timestamp;

/// Who changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A billing event.
    Event(EventKey),
    /// An admin, by token.
    Admin(AdminTokenId),
    /// The holder of `ADMIN_TOKEN`.
    Root,
    /// A due time that came.
    Timer,
    /// A new policy, which an admin set before.
    Policy,
    /// Somebody at the machine: a command, or the start of the server.
    Operator,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(key) => write!(f, "event:{}:{}", key.provider, key.id),
            Self::Admin(id) => write!(f, "admin:{id}"),
            Self::Root => f.write_str("admin:root"),
            Self::Timer => f.write_str("timer"),
            Self::Policy => f.write_str("policy"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

/// One entry.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// In which app.
    pub app: AppSlug,
    /// When, by our clock.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Whose customer was changed, if it was one.
    pub customer: Option<CustomerId>,
    /// What was done, such as `suspend` or `token_create`.
    pub operation: String,
    /// From what to what, without secrets.
    pub details: serde_json::Value,
}

impl Tx {
    /// Adds entries, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_add(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut rows = Batch::new(&[
            ("app", Kind::Text),
            ("at", Kind::Time),
            ("actor", Kind::Text),
            ("event", Kind::Text),
            ("customer_id", Kind::Text),
            ("operation", Kind::Text),
            ("details", Kind::Json),
        ]);
        for entry in entries {
            let event = match &entry.actor {
                Actor::Event(key) => Some(&key.id),
                Actor::Admin(_) | Actor::Root | Actor::Timer | Actor::Policy | Actor::Operator => {
                    None
                }
            };
            rows.row([
                json!(entry.app),
                json!(entry.at),
                json!(entry.actor.to_string()),
                json!(event),
                json!(entry.customer),
                json!(entry.operation),
                json!(entry.details.to_string()),
            ]);
        }
        let sql = "INSERT INTO audit (app, at, actor, event, customer_id, operation, details) \
                   SELECT app, at, actor, event, customer_id, operation, details \
                   FROM {rows} AS new";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }
}
