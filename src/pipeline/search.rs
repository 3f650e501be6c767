//! Finding whatever a person has at hand: an address, a name, an id of ours or of a provider, a whole
//! token or licence key.
//!
//! A text that names exactly one thing finds that thing alone. Tokens and keys are looked up by their
//! hash; the text itself goes nowhere.

use super::customers::{FindError, Named, find};
use crate::domain::access::license_key::TypedKey;
use crate::domain::access::token::TokenHash;
use crate::domain::customer::act::ActError;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::store::{
    CustomerFilter, EventFilter, EventRecord, Listed, Store, StoreError, Tx, Window,
};

/// The shortest text that is tried as a token or a licence key.
const SHORTEST_SECRET: usize = 8;

/// Most events that are shown for an object that they name.
const MOST_EVENTS: u32 = 20;

/// What a text finds.
#[derive(Debug, Default)]
pub struct Found {
    /// The only thing that it can mean.
    pub exactly: Option<Exactly>,
    /// Else the customers that it is a part of.
    pub customers: Option<Listed<Customer>>,
    /// The newest events that name an object of this id.
    pub events: Vec<EventRecord>,
}

/// The only thing that a text can mean.
#[derive(Debug)]
pub enum Exactly {
    /// A customer.
    Customer(CustomerId),
    /// An event, by its provider's id.
    Event(String),
}

/// Finds what a text means.
///
/// # Errors
/// When the store failed.
pub async fn anything(
    store: &Store,
    app: &AppSlug,
    text: &str,
    window: &Window,
    now: Timestamp,
) -> Result<Found, StoreError> {
    if let Some(exactly) = exactly(store, app, text, now).await? {
        return Ok(Found {
            exactly: Some(exactly),
            ..Found::default()
        });
    }
    let mut tx = store.read().await?;
    let wanted = CustomerFilter {
        text: Some(text.to_owned()),
        ..CustomerFilter::default()
    };
    let customers = tx.customer_list(app, &wanted, window).await?;
    let naming = EventFilter {
        object: Some(text.to_owned()),
        ..EventFilter::default()
    };
    let first = Window::Walk {
        after: None,
        size: MOST_EVENTS,
    };
    let events = tx.event_list(app, &naming, &first).await?.rows;
    let mut named = events.iter().filter_map(|event| event.customer.as_ref());
    // An object of one customer alone, such as a charge, means that customer.
    let owner = named.next().filter(|first| named.all(|it| it == *first));
    let exactly = owner.filter(|_| customers.rows.is_empty()).cloned();
    Ok(Found {
        exactly: exactly.map(Exactly::Customer),
        customers: Some(customers),
        events,
    })
}

async fn exactly(
    store: &Store,
    app: &AppSlug,
    text: &str,
    now: Timestamp,
) -> Result<Option<Exactly>, StoreError> {
    let id = text.parse::<CustomerId>().ok();
    let by_id = id.as_ref().map(Named::Id);
    let names = by_id
        .into_iter()
        .chain([Named::External(text), Named::Email(text)]);
    for named in names {
        match find(store, app, named, now).await {
            Ok(found) => return Ok(Some(Exactly::Customer(found.customer.id))),
            Err(FindError::Act(ActError::Merged { into })) => {
                return Ok(Some(Exactly::Customer(into)));
            }
            Err(FindError::Act(_)) => {}
            Err(FindError::Store(error)) => return Err(error),
        }
    }
    let mut tx = store.read().await?;
    if let Some(event) = tx.event_find(app, text).await? {
        return Ok(Some(Exactly::Event(event.key.id)));
    }
    if text.len() < SHORTEST_SECRET {
        return Ok(None);
    }
    Ok(holder(&mut tx, app, text).await?.map(Exactly::Customer))
}

/// The customer whose token or licence key this is.
async fn holder(tx: &mut Tx, app: &AppSlug, text: &str) -> Result<Option<CustomerId>, StoreError> {
    let held = tx.access_find(&TokenHash::of(text)).await?;
    if let Some(holder) = held.filter(|holder| holder.app == *app) {
        return Ok(Some(holder.customer.id));
    }
    let license = tx.license_find_by_key(app, &TypedKey::read(text)).await?;
    let Some(owner) = license.map(|it| it.license.customer) else {
        return Ok(None);
    };
    let row = tx.customer_find(app, &owner).await?;
    Ok(row.map(|row| row.merged_into.unwrap_or(row.id)))
}
