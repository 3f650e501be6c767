//! Customers and their businesses.
//! <https://developer.paddle.com/api-reference/customers/overview>

use super::super::event::Event;
use super::super::reading::ReadError;
use crate::domain::billing::fact::{Contact, ContactFact, ContactSource, Fact};
use crate::domain::id::Kind;

/// `customer.created`, `.imported`, `.updated`: the only events with the e-mail address.
pub(super) fn contact(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    Ok(vec![Fact::Contact(ContactFact {
        account: event.need_key(Kind::Account, "id")?,
        contact: Contact {
            email: event.object.email("email"),
            name: event.object.text("name"),
            phone: None,
            address: None,
        },
        before: None,
        source: match event.type_name {
            "customer.updated" => ContactSource::Updated,
            _ => ContactSource::Created,
        },
        request: None,
    })])
}

/// `business.*`: the name of the company, until the customer's own events are known. The e-mail
/// addresses of its contacts are those of bookkeepers, not the one that the customer is known
/// by, and are left alone. Recordings of 2023 name no customer, and so say nothing.
pub(super) fn business(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let (Some(account), Some(name)) = (
        event.key(Kind::Account, "customer_id")?,
        event.object.text("name"),
    ) else {
        return Ok(Vec::new());
    };
    Ok(vec![Fact::Contact(ContactFact {
        account,
        contact: Contact {
            name: Some(name),
            ..Contact::default()
        },
        before: None,
        source: ContactSource::Secondary,
        request: None,
    })])
}
