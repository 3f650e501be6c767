//! Customers: who a billing account is. <https://docs.stripe.com/api/customers/object>

use super::super::event::Event;
use super::super::fields::Fields;
use super::super::reading::ReadError;
use crate::domain::billing::fact::{Contact, ContactFact, ContactSource, Fact};
use crate::domain::id::Kind;

/// `customer.created`, `customer.updated`.
pub(super) fn contact(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let account = event
        .scope
        .key(Kind::Account, event.object.need_id(&["id"])?);
    let before = event.object_before();
    Ok(vec![Fact::Contact(ContactFact {
        account,
        contact: read(&event.object),
        before: before
            .as_ref()
            .map(|object| read(&Fields::new(object, "data.object"))),
        source: match event.type_name {
            "customer.created" => ContactSource::Created,
            _ => ContactSource::Updated,
        },
        request: event.request.clone(),
    })])
}

/// `customer.deleted`. The contact that it still shows says nothing new.
pub(super) fn removed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let account = event
        .scope
        .key(Kind::Account, event.object.need_id(&["id"])?);
    Ok(vec![Fact::AccountRemoved { account }])
}

fn read(object: &Fields<'_>) -> Contact {
    Contact {
        email: object.email("email"),
        name: object.text("name"),
        phone: object.text("phone"),
        address: object.address("address"),
    }
}
