//! A customer's own page: what it may know of its access.

use std::time::Duration;

use serde_json::json;

use super::customers::{FindError, living};
use super::explain::explain;
use super::licenses::{self, LicensePage};
use super::order::Order;
use super::tokens;
use crate::domain::access::check::AccessCode;
use crate::domain::access::refusal::{HeldMessage, sentence};
use crate::domain::access::token::CustomerToken;
use crate::domain::customer::act::ActError;
use crate::domain::customer::explain::Uncounted;
use crate::domain::customer::row::{Customer, Status};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::store::{Store, Window};

/// How long a link leads to the page, unless another time is asked for.
pub const DEFAULT_LIFE: Duration = Duration::from_hours(1);

/// The shortest time that can be asked for: a mail needs a while.
pub const SHORTEST_LIFE: Duration = Duration::from_mins(1);

/// The longest time that can be asked for: a link cannot be taken back.
pub const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// Most licences of a page. A customer with more asks the seller.
const LICENSES: u32 = 100;

/// How a customer stands, in words that it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It began to buy, and nothing is paid.
    Unpaid,
    /// It has what it bought.
    Active,
    /// It has nothing until something is settled.
    Suspended,
    /// It keeps some versions.
    Frozen,
    /// Its access is over.
    Expired,
}

/// What a customer's own page shows.
#[derive(Debug)]
pub struct Look {
    /// The name of the app.
    pub seller: String,
    /// The customer's own name or address; empty if none is known.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// What that means. The reason that an admin gave is the admin's.
    pub sentence: String,
    /// Its access tokens.
    pub tokens: Vec<CustomerToken>,
    /// Its licences.
    pub licenses: LicensePage,
    /// The customer.
    pub customer: Customer,
}

/// Notes that a link to a customer's page was made.
///
/// # Errors
/// When there is no such customer, or it was deleted.
pub async fn note_link(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    ends_at: Timestamp,
) -> Result<Customer, FindError> {
    let mut tx = store.begin_in(&order.app).await?;
    let customer = living(&mut tx, &order.app, id).await?;
    let details = json!({"ends_at": ends_at});
    order
        .audit(&mut tx, Some(&customer.id), "portal_link", details)
        .await?;
    tx.commit().await?;
    Ok(customer)
}

/// Looks at a customer as it may see itself.
///
/// # Errors
/// When there is no such customer, or it was deleted.
pub async fn look(
    store: &Store,
    app: &AppSlug,
    id: &CustomerId,
    now: Timestamp,
) -> Result<Look, FindError> {
    let found = explain(store, app, id, now).await?;
    let Some(explained) = found.explained else {
        return Err(ActError::Unknown.into());
    };
    let customer = found.details.customer;
    let mut tx = store.read().await?;
    let of_app = tx.app_find(app).await?.ok_or(ActError::Unknown)?;
    let registry = tx.registry_find(app).await?;
    drop(tx);
    let sources = &explained.explanation.sources;
    let is_pending = sources
        .iter()
        .all(|source| source.uncounted == Some(Uncounted::Pending));
    let standing = match customer.derived.status {
        Status::Active if !sources.is_empty() && is_pending => Standing::Unpaid,
        Status::Active => Standing::Active,
        Status::Suspended => Standing::Suspended,
        Status::Frozen { .. } => Standing::Frozen,
        Status::Expired => Standing::Expired,
    };
    let first = Window::Walk {
        after: None,
        size: LICENSES,
    };
    let contact = &customer.derived.contact;
    let name = contact.name.clone().or_else(|| contact.email.clone());
    Ok(Look {
        seller: of_app.name,
        name: name.unwrap_or_default(),
        standing,
        sentence: told(standing, registry.held_message()),
        tokens: tokens::list(store, app, &customer.id).await?,
        licenses: licenses::list_of(store, app, &customer.id, &first).await?,
        customer,
    })
}

fn told(standing: Standing, held: HeldMessage<'_>) -> String {
    match standing {
        Standing::Unpaid => {
            "Your order is not paid yet. What you bought can be installed as soon as \
             the payment has arrived."
                .to_owned()
        }
        Standing::Active => "What you bought can be installed.".to_owned(),
        Standing::Suspended => sentence(AccessCode::CustomerSuspended, held, None, None),
        Standing::Frozen => {
            "You keep the versions that came out before your access to newer ones ended. \
             Those need a subscription again."
                .to_owned()
        }
        Standing::Expired => sentence(AccessCode::CustomerExpired, held, None, None),
    }
}
