//! The lines of invoices and of Checkout sessions.
//!
//! Lines without a price are left out, since nothing can be looked up by them; of an invoice it is
//! noted that it has some.

use std::collections::BTreeSet;

use super::super::fields::Fields;
use super::super::reading::ReadError;
use crate::domain::billing::fact::Line;

/// The places of an invoice line's price.
const PRICES: [&str; 3] = ["pricing.price_details.price", "price", "plan"];

/// The places of an invoice line's subscription. Until 2025-03-31 it stood in the line itself.
const SUBSCRIPTIONS: [&str; 3] = [
    "parent.subscription_item_details.subscription",
    "parent.invoice_item_details.subscription",
    "subscription",
];

/// A line of an invoice. Until 2025-03-31 it had the price, or the plan, as an object.
/// <https://docs.stripe.com/api/invoice-line-item/object>
pub(super) fn of_invoice(line: &Fields<'_>) -> Result<Option<Line>, ReadError> {
    let amount = discounted(line)?;
    let Some(price) = price_of(line, &PRICES, amount)? else {
        return Ok(None);
    };
    let products = [
        "pricing.price_details.product",
        "price.product",
        "plan.product",
    ];
    let keys = ["pricing.price_details.price.lookup_key", "price.lookup_key"];
    Ok(Some(Line {
        price,
        product: line.id(&products)?.map(str::to_owned),
        lookup_key: first_word(line, &keys)?,
        amount,
        quantity: quantity(line)?,
        start: line.seconds("period.start")?,
        end: line.seconds("period.end")?,
        once: is_once(line)?,
        id: line.id(&["id"])?.map(str::to_owned),
    }))
}

/// An item of a Checkout session in mode `payment`.
/// <https://docs.stripe.com/api/checkout/sessions/line_items>
pub(super) fn of_session(line: &Fields<'_>) -> Result<Option<Line>, ReadError> {
    let amount = line.integer("amount_total")?.unwrap_or_default();
    let Some(price) = price_of(line, &["price"], amount)? else {
        return Ok(None);
    };
    Ok(Some(Line {
        price,
        product: line.id(&["price.product"])?.map(str::to_owned),
        lookup_key: first_word(line, &["price.lookup_key"])?,
        amount,
        quantity: quantity(line)?,
        start: None,
        end: None,
        once: line.at("price.recurring").is_none(),
        id: line.id(&["id"])?.map(str::to_owned),
    }))
}

/// The subscription that lines of an invoice are for; `None` if they are for none, or for several.
pub(super) fn subscription<'a>(lines: &'a [Fields<'_>]) -> Result<Option<&'a str>, ReadError> {
    let mut named = BTreeSet::new();
    for line in lines {
        named.extend(line.id(&SUBSCRIPTIONS)?);
    }
    Ok(named.pop_first().filter(|_| named.is_empty()))
}

/// True for an invoice item that has an amount only, as `POST /v1/invoiceitems` makes it without a
/// price.
pub(super) fn is_unpriced_item(line: &Fields<'_>) -> Result<bool, ReadError> {
    let sells = line.integer("quantity")? != Some(0) || discounted(line)? != 0;
    Ok(sells && line.id(&PRICES)?.is_none() && is_once(line)?)
}

/// How many of the price a line is about, if more than one: of metered usage it may be absent.
fn quantity(line: &Fields<'_>) -> Result<Option<i64>, ReadError> {
    Ok(line.integer("quantity")?.filter(|quantity| *quantity > 1))
}

/// The price of a line that sells something. Of a quantity of 0 nothing is sold, unless it costs something:
/// since 2026-03-25 half a unit has the quantity 0, and the part behind the point in `quantity_decimal`.
fn price_of(line: &Fields<'_>, places: &[&str], amount: i64) -> Result<Option<String>, ReadError> {
    if line.integer("quantity")? == Some(0) && amount == 0 {
        return Ok(None);
    }
    Ok(line.id(places)?.map(str::to_owned))
}

/// The amount after discounts, which Stripe lists apart.
fn discounted(line: &Fields<'_>) -> Result<i64, ReadError> {
    let mut amount = line.integer("amount")?.unwrap_or_default();
    for discount in line.list("discount_amounts")?.unwrap_or_default() {
        amount = amount.saturating_sub(discount.integer("amount")?.unwrap_or_default());
    }
    Ok(amount)
}

/// True for an invoice item that is not a part of a subscription's price. Prorations are invoice
/// items too, but charge or credit a part of a subscription's period.
fn is_once(line: &Fields<'_>) -> Result<bool, ReadError> {
    if line.at("parent").is_some() {
        return Ok(line.word("parent.type")? == Some("invoice_item_details")
            && !line.flag("parent.invoice_item_details.proration")?);
    }
    Ok(line.word("type")? == Some("invoiceitem")
        && line.at("subscription_item").is_none()
        && !line.flag("proration")?)
}

fn first_word(line: &Fields<'_>, places: &[&str]) -> Result<Option<String>, ReadError> {
    for place in places {
        if let Some(word) = line.word(place)? {
            return Ok(Some(word.to_owned()));
        }
    }
    Ok(None)
}
