//! Customers and their businesses.
//! <https://developer.paddle.com/api-reference/customers/overview>

use super::super::event::Event;
use super::super::metadata;
use super::super::reading::ReadError;
use crate::domain::billing::fact::{Contact, ContactFact, ContactSource, Fact};
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::identity::seller_id::SellerIdFact;

/// `customer.created`, `.imported`, `.updated`: the only events with the e-mail address.
pub(super) fn contact(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let account = event.need_key(Kind::Account, "id")?;
    let mut facts = vec![Fact::Contact(ContactFact {
        account: account.clone(),
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
    })];
    let imported_as = event.object.at("import_meta.external_id");
    let imported_as = imported_as.and_then(metadata::id);
    facts.extend(seller_id(event, account, None, imported_as));
    Ok(facts)
}

/// The seller's own id of the account, wherever the object may have it.
pub(super) fn seller_id(
    event: &Event<'_>,
    account: ObjectKey,
    subscription: Option<ObjectKey>,
    imported_as: Option<String>,
) -> Option<Fact> {
    let fact = SellerIdFact {
        account,
        subscription,
        metadata: event.object.metadata("custom_data"),
        imported_as,
        client_reference: None,
    };
    let says = !fact.metadata.is_empty() || fact.imported_as.is_some();
    says.then_some(Fact::SellerId(fact))
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
