//! Checkout sessions: a buyer of a subscription, often before the subscription's own events, or
//! something bought once. <https://docs.stripe.com/api/checkout/sessions/object>

use std::collections::BTreeSet;

use super::super::event::Event;
use super::super::fields::said;
use super::super::reading::ReadError;
use super::customer;
use super::line;
use super::links::{keys, link};
use crate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, Fact, Line, PaymentFact, PaymentStep,
};
use crate::domain::id::{Kind, ObjectKey};

/// `checkout.session.completed`, `.async_payment_succeeded`, `.async_payment_failed`. Sessions of
/// mode `setup` sell nothing.
pub(super) fn finished(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    match event.object.need_word("mode")? {
        "subscription" => of_subscription(event),
        "payment" => of_payment(event),
        _ => Ok(Vec::new()),
    }
}

/// The subscription and its invoice tell of themselves.
fn of_subscription(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let account = event.need_account()?;
    let mut facts = buyer(event, &account);
    facts.extend(link(ids(event, Some(&account))?));
    facts.extend(event.account_link()?);
    Ok(facts)
}

/// A session whose payment has an invoice leaves it to the invoice to say what was paid for.
fn of_payment(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let object = &event.object;
    let session = object.need_id(&["id"])?;
    let has_invoice = object.id(&["invoice"])?.is_some();
    // Payment links make no customer by default: such a guest is known by this one payment, so that
    // what was bought is found by its address, or by the seller's own id.
    // <https://docs.stripe.com/payments/checkout/guest-customers>
    let guest = || (!has_invoice).then(|| event.scope.key(Kind::Account, session));
    let account = event.account()?.or_else(guest);
    let mut facts = Vec::new();
    if !has_invoice {
        let document = match object.id(&["payment_intent"])? {
            Some(intent) => event.scope.key(Kind::PaymentIntent, intent),
            None => event.scope.key(Kind::Session, session),
        };
        facts.push(Fact::Payment(PaymentFact {
            document,
            account: account.clone(),
            subscription: None,
            reason: None,
            step: step(event)?,
            lines: lines(event, session)?,
            lines_incomplete: object.flag("line_items.has_more")?,
            has_unpriced_items: false,
        }));
    }
    if let Some(account) = &account {
        facts.extend(buyer(event, account));
    }
    facts.extend(link(ids(event, account.as_ref())?));
    facts.extend(event.account_link()?);
    Ok(facts)
}

/// How far the payment is. Some payment methods take days: then the session is complete and unpaid.
/// <https://docs.stripe.com/payments/checkout/fulfill-orders>
fn step(event: &Event<'_>) -> Result<PaymentStep, ReadError> {
    if event.type_name == "checkout.session.async_payment_failed" {
        return Ok(PaymentStep::Failed { next_attempt: None });
    }
    let cost = event.object.integer("amount_total")?.unwrap_or_default();
    Ok(match event.object.word("payment_status")? {
        Some("paid") => PaymentStep::Paid { money: cost, cost },
        Some("no_payment_required") => PaymentStep::Paid { money: 0, cost },
        _ => PaymentStep::Known,
    })
}

/// The session's own lines, which webhooks leave out; otherwise one line for all of it, which is
/// known by the payment link.
fn lines(event: &Event<'_>, session: &str) -> Result<Vec<Line>, ReadError> {
    let object = &event.object;
    let mut lines = Vec::new();
    for item in object.list("line_items.data")?.unwrap_or_default() {
        lines.extend(line::of_session(&item)?);
    }
    if lines.is_empty() {
        lines.push(Line {
            price: object.id(&["payment_link"])?.unwrap_or(session).to_owned(),
            product: None,
            lookup_key: None,
            amount: object.integer("amount_total")?.unwrap_or_default(),
            quantity: None,
            start: None,
            end: None,
            once: true,
            id: Some(session.to_owned()),
        });
    }
    Ok(lines)
}

/// The buyer's account, and the contact that the session shows.
fn buyer(event: &Event<'_>, account: &ObjectKey) -> Vec<Fact> {
    let object = &event.object;
    // What the buyer typed; `customer_email` is what the seller filled in before.
    let contact = said(Contact {
        email: object
            .email("customer_details.email")
            .or_else(|| object.email("customer_email")),
        name: object.text("customer_details.name"),
        phone: object.text("customer_details.phone"),
        address: object.address("customer_details.address"),
    });
    let mut facts = vec![Fact::AccountNamed {
        account: account.clone(),
    }];
    facts.extend(contact.map(|contact| {
        Fact::Contact(ContactFact {
            account: account.clone(),
            contact,
            before: None,
            source: ContactSource::Secondary,
            request: event.request.clone(),
        })
    }));
    facts.extend(customer::seller_id(event, account.clone(), None));
    facts
}

/// What the session names besides itself; an account alone is no payment.
fn ids(event: &Event<'_>, account: Option<&ObjectKey>) -> Result<BTreeSet<ObjectKey>, ReadError> {
    let mut ids = keys(
        event,
        &[
            ("invoice", Kind::Invoice),
            ("payment_intent", Kind::PaymentIntent),
        ],
    )?;
    if !ids.is_empty() {
        ids.extend(keys(event, &[("id", Kind::Session)])?);
        ids.extend(account.cloned());
    }
    Ok(ids)
}
