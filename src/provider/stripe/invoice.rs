//! Invoices: whether a subscription was paid. <https://docs.stripe.com/api/invoices/object>
//!
//! Only invoices of a subscription say anything: a one-off sale that fails must not touch a
//! subscriber's access. Plans are never taken from an invoice; the first line of a plan change
//! is the credit for the old price.

use super::super::event::Event;
use super::super::fields::said;
use super::super::reading::ReadError;
use super::links::{keys, link};
use crate::domain::billing::fact::{Contact, ContactFact, ContactSource, Fact};
use crate::domain::id::{Kind, ObjectKey};

/// `invoice.paid`.
pub(super) fn paid(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let Some(subscription) = subscription(event)? else {
        return Ok(Vec::new());
    };
    let account = event.account()?;
    let payment = Fact::PaymentSucceeded {
        subscription,
        account: account.clone(),
    };
    with_company(event, payment, account)
}

/// `invoice.payment_failed`. If the first invoice fails, the subscription is `incomplete` and
/// says so itself.
pub(super) fn payment_failed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let Some(subscription) = subscription(event)? else {
        return Ok(Vec::new());
    };
    if event.object.word("billing_reason")? == Some("subscription_create") {
        return Ok(Vec::new());
    }
    let account = event.account()?;
    let payment = Fact::PaymentFailed {
        subscription,
        account: account.clone(),
    };
    with_company(event, payment, account)
}

/// The subscription that the invoice bills; moved on 2025-03-31, and some versions have both.
fn subscription(event: &Event<'_>) -> Result<Option<ObjectKey>, ReadError> {
    let places = ["parent.subscription_details.subscription", "subscription"];
    let id = event.object.id(&places)?;
    Ok(id.map(|id| event.scope.key(Kind::Subscription, id)))
}

/// The payment, and what else the invoice happens to say.
fn with_company(
    event: &Event<'_>,
    payment: Fact,
    account: Option<ObjectKey>,
) -> Result<Vec<Fact>, ReadError> {
    let object = &event.object;
    let contact = said(Contact {
        email: object.email("customer_email"),
        name: object.text("customer_name"),
        phone: object.text("customer_phone"),
        address: object.address("customer_address"),
    });
    let mut facts = vec![payment];
    if let (Some(account), Some(contact)) = (account, contact) {
        facts.push(Fact::Contact(ContactFact {
            account,
            contact,
            before: None,
            source: ContactSource::Secondary,
            request: event.request.clone(),
        }));
    }
    // Until 2025-03-31 an invoice named what paid it; later ones have nothing to add.
    let mut ids = keys(
        event,
        &[
            ("charge", Kind::Charge),
            ("payment_intent", Kind::PaymentIntent),
        ],
    )?;
    if !ids.is_empty() {
        ids.extend(keys(
            event,
            &[("id", Kind::Invoice), ("customer", Kind::Account)],
        )?);
    }
    facts.extend(link(ids));
    Ok(facts)
}
