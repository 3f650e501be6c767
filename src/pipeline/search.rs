//! Finding whatever a person has at hand: an address, a name, an id of ours or of a provider, a whole
//! token or licence key.
//!
//! A text that names exactly one thing finds that thing alone. Tokens and keys are looked up by their
//! hash; the text itself goes nowhere. What was copied with it, such as quotes, a name before an address
//! or the address of a provider's page around an id, is not looked for.
//!
//! Ids that the index of objects leaves out (prices, items, payment methods; see `provider/named.rs`) are
//! looked for in the newest payloads, one after the other: rarely enough asked for to need no index.

use super::customers::{FindError, Named, find};
use crate::domain::access::license_key::TypedKey;
use crate::domain::access::token::{self, TokenHash};
use crate::domain::customer::act::ActError;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::spelling::is_invisible;
use crate::domain::time::Timestamp;
use crate::store::{
    CustomerFilter, EventFilter, EventRecord, Listed, Store, StoreError, Tx, Window,
};

/// The shortest text that is tried as a token or a licence key.
const SHORTEST_SECRET: usize = 8;

/// Most events that are shown for an object that they name.
const MOST_EVENTS: u32 = 20;

/// Most payloads that are looked through for an id that no index has: some fifty megabytes.
pub const MOST_PAYLOADS: u32 = 10_000;

/// The lengths of what may be an id somewhere in a payload.
const ID_LENGTHS: std::ops::RangeInclusive<usize> = 4..=255;

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

/// Finds what a text means. `in_payloads`: whoever asks may see payloads.
///
/// # Errors
/// When the store failed.
pub async fn anything(
    store: &Store,
    app: &AppSlug,
    text: &str,
    in_payloads: bool,
    window: &Window,
    now: Timestamp,
) -> Result<Found, StoreError> {
    let exactly = one(store, app, text, now).await?;
    if exactly.is_some() {
        return Ok(Found {
            exactly,
            ..Found::default()
        });
    }
    let meant = meant(text);
    let mut tx = store.read().await?;
    let wanted = CustomerFilter {
        text: Some(text.to_owned()),
        ..CustomerFilter::default()
    };
    let customers = tx.customer_list(app, &wanted, window).await?;
    let mut events = Vec::new();
    for text in &meant {
        if events.is_empty() {
            events = naming(&mut tx, app, text).await?;
        }
    }
    let id = meant.last().filter(|text| is_id(text));
    if let Some(id) = id.filter(|_| in_payloads && events.is_empty() && customers.rows.is_empty()) {
        let among = i64::from(MOST_PAYLOADS);
        events = tx.event_holding(app, id, among, MOST_EVENTS.into()).await?;
    }
    let mut named = events.iter().filter_map(|event| event.customer.as_ref());
    // An object of one customer alone, such as a charge, means that customer.
    let owner = named.next().filter(|first| named.all(|it| it == *first));
    let owner = owner.filter(|_| customers.rows.is_empty()).cloned();
    // Events of somebody who was erased name nobody any more.
    let exactly = match owner {
        Some(id) => tx
            .customer_find(app, &id)
            .await?
            .map(|row| row.merged_into.unwrap_or(row.id)),
        None => None,
    };
    Ok(Found {
        exactly: exactly.map(Exactly::Customer),
        customers: Some(customers),
        events,
    })
}

/// Finds the one thing that a text names as a whole: its id, its address, its token or its licence key.
///
/// # Errors
/// When the store failed.
pub async fn one(
    store: &Store,
    app: &AppSlug,
    text: &str,
    now: Timestamp,
) -> Result<Option<Exactly>, StoreError> {
    for text in meant(text) {
        let found = exactly(store, app, &text, now).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Reports whether a text reads as a token or licence key of ours, whole or in part. Keys from elsewhere have
/// no form of their own.
pub fn may_be_secret(text: &str) -> bool {
    let is_token = |text: &str| token::PREFIXES.iter().any(|it| text.starts_with(it));
    meant(text)
        .iter()
        .any(|text| is_token(text) || TypedKey::is_made(text))
}

/// What somebody may have meant who copied a text: the text itself, then what is left of it without what
/// surrounds it in a letter or a browser.
fn meant(text: &str) -> Vec<String> {
    let visible: String = text.chars().filter(|it| !is_invisible(*it)).collect();
    let mut word = match visible.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => &visible,
    };
    let is_around = |it: char| it.is_whitespace() || "\"'`“”„‘’«»()[]{}<>,;:.!?".contains(it);
    word = word.trim_matches(is_around);
    word = word.strip_prefix("mailto:").unwrap_or(word);
    if word.contains("://") {
        let path = word.split(['?', '#']).next().unwrap_or_default();
        word = path
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or(word);
    }
    let mut meant = vec![text.to_owned()];
    if !word.is_empty() && word != text {
        meant.push(word.to_owned());
    }
    meant
}

/// True for what may be an id in a payload: one word, without a sign that JSON or a search would escape.
fn is_id(text: &str) -> bool {
    let fits = |it: char| it.is_ascii_alphanumeric() || "_-.:/".contains(it);
    ID_LENGTHS.contains(&text.len()) && text.chars().all(fits)
}

/// The newest events that name an object of this id.
async fn naming(tx: &mut Tx, app: &AppSlug, id: &str) -> Result<Vec<EventRecord>, StoreError> {
    let wanted = EventFilter {
        object: Some(id.to_owned()),
        ..EventFilter::default()
    };
    let first = Window::Walk {
        after: None,
        size: MOST_EVENTS,
    };
    Ok(tx.event_list(app, &wanted, &first).await?.rows)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_as_a_token_or_a_key_may_be_secret() {
        for text in ["tok_a", "\"tga_abc\"", "00000-abcde-11111-22222-33333"] {
            assert!(may_be_secret(text), "{text}");
        }
        for text in ["cus_1", "Tok Example", "00000-abcde", "ann@example.com"] {
            assert!(!may_be_secret(text), "{text}");
        }
    }

    #[test]
    fn what_was_copied_with_a_text_is_not_looked_for() {
        for (text, word) in [
            ("Ben Example <ben@example.com>", "ben@example.com"),
            ("mailto:ben@example.com", "ben@example.com"),
            ("“ben@example.com”,", "ben@example.com"),
            ("\u{202a}cus_1\u{202c}", "cus_1"),
            ("`cus_1`", "cus_1"),
            ("(in_1)", "in_1"),
            ("https://dashboard.stripe.com/test/customers/cus_1", "cus_1"),
            (
                "https://vendors.paddle.com/customers-v2/ctm_1/?a=b#c",
                "ctm_1",
            ),
        ] {
            assert_eq!(meant(text), [text, word]);
        }
        for text in ["ben@example.com", "Ben Example", "b", "a/b"] {
            assert_eq!(meant(text), [text]);
        }
        assert_eq!(meant("..."), ["..."]);
    }
}
