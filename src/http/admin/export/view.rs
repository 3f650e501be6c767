//! The document of an export.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::super::accounts::AccountView;
use super::super::audit::AuditView;
use super::super::events::{EventView, json_of};
use super::super::payments::PaymentView;
use super::super::subscriptions::SubscriptionView;
use super::super::tokens::TokenView;
use crate::domain::billing::fact::{Address, Contact};
use crate::domain::id::Provider;
use crate::http::api::customer::CustomerView;
use crate::http::api::flag::FlagView;
use crate::http::api::license::LicenseView;
use crate::http::api::license::activation::ActivationView;
use crate::http::api::package::PackageView;
use crate::http::openapi::words;
use crate::pipeline::customers::LinkedAccount;
use crate::pipeline::export::{ExportedEvent, WaitingMessage};
use crate::store::{DocumentTable, StoredDocument};

/// Everything that is kept of a customer.
#[derive(ToSchema)]
#[schema(as = CustomerExport)]
#[expect(
    dead_code,
    reason = "the document is written as it is read, and never held"
)]
pub(super) struct ExportView {
    #[schema(format = DateTime)]
    exported_at: String,
    customer: CustomerView,
    /// What it may have now, from plans and by hand.
    packages: Vec<PackageView>,
    accounts: Vec<ExportedAccount>,
    subscriptions: Vec<SubscriptionView>,
    /// By document, with what was bought.
    payments: Vec<PaymentView>,
    /// Packages that it was granted by hand, whether or not they count now.
    grants: Vec<PackageView>,
    /// Without their texts, of which only hashes are kept.
    tokens: Vec<TokenView>,
    licenses: Vec<LicenseView>,
    /// Where these are in use.
    activations: Vec<ActivationView>,
    flags: Vec<FlagView>,
    /// Changes, the newest first.
    audit: Vec<AuditView>,
    /// Webhooks with their payloads, as long as these are kept; the newest first.
    events: Vec<ExportedEventView>,
    /// Webhooks that wait in the built-in queue or, while a broker is away, in the spool. What is in
    /// RabbitMQ is not looked through: it is here when it has been processed.
    waiting: Vec<WaitingView>,
    /// The rows of which most of the above is made, as they are stored.
    stored: Vec<DocumentView>,
}

/// A billing account with everything that is known of its owner.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedAccount)]
pub(super) struct ExportedAccount {
    #[serde(flatten)]
    account: AccountView,
    contact: ContactView,
    /// Every e-mail address that it had, in lower case.
    emails: Vec<String>,
}

/// A contact as the provider shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedContact)]
pub(super) struct ContactView {
    email: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    address_line1: Option<String>,
    address_line2: Option<String>,
    address_city: Option<String>,
    address_state: Option<String>,
    address_postal_code: Option<String>,
    address_country: Option<String>,
}

impl From<Contact> for ContactView {
    fn from(contact: Contact) -> Self {
        let Address {
            line1,
            line2,
            city,
            state,
            postal_code,
            country,
        } = contact.address.unwrap_or_default();
        Self {
            email: contact.email,
            name: contact.name,
            phone: contact.phone,
            address_line1: line1,
            address_line2: line2,
            address_city: city,
            address_state: state,
            address_postal_code: postal_code,
            address_country: country,
        }
    }
}

impl From<LinkedAccount> for ExportedAccount {
    fn from(linked: LinkedAccount) -> Self {
        let history = &linked.account.history;
        let emails = history.emails.keys().chain(history.secondary_emails.keys());
        let emails: BTreeSet<String> = emails.cloned().collect();
        Self {
            contact: history.contact().into(),
            emails: emails.into_iter().collect(),
            account: linked.into(),
        }
    }
}

/// An event as far as it is about the customer.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedEvent)]
pub(super) struct ExportedEventView {
    #[serde(flatten)]
    event: EventView,
    /// True if the payload is left out because it also names somebody else's billing account, be it one
    /// that was the customer's once.
    payload_withheld: bool,
}

impl From<ExportedEvent> for ExportedEventView {
    fn from(event: ExportedEvent) -> Self {
        Self {
            event: EventView::whole(event.record),
            payload_withheld: event.is_withheld,
        }
    }
}

/// A webhook that names an account of the customer and has not been processed yet.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitingEvent)]
pub(super) struct WaitingView {
    /// The provider's id of the event.
    id: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    r#type: String,
    #[schema(format = DateTime)]
    received_at: String,
    /// The body as it was received.
    payload: Value,
}

impl From<WaitingMessage> for WaitingView {
    fn from(message: WaitingMessage) -> Self {
        let WaitingMessage { headers, body } = message;
        Self {
            id: headers.event_id,
            provider: headers.provider,
            r#type: headers.event_type,
            received_at: headers.received_at.to_string(),
            payload: json_of(body),
        }
    }
}

/// A row as it is stored: with everything that earlier events said and that nothing shows. Its form may
/// change with any version.
#[derive(Serialize, ToSchema)]
#[schema(as = StoredDocument)]
pub(super) struct DocumentView {
    #[schema(schema_with = table)]
    table: &'static str,
    /// The key of the row.
    key: String,
    #[schema(value_type = Object)]
    document: Value,
}

fn table() -> Object {
    words::one_of(DocumentTable::WORDS)
}

impl DocumentView {
    pub(super) fn of(table: DocumentTable, row: StoredDocument) -> Self {
        Self {
            table: table.as_str(),
            key: row.key,
            document: row.kept,
        }
    }
}
