//! The audit: every change, who made it, from which state to which. It is append-only, and the
//! database refuses what would change or remove an entry, with two exceptions: the deletion of an
//! app takes its entries along, and while a customer is being erased (`erasure_step.rs`) fields of
//! the details of customers' entries can give way to `erased`.

use std::fmt;
use std::str::FromStr;

use super::customer_rows::rows_of;
use super::filter::{AnyOf, Filter};
use super::page::{Key, Listed, Window};
use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::announcement::announced;
use crate::domain::announcement::joined::joined;
use crate::domain::event::EventKey;
use crate::domain::id::{AdminTokenId, AppSlug, CustomerId};
use crate::domain::operation::OPERATIONS;
use crate::domain::time::Timestamp;

/// The author of a change.
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
    /// A Composer repository that was read.
    Repository,
    /// A file of customers from another system, which somebody at the machine imported.
    Import,
    /// The customer itself, on its own page.
    Customer,
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
            Self::Repository => f.write_str("repository"),
            Self::Import => f.write_str("import"),
            Self::Customer => f.write_str("customer"),
        }
    }
}

/// One entry.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// The app.
    pub app: AppSlug,
    /// Time of the change, by the local clock.
    pub at: Timestamp,
    /// The author.
    pub actor: Actor,
    /// The customer that was changed, if it was one.
    pub customer: Option<CustomerId>,
    /// The operation, such as `suspend` or `token_create`.
    pub operation: String,
    /// The state before and after, without secrets.
    pub details: serde_json::Value,
}

/// An entry as it is read.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// Its place among all entries, of other apps too.
    pub seq: i64,
    /// Time of the change, by the local clock.
    pub at: Timestamp,
    /// The author, as [`Actor`] is written.
    pub actor: String,
    /// The provider's id of the event that did it.
    pub event: Option<String>,
    /// The customer that was changed, if it was one.
    pub customer: Option<CustomerId>,
    /// The operation.
    pub operation: String,
    /// The state before and after.
    pub details: serde_json::Value,
}

record! {
    impl AuditRecord from "audit" { seq, at, actor, event, customer, operation, details }
}

record! {
    struct NewEntry<'a> {
        app: &'a AppSlug,
        at: Timestamp,
        actor: String,
        event: Option<&'a str>,
        customer_id: Option<&'a CustomerId>,
        operation: &'a str,
        details: &'a serde_json::Value,
    }
}

impl<'a> From<&'a AuditEntry> for NewEntry<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        let event = match &entry.actor {
            Actor::Event(key) => Some(key.id.as_str()),
            Actor::Admin(_)
            | Actor::Root
            | Actor::Timer
            | Actor::Policy
            | Actor::Operator
            | Actor::Repository
            | Actor::Import
            | Actor::Customer => None,
        };
        Self {
            app: &entry.app,
            at: entry.at,
            actor: entry.actor.to_string(),
            event,
            customer_id: entry.customer.as_ref(),
            operation: &entry.operation,
            details: &entry.details,
        }
    }
}

/// The actors that a list shows.
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
#[error(
    "must be event, admin, root, timer, policy, operator, repository, import, customer or the id of an admin token"
)]
pub struct ActorError;

impl FromStr for ActorFilter {
    type Err = ActorError;
    fn from_str(text: &str) -> Result<Self, ActorError> {
        let actor = match text {
            "event" => return Ok(Self::Events),
            "admin" => return Ok(Self::Admins),
            "root" | "admin:root" => Actor::Root,
            "timer" => Actor::Timer,
            "policy" => Actor::Policy,
            "operator" => Actor::Operator,
            "repository" => Actor::Repository,
            "import" => Actor::Import,
            "customer" => Actor::Customer,
            _ => {
                let id = text.strip_prefix("admin:").unwrap_or(text);
                Actor::Admin(id.parse().map_err(|_| ActorError)?)
            }
        };
        Ok(Self::Exactly(actor.to_string()))
    }
}

/// The entries that a list shows. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// The customer that was changed; rows merged into it count.
    pub customer: Option<CustomerId>,
    /// The operation.
    pub operation: Option<String>,
    /// The author.
    pub actor: Option<ActorFilter>,
    /// The provider's id of the event that did it.
    pub event: Option<String>,
    /// At this instant or later.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

impl Tx {
    /// Lists entries of an app, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_list(
        &mut self,
        app: &AppSlug,
        wanted: &AuditFilter,
        window: &Window,
    ) -> Result<Listed<AuditRecord>, StoreError> {
        let select = r"
            SELECT seq, at, actor, event, customer_id AS customer, operation, details
            FROM audit
        ";
        let filter = self.audit_filter(app, wanted).await?;
        let seq = |entry: &AuditRecord| entry.seq.to_string();
        self.list(select, filter, Key::Number("seq"), window, seq)
            .await
    }

    /// Adds entries, oldest first, and what others are told of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_add(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        for entry in entries {
            debug_assert!(
                OPERATIONS.contains(&entry.operation.as_str()),
                "`{}` is missing in domain/operation.rs",
                entry.operation
            );
        }
        let rows: Rows<NewEntry<'_>> = entries.iter().map(NewEntry::from).collect();
        let sql = r"
            INSERT INTO audit (app, at, actor, event, customer_id, operation, details)
            SELECT app, at, actor, event, customer_id, operation, details
            FROM {rows} AS new
        ";
        self.execute(sql, binds![rows]).await?;
        // Every change has an entry, so this is the one place where all of them pass.
        let changes = entries.iter().flat_map(|entry| {
            let customer = entry.customer.as_ref();
            announced(
                &entry.app,
                customer,
                &entry.operation,
                &entry.details,
                entry.at,
            )
        });
        self.change_add(joined(changes)).await
    }

    /// Returns the author of the last change by hand of a customer at this instant, as the audit
    /// writes it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_actor(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let sql = r"
            SELECT actor
            FROM audit
            WHERE app = $1
                AND customer_id IN (
                    SELECT CAST($2 AS TEXT)
                    UNION ALL
                    SELECT id FROM customers WHERE app = $1 AND COALESCE(merged_into, id) = $2
                )
                AND at = $3
                AND (actor LIKE 'admin:%' OR actor = 'operator')
            ORDER BY seq DESC
            LIMIT 1
        ";
        self.fetch_value("audit", sql, binds![app, customer, at])
            .await
    }

    async fn audit_filter(
        &mut self,
        app: &AppSlug,
        wanted: &AuditFilter,
    ) -> Result<Filter, StoreError> {
        let mut filter = Filter::new("app = ?", app);
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
        if let Some(customer) = &wanted.customer {
            let rows = self.customer_rows(app, customer).await?;
            let mut of_rows = AnyOf::of("audit", "seq");
            of_rows.or_each(&mut filter, "customer_id", rows.iter(), |filter| {
                rows_of(&filter.place(customer))
            });
            filter.any_of(of_rows);
        }
        Ok(filter)
    }
}
