//! Who changed what, from what to what: append-only. There is no statement that changes or removes
//! an entry, and the database refuses those of others; only the deletion of an app takes its
//! entries along.

use std::fmt;
use std::str::FromStr;

use serde_json::json;

use super::customer::rows_of;
use super::driver::{Batch, Kind, Row, binds};
use super::page::{Filter, Key, Listed, Window};
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

/// An entry as it is read.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// Its place among all entries, of other apps too.
    pub seq: i64,
    /// When, by our clock.
    pub at: Timestamp,
    /// Who, as [`Actor`] is written.
    pub actor: String,
    /// The provider's id of the event that did it.
    pub event: Option<String>,
    /// Whose customer was changed, if it was one.
    pub customer: Option<CustomerId>,
    /// What was done.
    pub operation: String,
    /// From what to what.
    pub details: serde_json::Value,
}

/// Which actors a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorFilter {
    /// Billing events.
    Events,
    /// Admins, with whatever token.
    Admins,
    /// One that is no event, as [`Actor`] is written.
    Exactly(String),
}

/// A word that names no actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be event, admin, root, timer, operator or the id of an admin token")]
pub struct ActorError;

impl FromStr for ActorFilter {
    type Err = ActorError;
    fn from_str(text: &str) -> Result<Self, ActorError> {
        let actor = match text {
            "event" => return Ok(Self::Events),
            "admin" => return Ok(Self::Admins),
            "root" | "admin:root" => Actor::Root,
            "timer" => Actor::Timer,
            "operator" => Actor::Operator,
            _ => {
                let id = text.strip_prefix("admin:").unwrap_or(text);
                Actor::Admin(id.parse().map_err(|_| ActorError)?)
            }
        };
        Ok(Self::Exactly(actor.to_string()))
    }
}

/// Which entries a list shows. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Whose customer was changed; rows merged into it count.
    pub customer: Option<CustomerId>,
    /// What was done.
    pub operation: Option<String>,
    /// Who did it.
    pub actor: Option<ActorFilter>,
    /// The provider's id of the event that did it.
    pub event: Option<String>,
    /// At this instant or later.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

impl Tx {
    /// Entries of an app, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_list(
        &mut self,
        app: &AppSlug,
        wanted: &AuditFilter,
        window: &Window,
    ) -> Result<Listed<AuditRecord>, StoreError> {
        let select = "SELECT seq, at, actor, event, customer_id, operation, details FROM audit";
        let filter = filter_of(app, wanted);
        self.list(select, filter, Key::Number("seq"), window, record_of)
            .await
    }

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

    /// Who changed a customer by hand at this instant, as the audit writes it; the last of
    /// several.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_actor(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let sql = format!(
            "SELECT actor FROM audit WHERE app = $1 AND customer_id IN ({}) AND at = $3 \
             AND (actor LIKE 'admin:%' OR actor = 'operator') ORDER BY seq DESC LIMIT 1",
            rows_of("$1", "$2")
        );
        let binds = binds![app.as_str(), customer.as_str(), at];
        let row = self.fetch_opt(&sql, binds).await?;
        row.map(|row| row.text("actor")).transpose()
    }
}

fn filter_of(app: &AppSlug, wanted: &AuditFilter) -> Filter {
    let mut filter = Filter::new("app = ?", app.as_str());
    if let Some(customer) = &wanted.customer {
        // By way of `seq`, or an engine may walk the whole app in the list's order.
        let rows = format!(
            "seq IN (SELECT seq FROM audit WHERE app = $1 AND customer_id IN ({}))",
            rows_of("$1", "?")
        );
        filter.and(&rows, customer.as_str());
    }
    if let Some(operation) = &wanted.operation {
        filter.and("operation = ?", operation.as_str());
    }
    match &wanted.actor {
        // Only events name one, and partial indexes are found by these words.
        Some(ActorFilter::Events) => filter.and_plain("event IS NOT NULL"),
        Some(ActorFilter::Admins) => filter.and_plain("event IS NULL AND actor LIKE 'admin:%'"),
        Some(ActorFilter::Exactly(actor)) => {
            filter.and("event IS NULL AND actor = ?", actor.as_str());
        }
        None => {}
    }
    if let Some(event) = &wanted.event {
        filter.and("event = ?", event.as_str());
    }
    if let Some(since) = wanted.since {
        filter.and("at >= ?", since);
    }
    if let Some(until) = wanted.until {
        filter.and("at < ?", until);
    }
    filter
}

fn record_of(row: &Row) -> Result<AuditRecord, StoreError> {
    Ok(AuditRecord {
        seq: row.int("seq")?,
        at: row.time("at")?,
        actor: row.text("actor")?,
        event: row.text_opt("event")?,
        customer: row.parsed_opt("customer_id")?,
        operation: row.text("operation")?,
        details: row.json("details")?,
    })
}
