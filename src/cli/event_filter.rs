//! A selection of events on the command line.

use clap::Args;

use super::dates::{since, until};
use super::error::CliError;
use crate::clock::{Clock, SystemClock};
use crate::domain::event::EventOutcome;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::pipeline::search::{Exactly, anything};
use crate::provider::Spec;
use crate::store::{EventFilter, ExternalFilter, Store, Window};

/// A selection of events.
#[derive(Clone, Debug, Args)]
pub(super) struct FilterArgs {
    /// Only events with this outcome.
    #[arg(long)]
    outcome: Option<EventOutcome>,
    /// Only events of this provider.
    #[arg(long)]
    provider: Option<&'static Spec>,
    /// Only events of this type.
    #[arg(long = "type", value_name = "TYPE", value_parser = named)]
    event_type: Option<String>,
    /// Only events of this customer, by whatever names it: cust_..., cus_..., ctm_..., sub_..., an external id,
    /// an e-mail address, or the id of anything that only its events name.
    #[arg(long, value_name = "ID", value_parser = named)]
    customer: Option<String>,
    /// Only events of the customer with this billing account or external id, and of an account that
    /// has no customer yet.
    #[arg(long, visible_alias = "external-id", value_name = "ID", value_parser = named)]
    account: Option<String>,
    /// Only events whose payload names this object, such as in_..., ch_..., cs_..., sub_... or txn_....
    #[arg(long, value_name = "ID", value_parser = named)]
    object: Option<String>,
    /// Only events that failed, or were ignored, for this reason.
    #[arg(long, value_name = "CODE", value_parser = named)]
    error_code: Option<String>,
    /// Only events received at this time or later, such as 2026-01-31T09:30:00Z; a day alone means its
    /// beginning, in UTC.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only events received before this time; a day alone means its end, in UTC.
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
}

/// Refuses a name without a letter: most likely a variable of a script that is not set. Everybody's name
/// has such a part, so of a store with one customer it would mean that one.
fn named(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("is empty: give what it names, or leave the option out".to_owned());
    }
    Ok(text.to_owned())
}

impl FilterArgs {
    /// Reports whether nothing narrows it.
    pub(super) fn is_empty(&self) -> bool {
        let filter = self.without_customer();
        let says_nothing =
            serde_json::to_value(filter).ok() == serde_json::to_value(EventFilter::default()).ok();
        says_nothing && self.customer.is_none()
    }

    fn without_customer(&self) -> EventFilter {
        let external = |id| ExternalFilter { id, customer: None };
        EventFilter {
            outcome: self.outcome,
            provider: self.provider.map(|spec| spec.name),
            event_type: self.event_type.clone(),
            customer: None,
            external: self.account.clone().map(external),
            object: self.object.clone(),
            error_code: self.error_code.clone(),
            since: self.since,
            until: self.until,
        }
    }

    /// Returns the filter, with the customer looked up.
    ///
    /// # Errors
    /// When the customer's name names none, or the store failed.
    pub(super) async fn filter(
        &self,
        store: &Store,
        app: &AppSlug,
    ) -> Result<EventFilter, CliError> {
        let customer = match &self.customer {
            None => None,
            Some(text) => Some(customer_named(store, app, text).await?),
        };
        Ok(EventFilter {
            customer,
            ..self.without_customer()
        })
    }
}

/// Finds the customer that a text names as a whole, as the search of the console does. A part of an address
/// may be somebody else's, whose events would be dismissed or replayed.
async fn customer_named(store: &Store, app: &AppSlug, text: &str) -> Result<CustomerId, CliError> {
    let one = Window::Walk {
        after: None,
        size: 1,
    };
    let text = text.trim();
    let found = anything(store, app, text, true, &one, SystemClock.now()).await?;
    if let Some(Exactly::Customer(id)) = found.exactly {
        return Ok(id);
    }
    Err(CliError::Missing {
        code: "customer_not_found",
        what: format!("nothing names a customer `{text}` in the app `{app}`"),
        right:
            "give an id (cust_…, cus_…, ctm_…, sub_…), an external id or a whole e-mail address; \
                `--app` names another app"
                .to_owned(),
    })
}
