//! How things look in answers. Times are RFC 3339 in UTC; nothing secret is in here.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::access::check::{Holder, frozen_versions};
use crate::domain::access::plan::PackageGrant;
use crate::domain::access::release::Release;
use crate::domain::access::token::{AdminToken, CustomerToken};
use crate::domain::billing::fact::Address;
use crate::domain::customer::flag::{Flag, FlagHolder, FlagKind, HeldFlag};
use crate::domain::customer::row::{Customer, PackageVersion};
use crate::domain::event::EventError;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;
use crate::http::openapi::words;
use crate::store::secret::EndpointSecret;
use crate::store::{App, EventRecord, Granted, Plan, StoreError, Tx};

pub(super) fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub(in crate::http) struct CustomerView {
    #[schema(examples("cust_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    pub(super) id: String,
    #[schema(examples("default"))]
    app: String,
    #[schema(examples("default"))]
    organization_id: String,
    #[schema(examples("Acme Inc"))]
    name: Option<String>,
    #[schema(examples("billing@acme.example"))]
    email: Option<String>,
    #[schema(examples("crm-1042"))]
    external_id: Option<String>,
    user_id: Option<String>,
    phone: Option<String>,
    billing_address_line1: Option<String>,
    billing_address_line2: Option<String>,
    billing_address_city: Option<String>,
    billing_address_state: Option<String>,
    billing_address_postal_code: Option<String>,
    billing_address_country: Option<String>,
    tax_id: Option<String>,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    #[schema(schema_with = words::status)]
    status: &'static str,
    status_reason: Option<String>,
    #[schema(format = DateTime)]
    status_since: String,
    /// Who holds it; empty for the active.
    #[schema(schema_with = words::holds)]
    holds: Vec<&'static str>,
    flags: Vec<FlagView>,
    #[schema(format = DateTime)]
    frozen_at: Option<String>,
    frozen_versions: Option<Vec<PackageVersion>>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(format = DateTime)]
    deleted_at: Option<String>,
}

/// Something to look at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Flag)]
pub(super) struct FlagView {
    id: String,
    #[schema(schema_with = words::flag_kind)]
    kind: &'static str,
    /// The provider's id of what it is about, or a package.
    #[schema(examples("price_1Q2w3e4R5t6Y7u8I"))]
    subject: String,
    /// The provider's time of what decided it; none for mistakes of set-up.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Whose it is; none where no customer was found.
    customer_id: Option<String>,
}

impl From<&HeldFlag> for FlagView {
    fn from(held: &HeldFlag) -> Self {
        let Flag { kind, subject, at } = &held.flag;
        Self {
            id: held.id().to_string(),
            kind: kind.as_str(),
            subject: subject.clone(),
            at: time(*at),
            customer_id: held.holder.customer().map(ToString::to_string),
        }
    }
}

/// Dresses customers, with what is looked up when they are read.
pub(super) async fn customers(
    tx: &mut Tx,
    app: &AppSlug,
    customers: Vec<Customer>,
) -> Result<Vec<CustomerView>, StoreError> {
    let granted = tx.access_granted(app, &customers).await?;
    Ok(customers
        .into_iter()
        .map(|it| customer_view(app, it, &granted))
        .collect())
}

/// Dresses one customer.
pub(super) async fn customer(
    tx: &mut Tx,
    app: &AppSlug,
    customer: Customer,
) -> Result<CustomerView, StoreError> {
    let granted = tx
        .access_granted(app, std::slice::from_ref(&customer))
        .await?;
    Ok(customer_view(app, customer, &granted))
}

/// All open flags of a customer.
pub(super) async fn flags(
    tx: &mut Tx,
    app: &AppSlug,
    customer: &Customer,
) -> Result<Vec<FlagView>, StoreError> {
    let granted = tx
        .access_granted(app, std::slice::from_ref(customer))
        .await?;
    Ok(flag_views(customer, &granted))
}

fn flag_views(customer: &Customer, granted: &Granted) -> Vec<FlagView> {
    let held = |flag| HeldFlag {
        holder: FlagHolder::Customer(customer.id.clone()),
        flag,
    };
    let flags = flags_of(customer, granted).into_iter();
    flags.map(|flag| FlagView::from(&held(flag))).collect()
}

