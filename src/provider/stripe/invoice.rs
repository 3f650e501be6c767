//! Invoices: what was billed, and how far it is paid. <https://docs.stripe.com/api/invoices/object>
//!
//! Invoices without a subscription are read like all others: they can be purchases.

use super::super::event::Event;
use super::super::fields::{Fields, said};
use super::super::reading::ReadError;
use super::line;
use super::links::{keys, keys_of, link};
use crate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, Fact, PaymentFact, PaymentStep,
};
use crate::domain::id::{Kind, ObjectKey};

/// `invoice.paid`. An open invoice is also closed by credit notes: they lower what is owed, and of one
/// that was credited in full nothing is ever paid, as if it had been voided.
/// <https://docs.stripe.com/api/credit_notes>
pub(super) fn paid(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let money = event.object.integer("amount_paid")?;
    let total = event.object.integer("total")?;
    let credited = event.object.integer("pre_payment_credit_notes_amount")?;
    let credited = credited.unwrap_or_default();
    if credited > 0 && total.is_some_and(|total| total <= credited) {
        return read(event, PaymentStep::Void);
    }
    let cost = total.map(|total| total.saturating_sub(credited));
    let step = PaymentStep::Paid {
        money: money.or(cost).unwrap_or_default(),
        cost: cost.or(money).unwrap_or_default(),
    };
    read(event, step)
}

/// `invoice.payment_failed`.
pub(super) fn payment_failed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    // It is only shown, so nothing in it is a reason to refuse the rest.
    let next_attempt = event.object.seconds("next_payment_attempt").ok().flatten();
    read(event, PaymentStep::Failed { next_attempt })
}

/// `invoice.voided`, `invoice.marked_uncollectible`.
pub(super) fn given_up(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    read(event, PaymentStep::Void)
}

/// `invoice.finalized`, `invoice.overdue`.
pub(super) fn known(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    read(event, PaymentStep::Known)
}

/// `invoice_payment.paid`. Since 2025-03-31 it alone names an invoice together with what paid it.
/// <https://docs.stripe.com/api/invoice-payment/object>
pub(super) fn payment_paid(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    event.object.need_id(&["invoice"])?;
    let ids = keys(
        event,
        &[
            ("invoice", Kind::Invoice),
            ("payment.payment_intent", Kind::PaymentIntent),
            ("payment.charge", Kind::Charge),
        ],
    )?;
    Ok(link(ids).into_iter().collect())
}

fn read(event: &Event<'_>, step: PaymentStep) -> Result<Vec<Fact>, ReadError> {
    let object = &event.object;
    let document = event.scope.key(Kind::Invoice, object.need_id(&["id"])?);
    let account = event.account()?;
    let shown = object.list("lines.data")?.unwrap_or_default();
    let lines: Result<Vec<_>, _> = shown.iter().map(line::of_invoice).collect();
    let unpriced: Result<Vec<_>, _> = shown.iter().map(line::is_unpriced_item).collect();
    let mut facts = vec![Fact::Payment(PaymentFact {
        document: document.clone(),
        account: account.clone(),
        subscription: subscription(event, &shown)?,
        reason: object.word("billing_reason")?.map(str::to_owned),
        step,
        lines: lines?.into_iter().flatten().collect(),
        lines_incomplete: object.flag("lines.has_more")?,
        has_unpriced_items: unpriced?.contains(&true),
    })];
    facts.extend(contact(event, account.as_ref()));
    facts.extend(links(event, &document, account.as_ref())?);
    facts.extend(event.account_link()?);
    Ok(facts)
}

/// The subscription that the invoice bills; moved on 2025-03-31, and some versions have both. An invoice
/// that somebody made by hand, for what changes of a subscription cost, names it in its lines alone.
fn subscription(event: &Event<'_>, lines: &[Fields<'_>]) -> Result<Option<ObjectKey>, ReadError> {
    let places = ["parent.subscription_details.subscription", "subscription"];
    let id = match event.object.id(&places)? {
        Some(id) => Some(id),
        None => line::subscription(lines)?,
    };
    Ok(id.map(|id| event.scope.key(Kind::Subscription, id)))
}

/// The contact that the invoice happens to show.
fn contact(event: &Event<'_>, account: Option<&ObjectKey>) -> Option<Fact> {
    let object = &event.object;
    let contact = said(Contact {
        email: object.email("customer_email"),
        name: object.text("customer_name"),
        phone: object.text("customer_phone"),
        address: object.address("customer_address"),
    })?;
    Some(Fact::Contact(ContactFact {
        account: account?.clone(),
        contact,
        before: None,
        source: ContactSource::Secondary,
        request: event.request.clone(),
    }))
}

/// What paid the invoice: until 2025-03-31 it named the one charge and intent, later ones can list
/// their payments.
fn links(
    event: &Event<'_>,
    document: &ObjectKey,
    account: Option<&ObjectKey>,
) -> Result<Vec<Fact>, ReadError> {
    let places = [
        ("charge", Kind::Charge),
        ("payment_intent", Kind::PaymentIntent),
    ];
    let of = |object: &Fields<'_>| keys_of(&event.scope, object, &places);
    let mut payments = vec![of(&event.object)?];
    for payment in event.object.list("payments.data")?.unwrap_or_default() {
        payments.extend(payment.object("payment").map(|it| of(&it)).transpose()?);
    }
    let named = payments.into_iter().filter(|ids| !ids.is_empty());
    let linked = named.filter_map(|mut ids| {
        ids.insert(document.clone());
        ids.extend(account.cloned());
        link(ids)
    });
    Ok(linked.collect())
}
