//! The event ledger, as people read it. How it is written is in `ledger.rs`.

use serde::{Deserialize, Serialize};

use super::customer::{part, rows_of};
use super::driver::{Row, binds};
use super::page::{Filter, Key, Listed, Window};
use super::{StoreError, Tx};
use crate::domain::event::{EventError, EventKey, EventOutcome};
use crate::domain::id::{AppSlug, CustomerId, Provider};
use crate::domain::time::{Timestamp, rfc3339};

/// One event as the ledger has it.
#[derive(Clone, Debug)]
pub struct EventRecord {
    /// Which event.
    pub key: EventKey,
    /// The provider's event type.
    pub event_type: String,
    /// The connected account (`acct_…`).
    pub account: Option<String>,
    /// Live or test, where the payload or the secret says so.
    pub livemode: Option<bool>,
    /// The provider's time of the event.
    pub occurred_at: Option<Timestamp>,
    /// When it came, by the receiver's clock.
    pub received_at: Timestamp,
    /// When its outcome was reached.
    pub processed_at: Option<Timestamp>,
    /// What became of it.
    pub outcome: EventOutcome,
    /// How many more times it came.
    pub duplicates: i64,
    /// Tries so far.
    pub attempts: i64,
    /// Why it failed or was ignored.
    pub error: Option<EventError>,
    /// Whose customer it concerns.
    pub customer: Option<CustomerId>,
    /// What it changed, as a JSON list.
    pub changes: serde_json::Value,
    /// The signed bytes; only where one event is read.
    pub payload: Option<String>,
}

/// Which events a list shows. All conditions must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFilter {
    /// What became of them.
    pub outcome: Option<EventOutcome>,
    /// Who sent them.
    pub provider: Option<Provider>,
    /// The provider's event type.
    pub event_type: Option<String>,
    /// Whose customer they concern; rows merged into it count.
    pub customer: Option<CustomerId>,
    /// Received at this instant or later.
    #[serde(with = "rfc3339::option")]
    pub since: Option<Timestamp>,
    /// Received before this instant.
    #[serde(with = "rfc3339::option")]
    pub until: Option<Timestamp>,
}

const COLUMNS: &str = "seq, app, provider, id, type, account, livemode, occurred_at, received_at, \
                       processed_at, outcome, duplicates, attempts, error_code, error_detail, \
                       customer_id, changes";

impl Tx {
    /// An event by the provider's id, with its payload. Should two providers have used one id,
    /// the newer event is found.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn event_find(
        &mut self,
        app: &AppSlug,
        id: &str,
    ) -> Result<Option<EventRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, payload FROM events \
             WHERE app = $1 AND id = $2 \
             ORDER BY received_at DESC LIMIT 1"
        );
        let Some(row) = self.fetch_opt(&sql, binds![app.as_str(), id]).await? else {
            return Ok(None);
        };
        Ok(Some(EventRecord {
            payload: Some(row.text("payload")?),
            ..record_of(&row)?
        }))
    }

    /// The newest events, by the provider's time, that were applied to a customer and name this
    /// object. Without payloads.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn event_deciding(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        object: &str,
        most: i64,
    ) -> Result<Vec<EventRecord>, StoreError> {
        // In quotes, so that no other id which begins so is found. Only the customer's own chain
        // is searched, and ends at the first that were wanted.
        let sql = format!(
            "SELECT {COLUMNS} FROM events WHERE seq IN (SELECT seq FROM events \
             WHERE app = $1 AND customer_id IN ({})) \
             AND outcome = 'applied' AND payload LIKE $3 ESCAPE '\\' \
             ORDER BY occurred_at DESC, seq DESC LIMIT $4",
            rows_of("$1", "$2")
        );
        let named = part(&format!("\"{object}\""));
        let binds = binds![app.as_str(), customer.as_str(), named, most];
        let rows = self.fetch(&sql, binds).await?;
        rows.iter().map(record_of).collect()
    }

    /// Events of an app, newest first, without payloads.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn event_list(
        &mut self,
        app: &AppSlug,
        wanted: &EventFilter,
        window: &Window,
    ) -> Result<Listed<EventRecord>, StoreError> {
        let filter = filter_of(app, wanted);
        let select = format!("SELECT {COLUMNS} FROM events");
        self.list(&select, filter, Key::Number("seq"), window, record_of)
            .await
    }
}

/// The conditions of a filter.
pub(super) fn filter_of(app: &AppSlug, wanted: &EventFilter) -> Filter {
    let mut filter = Filter::new("app = ?", app.as_str());
    if let Some(outcome) = wanted.outcome {
        filter.and("outcome = ?", outcome.as_str());
    }
    if let Some(provider) = wanted.provider {
        filter.and("provider = ?", provider.as_str());
    }
    if let Some(event_type) = &wanted.event_type {
        filter.and("type = ?", event_type.as_str());
    }
    if let Some(customer) = &wanted.customer {
        // By way of `seq`, or an engine may walk the whole app in the list's order.
        let chain = format!(
            "seq IN (SELECT seq FROM events WHERE app = $1 AND customer_id IN ({}))",
            rows_of("$1", "?")
        );
        filter.and(&chain, customer.as_str());
    }
    if let Some(since) = wanted.since {
        filter.and("received_at >= ?", since);
    }
    if let Some(until) = wanted.until {
        filter.and("received_at < ?", until);
    }
    filter
}

fn record_of(row: &Row) -> Result<EventRecord, StoreError> {
    let key = EventKey {
        app: row.parsed("app")?,
        provider: row.parsed("provider")?,
        id: row.text("id")?,
    };
    let error = row.text_opt("error_code")?.map(|code| {
        let detail = row.text_opt("error_detail")?.unwrap_or_default();
        Ok::<_, StoreError>(EventError { code, detail })
    });
    Ok(EventRecord {
        key,
        event_type: row.text("type")?,
        account: row.text_opt("account")?,
        livemode: row.int_opt("livemode")?.map(|live| live != 0),
        occurred_at: row.time_opt("occurred_at")?,
        received_at: row.time("received_at")?,
        processed_at: row.time_opt("processed_at")?,
        outcome: row.parsed("outcome")?,
        duplicates: row.int("duplicates")?,
        attempts: row.int("attempts")?,
        error: error.transpose()?,
        customer: row.parsed_opt("customer_id")?,
        changes: row.json("changes")?,
        payload: None,
    })
}