fn customer_view(app: &AppSlug, customer: Customer, granted: &Granted) -> CustomerView {
    let grants = granted.of(&customer);
    let holder = Holder {
        token: None,
        derived: &customer.derived,
        grants: &grants,
        releases: &granted.releases,
    };
    let frozen_versions = frozen_versions(holder);
    let flags = flag_views(&customer, granted);
    let Customer {
        id,
        profile,
        derived: shown,
        ..
    } = customer;
    let contact = shown.contact;
    let Address {
        line1,
        line2,
        city,
        state,
        postal_code,
        country,
    } = contact.address.unwrap_or_default();
    CustomerView {
        id: id.into(),
        app: app.to_string(),
        organization_id: app.to_string(),
        name: contact.name,
        email: contact.email,
        external_id: shown.external_id,
        user_id: profile.user_id,
        phone: contact.phone,
        billing_address_line1: line1,
        billing_address_line2: line2,
        billing_address_city: city,
        billing_address_state: state,
        billing_address_postal_code: postal_code,
        billing_address_country: country,
        tax_id: profile.tax_id,
        metadata: profile.metadata,
        status: shown.status.as_str(),
        status_reason: shown.reason,
        status_since: customer.status_since.to_string(),
        holds: shown.holds.iter().map(|hold| hold.as_str()).collect(),
        flags,
        frozen_at: time(shown.frozen_at),
        frozen_versions,
        created_at: customer.made_at.to_string(),
        updated_at: customer.updated_at.to_string(),
        deleted_at: time(customer.deleted_at),
    }
}

/// All open flags: those that the store knows of, and those that releases add when a customer is
/// read. A new release counts at once for everybody, so nothing is derived anew for it.
fn flags_of(customer: &Customer, granted: &Granted) -> BTreeSet<Flag> {
    let mut flags = customer.flags(&granted.plans);
    if customer.derived.is_frozen_by_time() {
        let known: BTreeSet<&str> = granted
            .releases
            .iter()
            .map(|release| release.package.as_str())
            .collect();
        let unknown = granted
            .of(customer)
            .into_iter()
            .filter(|grant| !known.contains(grant.package.as_str()))
            .map(|grant| Flag {
                kind: FlagKind::ReleasesUnknown,
                subject: grant.package,
                at: None,
            });
        flags.extend(unknown.filter(|flag| !customer.cleared.contains(flag)));
    }
    flags
}

