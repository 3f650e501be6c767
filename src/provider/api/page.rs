//! The paths of the lists, and how their pages are read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{ApiError, Listed};
use crate::domain::id::Provider;
use crate::domain::time::Timestamp;
use crate::provider::{PADDLE, STRIPE};

/// Stripe gives at most 100 objects a page: <https://docs.stripe.com/api/pagination>.
const STRIPE_LIMIT: &str = "100";

/// Paddle gives at most 200, and fewer of some lists whatever is asked:
/// <https://developer.paddle.com/api-reference/about/pagination>.
const PADDLE_LIMIT: &str = "200";

/// The path of a list with its query.
pub(super) fn list(
    provider: Provider,
    what: Listed,
    since: Option<Timestamp>,
    cursor: Option<&str>,
) -> (&'static str, Vec<(&'static str, String)>) {
    let mut query = Vec::new();
    if provider == STRIPE.name {
        query.push(("limit", STRIPE_LIMIT.to_owned()));
        match what {
            // Canceled ones are left out otherwise: <https://docs.stripe.com/api/subscriptions/list>.
            Listed::Subscriptions => query.push(("status", "all".to_owned())),
            // What paid an invoice: <https://docs.stripe.com/api/invoice-payment>.
            Listed::Payments => query.push(("expand[]", "data.payments".to_owned())),
            _ => {}
        }
        query.extend(since.map(|at| ("created[gte]", at.seconds().to_string())));
        query.extend(cursor.map(|it| ("starting_after", it.to_owned())));
    } else {
        query.push(("per_page", PADDLE_LIMIT.to_owned()));
        // Events have no filter of time, so they are read backwards, until they are old enough.
        let order = match what {
            Listed::Events => "id[DESC]",
            _ => "id[ASC]",
        };
        query.push(("order_by", order.to_owned()));
        match what {
            // Archived ones are left out otherwise:
            // <https://developer.paddle.com/api-reference/customers/list-customers>.
            Listed::Customers => query.push(("status", "active,archived".to_owned())),
            Listed::Payments => {
                query.extend(since.map(|at| ("updated_at[GTE]", at.to_string())));
            }
            _ => {}
        }
        query.extend(cursor.map(|it| ("after", it.to_owned())));
    }
    (path(provider, what), query)
}

/// The path of a list.
pub(super) fn path(provider: Provider, what: Listed) -> &'static str {
    let is_stripe = provider == STRIPE.name;
    match (what, is_stripe) {
        (Listed::Customers, true) => "/v1/customers",
        (Listed::Subscriptions, true) => "/v1/subscriptions",
        (Listed::Payments, true) => "/v1/invoices",
        (Listed::Disputes, true) => "/v1/disputes",
        (Listed::Refunds, true) => "/v1/refunds",
        (Listed::Events, true) => "/v1/events",
        (Listed::Customers, false) => "/customers",
        (Listed::Subscriptions, false) => "/subscriptions",
        (Listed::Payments, false) => "/transactions",
        (Listed::Disputes | Listed::Refunds, false) => "/adjustments",
        (Listed::Events, false) => "/events",
    }
}

/// Finds the objects of a page, and the place from which the list goes on.
pub(super) fn read(
    provider: Provider,
    body: &str,
) -> Result<(Vec<Box<RawValue>>, Option<String>), ApiError> {
    let wrong = |detail: String| ApiError::NotUnderstood { detail };
    let page: Page = serde_json::from_str(body).map_err(|error| wrong(error.to_string()))?;
    let next = if provider == STRIPE.name {
        let last = page.data.last().filter(|_| page.has_more);
        last.map(|object| id_of(object)).transpose()?
    } else {
        let pagination = page.meta.and_then(|meta| meta.pagination);
        let pagination = pagination.filter(|it| it.has_more && !page.data.is_empty());
        let next = pagination.and_then(|it| it.next);
        // Only the place is taken from the address: the key goes nowhere but to the base.
        next.map(|next| after(&next).ok_or_else(|| wrong("`next` has no `after`".to_owned())))
            .transpose()?
    };
    Ok((page.data, next))
}

/// Finds the object of an answer about one.
pub(super) fn read_one(provider: Provider, body: &str) -> Result<Box<RawValue>, ApiError> {
    let wrong = |error: serde_json::Error| ApiError::NotUnderstood {
        detail: error.to_string(),
    };
    if provider == PADDLE.name {
        let one: One = serde_json::from_str(body).map_err(wrong)?;
        return Ok(one.data);
    }
    serde_json::from_str(body).map_err(wrong)
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: bool,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct One {
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct Meta {
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    next: Option<String>,
    #[serde(default)]
    has_more: bool,
}

fn id_of(object: &RawValue) -> Result<String, ApiError> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let named: Named =
        serde_json::from_str(object.get()).map_err(|error| ApiError::NotUnderstood {
            detail: error.to_string(),
        })?;
    Ok(named.id)
}

fn after(next: &str) -> Option<String> {
    let url = reqwest::Url::parse(next).ok()?;
    let mut pairs = url.query_pairs();
    let (_, after) = pairs.find(|(name, _)| name == "after")?;
    Some(after.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_subscriptions_and_archived_customers_are_asked_for() {
        let (path, query) = list(STRIPE.name, Listed::Subscriptions, None, Some("sub_1"));
        assert_eq!(path, "/v1/subscriptions");
        for pair in [("status", "all"), ("starting_after", "sub_1")] {
            assert!(query.contains(&(pair.0, pair.1.to_owned())), "{query:?}");
        }
        let (path, query) = list(PADDLE.name, Listed::Customers, None, None);
        assert_eq!(path, "/customers");
        assert!(query.contains(&("status", "active,archived".to_owned())));
    }

    #[test]
    fn the_next_page_is_found_as_each_provider_says_it() {
        let stripe = r#"{"object":"list","data":[{"id":"a"},{"id":"b"}],"has_more":true}"#;
        let (objects, next) = read(STRIPE.name, stripe).unwrap();
        assert_eq!((objects.len(), next.as_deref()), (2, Some("b")));
        let end = r#"{"data":[{"id":"a"}],"has_more":false}"#;
        assert_eq!(read(STRIPE.name, end).unwrap().1, None);
        let paddle = r#"{"data":[{"id":"a"}],"meta":{"pagination":{"has_more":true,
            "next":"https://elsewhere.example/customers?after=ctm_1&per_page=200"}}}"#;
        assert_eq!(
            read(PADDLE.name, paddle).unwrap().1.as_deref(),
            Some("ctm_1")
        );
        for wrong in ["[]", "{}", r#"{"data":[{}],"has_more":true}"#] {
            assert!(read(STRIPE.name, wrong).is_err(), "{wrong}");
        }
    }
}
