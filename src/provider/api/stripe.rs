//! Stripe's requests, by async-stripe's typed builders.
//!
//! What comes back is not read by its types: they accept only the newest API version in full, and our
//! reader has to understand all of them anyway.

use serde::Serialize;
use serde_json::value::RawValue;
use stripe_billing::invoice::{ListInvoice, RetrieveInvoice};
use stripe_billing::invoice_line_item::ListInvoiceInvoiceLineItem;
use stripe_billing::subscription::{
    ListSubscription, ListSubscriptionStatus, RetrieveSubscription,
};
use stripe_billing::subscription_item::ListSubscriptionItem;
use stripe_checkout::checkout_session::{ListLineItemsCheckoutSession, RetrieveCheckoutSession};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::charge::RetrieveCharge;
use stripe_core::customer::{ListCustomer, RetrieveCustomer};
use stripe_core::dispute::{ListDispute, RetrieveDispute};
use stripe_core::event::{ListEvent, RetrieveEvent};
use stripe_core::payment_intent::RetrievePaymentIntent;
use stripe_core::refund::{ListRefund, RetrieveRefund};
use stripe_types::RangeQueryTs;

use super::answer::Listed;
use crate::domain::id::Kind;
use crate::domain::time::Timestamp;

/// Stripe gives at most 100 objects a page: <https://docs.stripe.com/api/pagination>.
const LIMIT: i64 = 100;

/// The version in which answers are written: that of the builders. The reader knows it from webhooks.
pub(super) fn version() -> &'static str {
    stripe_client_core::VERSION.as_str()
}

/// Asks for a page of a list.
pub(super) fn list(what: Listed, since: Option<Timestamp>, after: Option<&str>) -> RequestBuilder {
    macro_rules! page {
        ($request:expr) => {{
            let mut request = $request.limit(LIMIT);
            if let Some(since) = since {
                request = request.created(RangeQueryTs::gte(since.seconds()));
            }
            if let Some(after) = after {
                request = request.starting_after(after);
            }
            request.build()
        }};
    }
    match what {
        Listed::Customers => page!(ListCustomer::new()),
        // Canceled ones are left out otherwise: <https://docs.stripe.com/api/subscriptions/list>.
        Listed::Subscriptions => {
            page!(ListSubscription::new().status(ListSubscriptionStatus::All))
        }
        // What paid an invoice: <https://docs.stripe.com/api/invoice-payment>.
        Listed::Payments => page!(ListInvoice::new().expand(expand(&["data.payments"]))),
        Listed::Disputes => page!(ListDispute::new()),
        Listed::Refunds => page!(ListRefund::new()),
        Listed::Events => page!(ListEvent::new()),
    }
}

/// Asks for an object; `None` of a kind that has none.
pub(super) fn get(kind: Kind, id: &str) -> Option<RequestBuilder> {
    Some(match kind {
        Kind::Account => RetrieveCustomer::new(id).build(),
        Kind::Subscription => RetrieveSubscription::new(id).build(),
        Kind::FeatureList => features(id, None),
        Kind::Invoice => RetrieveInvoice::new(id)
            .expand(expand(&["payments"]))
            .build(),
        Kind::Charge => RetrieveCharge::new(id).build(),
        Kind::PaymentIntent => RetrievePaymentIntent::new(id).build(),
        // Left out otherwise: <https://docs.stripe.com/api/checkout/sessions/object>.
        Kind::Session => RetrieveCheckoutSession::new(id)
            .expand(expand(&["line_items"]))
            .build(),
        Kind::Dispute => RetrieveDispute::new(id).build(),
        Kind::Refund => RetrieveRefund::new(id).build(),
        Kind::Event => RetrieveEvent::new(id).build(),
        _ => return None,
    })
}

/// The list in an object that is cut at ten elements, by its path in the object; `None` of objects
/// that have none. <https://docs.stripe.com/api/invoices/object#invoice_object-lines>
pub(super) const fn cut_list(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Subscription => Some("items"),
        Kind::FeatureList => Some("entitlements"),
        Kind::Invoice => Some("lines"),
        Kind::Session => Some("line_items"),
        _ => None,
    }
}

/// Asks for a page of the list in an object; `None` of objects that have none.
pub(super) fn rest(kind: Kind, id: &str, after: &str) -> Option<RequestBuilder> {
    macro_rules! page {
        ($request:expr) => {
            $request.limit(LIMIT).starting_after(after).build()
        };
    }
    Some(match kind {
        Kind::Subscription => page!(ListSubscriptionItem::new(id)),
        Kind::FeatureList => features(id, Some(after)),
        Kind::Invoice => page!(ListInvoiceInvoiceLineItem::new(id)),
        Kind::Session => page!(ListLineItemsCheckoutSession::new(id)),
        _ => return None,
    })
}

/// Asks for a page of a customer's features. The crate with the builder for it would bring all of
/// Stripe's smaller products along.
/// <https://docs.stripe.com/api/entitlements/active-entitlement/list>
fn features(customer: &str, after: Option<&str>) -> RequestBuilder {
    #[derive(Serialize)]
    struct Page<'a> {
        customer: &'a str,
        limit: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        starting_after: Option<&'a str>,
    }
    let page = Page {
        customer,
        limit: LIMIT,
        starting_after: after,
    };
    RequestBuilder::new(StripeMethod::Get, "/entitlements/active_entitlements").query(&page)
}

/// Makes of the first page of a customer's features the object that webhooks have them in.
/// <https://docs.stripe.com/api/events/types#event_types-entitlements.active_entitlement_summary.updated>
pub(super) fn summary(customer: &str, page: &RawValue) -> Result<Box<RawValue>, serde_json::Error> {
    #[derive(Serialize)]
    struct Summary<'a> {
        // It has none of its own.
        id: &'a str,
        object: &'a str,
        customer: &'a str,
        entitlements: &'a RawValue,
    }
    serde_json::value::to_raw_value(&Summary {
        id: customer,
        object: "entitlements.active_entitlement_summary",
        customer,
        entitlements: page,
    })
}

fn expand(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_subscriptions_are_asked_for_and_pages_begin_where_another_ended() {
        let since = Timestamp::from_seconds(1_800_000_000);
        let request = list(Listed::Subscriptions, since, Some("sub_1"));
        assert_eq!(request.path, "/subscriptions");
        let query = request.query.unwrap();
        for part in [
            "status=all",
            "limit=100",
            "starting_after=sub_1",
            "created[gte]=1800000000",
        ] {
            assert!(query.split('&').any(|it| it == part), "{query}");
        }
    }

    #[test]
    fn features_are_asked_for_by_their_customer() {
        let request = rest(Kind::FeatureList, "cus_1", "ent_9").unwrap();
        let query = request.query.as_deref();
        assert_eq!(
            (request.path.as_str(), query),
            (
                "/entitlements/active_entitlements",
                Some("customer=cus_1&limit=100&starting_after=ent_9")
            )
        );
    }

    #[test]
    fn a_session_is_asked_for_with_its_lines() {
        let request = get(Kind::Session, "cs_1").unwrap();
        let query = request.query.as_deref();
        assert_eq!(
            (request.path.as_str(), query),
            ("/checkout/sessions/cs_1", Some("expand[0]=line_items"))
        );
    }
}