/// A customer's access token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerToken)]
pub(super) struct TokenView {
    #[schema(examples("ctok_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    pub(super) id: String,
    #[schema(examples("cust_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    customer_id: String,
    #[schema(examples("build server"))]
    name: String,
    #[schema(examples("read"))]
    scope: String,
    #[schema(examples("acme/*"))]
    packages: Vec<String>,
    prefix: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl From<CustomerToken> for TokenView {
    fn from(token: CustomerToken) -> Self {
        Self {
            id: token.id.into(),
            customer_id: token.customer.into(),
            name: token.name,
            scope: token.scope,
            packages: token.packages,
            prefix: token.prefix,
            created_at: token.created_at.to_string(),
            expires_at: time(token.expires_at),
            last_used_at: time(token.last_used_at),
        }
    }
}

/// An admin token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminToken)]
pub(super) struct AdminTokenView {
    #[schema(examples("atok_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    pub(super) id: String,
    #[schema(examples("deploy script"))]
    name: String,
    #[schema(schema_with = words::role)]
    role: &'static str,
    app: Option<String>,
    prefix: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl From<AdminToken> for AdminTokenView {
    fn from(token: AdminToken) -> Self {
        Self {
            id: token.id.into(),
            name: token.name,
            role: token.role.as_str(),
            app: token.app.map(Into::into),
            prefix: token.prefix,
            created_at: token.created_at.to_string(),
            expires_at: time(token.expires_at),
            last_used_at: time(token.last_used_at),
        }
    }
}

/// An app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = App)]
pub(super) struct AppView {
    #[schema(examples("acme"))]
    pub(super) slug: String,
    #[schema(examples("Acme Inc"))]
    name: String,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<App> for AppView {
    fn from(app: App) -> Self {
        Self {
            slug: app.slug.into(),
            name: app.name,
            created_at: app.created_at.to_string(),
        }
    }
}

/// A webhook secret, without the secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookSecret)]
pub(super) struct SecretView {
    #[schema(examples("whs_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    pub(super) id: String,
    #[schema(examples("default"))]
    app: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    #[schema(schema_with = words::mode)]
    mode: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// About how many webhooks it has verified.
    uses: i64,
    last_used_at: Option<String>,
}

impl From<EndpointSecret> for SecretView {
    fn from(secret: EndpointSecret) -> Self {
        Self {
            id: secret.id.into(),
            app: secret.app.into(),
            provider: secret.provider,
            mode: secret.mode.as_str(),
            created_at: secret.created_at.to_string(),
            expires_at: time(secret.expires_at),
            uses: secret.uses,
            last_used_at: time(secret.last_used_at),
        }
    }
}

/// A plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(super) struct PlanView {
    #[schema(schema_with = words::provider)]
    provider: Provider,
    #[schema(examples("price_1Q2w3e4R5t6Y7u8I"))]
    pub(super) price_id: String,
    packages: Vec<PackageGrant>,
    #[schema(schema_with = words::plan_source)]
    source: &'static str,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl PlanView {
    /// Names it in walks.
    pub(super) fn key(&self) -> String {
        format!("{}:{}", self.provider, self.price_id)
    }
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        Self {
            provider: plan.provider,
            price_id: plan.price_id,
            packages: plan.packages,
            source: plan.source.as_str(),
            updated_at: plan.updated_at.to_string(),
        }
    }
}

/// A release.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Release)]
pub(super) struct ReleaseView {
    #[schema(examples("acme/tool"))]
    package: String,
    #[schema(examples("2.1.0"))]
    version: String,
    #[schema(examples("2.1.0.0"))]
    pub(super) normalized: String,
    #[schema(format = DateTime)]
    released_at: String,
}

impl From<Release> for ReleaseView {
    fn from(release: Release) -> Self {
        Self {
            package: release.package,
            version: release.version,
            normalized: release.normalized,
            released_at: release.released_at.to_string(),
        }
    }
}

/// An event of the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventView {
    #[schema(examples("evt_1Q2w3e4R5t6Y7u8I"))]
    id: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    #[schema(examples("default"))]
    app: String,
    account: Option<String>,
    livemode: Option<bool>,
    #[schema(examples("invoice.paid"))]
    #[serde(rename = "type")]
    event_type: String,
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    #[schema(format = DateTime)]
    received_at: String,
    #[schema(format = DateTime)]
    processed_at: Option<String>,
    #[schema(schema_with = words::outcome)]
    outcome: &'static str,
    duplicates: i64,
    attempts: i64,
    error: Option<EventErrorView>,
    #[schema(examples("cust_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    customer_id: Option<String>,
    /// What was before and after.
    changes: Value,
    /// As it came. Only in the single view.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    payload: Option<Value>,
}

/// Why an event is not applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventError)]
pub(super) struct EventErrorView {
    code: String,
    detail: String,
}

impl From<EventError> for EventErrorView {
    fn from(error: EventError) -> Self {
        Self {
            code: error.code,
            detail: error.detail,
        }
    }
}

impl From<EventRecord> for EventView {
    fn from(record: EventRecord) -> Self {
        // Only JSON is accepted; what cannot be read all the same is shown as it is.
        let payload = record
            .payload
            .map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
        Self {
            id: record.key.id,
            provider: record.key.provider,
            app: record.key.app.into(),
            account: record.account,
            livemode: record.livemode,
            event_type: record.event_type,
            occurred_at: time(record.occurred_at),
            received_at: record.received_at.to_string(),
            processed_at: time(record.processed_at),
            outcome: record.outcome.as_str(),
            duplicates: record.duplicates,
            attempts: record.attempts,
            error: record.error.map(EventErrorView::from),
            customer_id: record.customer.map(Into::into),
            changes: record.changes,
            payload,
        }
    }
}
