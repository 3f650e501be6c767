//! Checkout sessions: a buyer of a subscription, often before the subscription's own events.
//! <https://docs.stripe.com/api/checkout/sessions/object>

use super::super::event::Event;
use super::super::fields::said;
use super::super::reading::ReadError;
use crate::domain::billing::fact::{Contact, ContactFact, ContactSource, Fact};

/// `checkout.session.completed`. Sessions of mode `payment` and `setup` sell no subscription.
pub(super) fn completed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let object = &event.object;
    if object.need_word("mode")? != "subscription" {
        return Ok(Vec::new());
    }
    let account = event.need_account()?;
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
            account,
            contact,
            before: None,
            source: ContactSource::Secondary,
            request: event.request.clone(),
        })
    }));
    Ok(facts)
}
