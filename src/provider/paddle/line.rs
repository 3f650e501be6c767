//! The lines of transactions.
//!
//! `details.line_items` has the amounts, and `items` the prices. Where there are no details, the
//! items have to do.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Months, Utc};

use super::super::event::Event;
use super::super::fields::Fields;
use super::super::reading::ReadError;
use crate::domain::billing::fact::{Line, PaymentStep};
use crate::domain::time::Timestamp;

type Period = (Option<Timestamp>, Option<Timestamp>);

/// All lines of a transaction.
pub(super) fn all(event: &Event<'_>, step: PaymentStep) -> Result<Vec<Line>, ReadError> {
    let data = &event.object;
    let reader = Reader {
        billing_period: period(data, "billing_period")?,
        begins: begins(event, step)?,
        is_free: data.amount("details.totals.total") == Some(0),
    };
    let items = data.list("items")?.unwrap_or_default();
    let details = data.list("details.line_items")?.unwrap_or_default();
    let mut lines = Vec::new();
    if details.is_empty() {
        for item in &items {
            lines.extend(reader.of_item(item)?);
        }
        return Ok(lines);
    }
    let mut prices = BTreeMap::new();
    for item in &items {
        if let Some(price) = item.id(&["price", "price_id"])? {
            prices.entry(price).or_insert(item);
        }
    }
    for detail in &details {
        let item = detail.id(&["price_id"])?.and_then(|id| prices.get(id));
        lines.extend(reader.of_detail(detail, item.copied())?);
    }
    Ok(lines)
}

/// When a period begins that the transaction does not name. `billed_at` is the same in all events
/// of a transaction, which keeps the period in place.
fn begins(event: &Event<'_>, step: PaymentStep) -> Result<Option<Timestamp>, ReadError> {
    if let Some(billed_at) = event.object.instant("billed_at")? {
        return Ok(Some(billed_at));
    }
    match step {
        PaymentStep::Paid { .. } => Ok(Some(event.at)),
        _ => event.object.instant("created_at"),
    }
}

/// What a transaction says of all of its lines.
struct Reader {
    billing_period: Period,
    begins: Option<Timestamp>,
    is_free: bool,
}

impl Reader {
    /// A line with its amount, and the item that has its price.
    fn of_detail(
        &self,
        detail: &Fields<'_>,
        item: Option<&Fields<'_>>,
    ) -> Result<Option<Line>, ReadError> {
        let amount = detail.amount("totals.total").unwrap_or_default();
        let Some(price) = detail.id(&["price_id"])? else {
            return Ok(None);
        };
        let product = match item {
            Some(item) => item.id(&["price.product_id"])?,
            None => None,
        };
        let product = product.or(detail.id(&["product"])?);
        self.line(detail, item, price, product, amount)
    }

    /// An item of a transaction without details. Its price says nothing of discounts and trials,
    /// but the transaction as a whole may.
    fn of_item(&self, item: &Fields<'_>) -> Result<Option<Line>, ReadError> {
        let Some(price) = item.id(&["price", "price_id"])? else {
            return Ok(None);
        };
        let each = item.amount("price.unit_price.amount").unwrap_or_default();
        let quantity = item.integer("quantity")?.unwrap_or(1);
        let amount = if self.is_free {
            0
        } else {
            each.saturating_mul(quantity)
        };
        let product = item.id(&["price.product_id"])?;
        self.line(item, Some(item), price, product, amount)
    }

    fn line(
        &self,
        line: &Fields<'_>,
        item: Option<&Fields<'_>>,
        price: &str,
        product: Option<&str>,
        amount: i64,
    ) -> Result<Option<Line>, ReadError> {
        // Below 0 for a credit: the amount says so too.
        let quantity = line.integer("quantity")?;
        if quantity == Some(0) {
            return Ok(None);
        }
        let once = item.is_some_and(|item| {
            item.object("price").is_some() && item.at("price.billing_cycle").is_none()
        });
        let (start, end) = if once {
            (None, None)
        } else {
            self.period(line, item)?
        };
        Ok(Some(Line {
            price: price.to_owned(),
            product: product.map(str::to_owned),
            lookup_key: None,
            amount,
            quantity: quantity.map(i64::saturating_abs).filter(|it| *it > 1),
            start,
            end,
            once,
            id: line.id(&["id"])?.map(str::to_owned),
        }))
    }

    fn period(&self, line: &Fields<'_>, item: Option<&Fields<'_>>) -> Result<Period, ReadError> {
        let mut found = period(line, "proration.billing_period")?;
        // A line with null is for the whole period, though another one of its price may be prorated: a
        // renewal also bills what was changed with `prorated_next_billing_period`.
        // <https://developer.paddle.com/build/lifecycle/subscription-renewal-dunning>
        if let (None, Some(item), false) = (found.1, item, line.names("proration")) {
            found = period(item, "proration.billing_period")?;
        }
        if found.1.is_none() {
            found = self.billing_period;
        }
        if let (None, Some(item), Some(start)) = (found.1, item, self.begins) {
            found = (Some(start), cycle_after(item, start)?);
        }
        Ok(found)
    }
}

fn period(fields: &Fields<'_>, place: &str) -> Result<Period, ReadError> {
    let Some(period) = fields.object(place) else {
        return Ok((None, None));
    };
    Ok((period.instant("starts_at")?, period.instant("ends_at")?))
}

/// The end of the price's billing cycle that begins at an instant; of a month without its day, the
/// last day. <https://developer.paddle.com/api-reference/prices/overview>
fn cycle_after(item: &Fields<'_>, start: Timestamp) -> Result<Option<Timestamp>, ReadError> {
    let frequency = item.integer("price.billing_cycle.frequency")?.unwrap_or(1);
    let Ok(frequency) = u32::try_from(frequency) else {
        return Ok(None);
    };
    let start = DateTime::<Utc>::from_timestamp_nanos(start.nanos());
    let months = |each: u32| frequency.checked_mul(each).map(Months::new);
    let days = |each: u64| Days::new(u64::from(frequency).saturating_mul(each));
    let end = match item.word("price.billing_cycle.interval")? {
        Some("day") => start.checked_add_days(days(1)),
        Some("week") => start.checked_add_days(days(7)),
        Some("month") => months(1).and_then(|months| start.checked_add_months(months)),
        Some("year") => months(12).and_then(|months| start.checked_add_months(months)),
        _ => None,
    };
    Ok(end
        .and_then(|end| end.timestamp_nanos_opt())
        .map(Timestamp::from_nanos))
}
