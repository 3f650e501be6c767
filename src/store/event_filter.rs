//! Which events a list shows.

use serde::{Deserialize, Serialize};

use super::account::Meant;
use super::cell::documents;
use super::customer::literal;
use super::customer_rows::rows_of;
use super::event_object::hash;
use super::filter::{AnyOf, Filter};
use super::record::binds;
use super::{StoreError, Tx};
use crate::domain::event::EventOutcome;
use crate::domain::id::{AppSlug, CustomerId, ObjectKey, Provider};
use crate::domain::time::{Timestamp, rfc3339};

/// The events that a list shows. All conditions must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFilter {
    /// The result of their processing.
    pub outcome: Option<EventOutcome>,
    /// The sender.
    pub provider: Option<Provider>,
    /// The provider's event type.
    pub event_type: Option<String>,
    /// The customer that they concern; rows merged into it count, and so do events of its accounts
    /// that were not processed.
    pub customer: Option<CustomerId>,
    /// Whose they are, by an id of theirs.
    pub external: Option<ExternalFilter>,
    /// The provider's id of an object that their payloads name.
    pub object: Option<String>,
    /// The code of the reason why they failed or were ignored.
    pub error_code: Option<String>,
    /// Received at this instant or later.
    #[serde(with = "rfc3339::option")]
    pub since: Option<Timestamp>,
    /// Received before this instant.
    #[serde(with = "rfc3339::option")]
    pub until: Option<Timestamp>,
}

documents!(EventFilter);

/// The events of whoever has an external id, or a billing account of this id, in any spelling.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExternalFilter {
    /// The id as it was asked for.
    pub id: String,
    /// The customer that was found by it.
    pub customer: Option<CustomerId>,
}

impl Tx {
    /// The conditions of a filter.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn event_filter(
        &mut self,
        app: &AppSlug,
        wanted: &EventFilter,
    ) -> Result<Filter, StoreError> {
        let mut filter = Filter::new("app = ?", app);
        if let Some(outcome) = wanted.outcome {
            filter.and("outcome = ?", outcome);
        }
        if let Some(provider) = wanted.provider {
            filter.and("provider = ?", provider);
        }
        if let Some(event_type) = &wanted.event_type {
            filter.and("type = ?", event_type);
        }
        if let Some(object) = &wanted.object {
            let named = "seq IN (SELECT seq FROM event_objects WHERE app = $1 AND hash = ?)";
            filter.and(named, hash(object));
        }
        if let Some(error_code) = &wanted.error_code {
            filter.and("error_code = ?", error_code);
        }
        if let Some(since) = wanted.since {
            filter.and("received_at >= ?", since);
        }
        if let Some(until) = wanted.until {
            filter.and("received_at < ?", until);
        }
        let mut of_whom = None;
        if let Some(customer) = &wanted.customer {
            let mut chain = AnyOf::of("events", "seq");
            self.event_chain(app, customer, &mut chain, &mut filter)
                .await?;
            of_whom = Some(chain);
        }
        if let Some(external) = &wanted.external {
            let mut found = AnyOf::of("events", "seq");
            found.or(unprocessed_of(&mut filter, &external.id));
            if let Some(customer) = &external.customer {
                self.event_chain(app, customer, &mut found, &mut filter)
                    .await?;
            }
            // With both, either one leads to few.
            if let Some(chain) = of_whom.replace(found) {
                filter.and_plain(&chain.joined());
            }
        }
        if let Some(of_whom) = of_whom {
            filter.any_of(of_whom);
        }
        Ok(filter)
    }

    /// Adds the conditions of which one holds for each event of a customer: those that were applied to its rows, and
    /// those of its accounts that were not processed.
    async fn event_chain(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        chain: &mut AnyOf,
        filter: &mut Filter,
    ) -> Result<(), StoreError> {
        let rows = self.customer_rows(app, customer).await?;
        let accounts: Vec<ObjectKey> = self
            .fetch_values("accounts", &accounts_of("$2"), binds![app, customer])
            .await?;
        chain.or_each(filter, "customer_id", rows.iter(), |filter| {
            rows_of(&filter.place(customer))
        });
        chain.or_each(filter, "billing_account", accounts.iter(), |filter| {
            accounts_of(&filter.place(customer))
        });
        Ok(())
    }
}

/// A subquery of the billing accounts of a customer of the app `$1`. `id` is a parameter such as `$2`.
fn accounts_of(id: &str) -> String {
    format!(
        "SELECT key FROM accounts WHERE app = $1 AND customer_id IN ({})",
        rows_of(id)
    )
}

/// The condition of events that were not processed and name an account of this id, whether or not there is a
/// customer for it.
fn unprocessed_of(filter: &mut Filter, external_id: &str) -> String {
    // The index of objects finds the few that name the id at all.
    let (bare, prefixed) = Meant::by(external_id);
    let whole = filter.place(hash(bare.id));
    let of_any = filter.place(format!("account:%{}", literal(&bare.tail)));
    let rest = filter.place(hash(prefixed.id));
    let of_one = filter.place(format!("{}{}", prefixed.keys, literal(&prefixed.tail)));
    format!(
        r"seq IN (
            SELECT events.seq
            FROM event_objects AS named
            JOIN events ON events.seq = named.seq
            WHERE named.app = $1
                AND named.hash IN ({whole}, {rest})
                AND (
                    events.billing_account LIKE {of_any} ESCAPE '\'
                    OR events.billing_account LIKE {of_one} ESCAPE '\'
                )
        )"
    )
}
