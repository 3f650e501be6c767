//! Customers: who a billing account is. <https://docs.stripe.com/api/customers/object>

use super::super::event::Event;
use super::super::fields::Fields;
use super::super::metadata;
use super::super::reading::ReadError;
use crate::domain::billing::fact::{Contact, ContactFact, ContactSource, Fact};
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::identity::seller_id::SellerIdFact;

/// `customer.created`, `customer.updated`.
pub(super) fn contact(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let account = event
        .scope
        .key(Kind::Account, event.object.need_id(&["id"])?);
    let before = event.object_before();
    let mut facts = vec![Fact::Contact(ContactFact {
        account: account.clone(),
        contact: read(&event.object),
        before: before
            .as_ref()
            .map(|object| read(&Fields::new(object, "data.object"))),
        source: match event.type_name {
            "customer.created" => ContactSource::Created,
            _ => ContactSource::Updated,
        },
        request: event.request.clone(),
    })];
    facts.extend(seller_id(event, account, None));
    Ok(facts)
}

/// The seller's own id of the account, wherever the object may have it.
pub(super) fn seller_id(
    event: &Event<'_>,
    account: ObjectKey,
    subscription: Option<ObjectKey>,
) -> Option<Fact> {
    let client_reference = event.object.at("client_reference_id");
    let fact = SellerIdFact {
        account,
        subscription,
        metadata: event.object.metadata("metadata"),
        imported_as: None,
        client_reference: client_reference.and_then(metadata::id),
    };
    let says = !fact.metadata.is_empty() || fact.client_reference.is_some();
    says.then_some(Fact::SellerId(fact))
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
