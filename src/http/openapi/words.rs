//! Words of fixed sets, for `#[schema(schema_with = …)]`: those of the enums of the domain, which
//! know nothing of HTTP.

use serde_json::Value;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

use crate::domain::access::check::AccessCode;
use crate::domain::access::hand_grant::GrantBilling;
use crate::domain::access::license::{LicenseCode, LicenseStatus};
use crate::domain::access::versions::Scheme;
use crate::domain::billing::assessment::{Standing, Verdict};
use crate::domain::customer::explain::Uncounted;
use crate::domain::customer::flag::FlagKind;
use crate::domain::customer::row::{Hold, Status};
use crate::domain::customer::source::SourceKind;
use crate::domain::event::EventOutcome;
use crate::domain::hook::{DeliveryState, HookBody, HookStatus};
use crate::domain::identity::register::Tie;
use crate::domain::mode::Mode;
use crate::domain::operation::OPERATIONS;
use crate::domain::reconcile::ReconcileStatus;
use crate::domain::refetch::{Refetch, RefetchReason};
use crate::domain::role::Role;
use crate::provider;
use crate::store::PlanSource;
use crate::store::replay::ReplayStatus;
use crate::vault::KeyState;

/// A text that is one of these words.
pub(in crate::http) fn one_of<T: Into<Value>>(words: impl IntoIterator<Item = T>) -> Object {
    let word = ObjectBuilder::new().schema_type(Type::String);
    word.enum_values(Some(words)).build()
}

/// A text that is one of these words, or null.
fn one_of_or_null<T: Into<Value>>(words: impl IntoIterator<Item = T>) -> Object {
    let words = words.into_iter().map(Into::into);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(words.chain([Value::Null])))
        .build()
}

/// An operation that the audit names.
pub(in crate::http) fn operation() -> Object {
    one_of(OPERATIONS)
}

/// What the bodies of a hook hold.
pub(in crate::http) fn hook_body() -> Object {
    one_of(HookBody::WORDS)
}

/// Whether a hook is delivered to.
pub(in crate::http) fn hook_status() -> Object {
    one_of(HookStatus::WORDS)
}

/// How a delivery stands.
pub(in crate::http) fn delivery_state() -> Object {
    one_of(DeliveryState::WORDS)
}

/// When a provider is asked about an object.
pub(in crate::http) fn refetch() -> Object {
    one_of(Refetch::WORDS)
}

/// The same, or null.
pub(in crate::http) fn refetch_or_null() -> Object {
    one_of_or_null(Refetch::WORDS)
}

/// Why an object is asked for.
pub(in crate::http) fn refetch_reason() -> Object {
    one_of(RefetchReason::WORDS)
}

/// A customer's status.
pub(in crate::http) fn status() -> Object {
    one_of(Status::WORDS)
}

/// Reasons why a customer is held.
pub(in crate::http) fn holds() -> Array {
    ArrayBuilder::new().items(hold()).build()
}

/// A reason why a customer is held.
pub(in crate::http) fn hold() -> Object {
    one_of(Hold::WORDS)
}

/// The standing of a subscription, which the API calls its class.
pub(in crate::http) fn class() -> Object {
    one_of(Standing::WORDS)
}

/// The effect of billing on a grant by hand.
pub(in crate::http) fn grant_billing() -> Object {
    one_of(GrantBilling::WORDS)
}

/// The same; null where there is no such grant.
pub(in crate::http) fn grant_billing_or_null() -> Object {
    one_of_or_null(GrantBilling::WORDS)
}

/// The verdict of billing; null where nothing counts.
pub(in crate::http) fn verdict() -> Object {
    one_of_or_null(Verdict::WORDS)
}

/// The kind of a source of access.
pub(in crate::http) fn source_kind() -> Object {
    one_of(SourceKind::WORDS)
}

/// The reason for which a source does not count; null if it does.
pub(in crate::http) fn uncounted() -> Object {
    one_of_or_null(Uncounted::WORDS)
}

/// The way in which a billing account found its customer.
pub(in crate::http) fn linked_by() -> Object {
    one_of(Tie::WORDS)
}

/// The subject of a flag.
pub(in crate::http) fn flag_kind() -> Object {
    one_of(FlagKind::WORDS)
}

/// A billing provider.
pub(in crate::http) fn provider() -> Object {
    one_of(provider::names().map(String::from))
}

/// A billing provider; null where none bills.
pub(in crate::http) fn provider_or_null() -> Object {
    one_of_or_null(provider::names().map(String::from))
}

/// The status of a replay of many events.
pub(in crate::http) fn replay_status() -> Object {
    one_of(ReplayStatus::WORDS)
}

/// The status of a reconciliation.
pub(in crate::http) fn reconcile_status() -> Object {
    one_of(ReconcileStatus::WORDS)
}

/// How a question to a provider stands.
pub(in crate::http) fn refetch_status() -> Object {
    one_of(["waiting", "given_up"])
}

/// The role of an admin token.
pub(in crate::http) fn role() -> Object {
    one_of(Role::WORDS)
}

/// The deliveries that a webhook secret accepts.
pub(in crate::http) fn mode() -> Object {
    one_of(Mode::WORDS)
}

/// The place of the key that a secret is encrypted with among the keys that are set.
pub(in crate::http) fn key_state() -> Object {
    one_of(KeyState::WORDS)
}

/// The origin of a plan.
pub(in crate::http) fn plan_source() -> Object {
    one_of(PlanSource::WORDS)
}

/// How the versions of a package are read.
pub(in crate::http) fn scheme() -> Object {
    one_of(Scheme::WORDS)
}

/// The outcome of an event.
pub(in crate::http) fn outcome() -> Object {
    one_of(EventOutcome::WORDS)
}

/// The code of an access check.
pub(in crate::http) fn access_code() -> Object {
    one_of(AccessCode::WORDS)
}

/// The state of a licence by itself.
pub(in crate::http) fn license_status() -> Object {
    one_of(LicenseStatus::WORDS)
}

/// The kinds of what licences are bought with.
pub(in crate::http) fn license_source_kind() -> Object {
    one_of([SourceKind::Subscription, SourceKind::Purchase].map(SourceKind::as_str))
}

/// The code that says whether a licence is valid.
pub(in crate::http) fn license_code() -> Object {
    one_of(LicenseCode::WORDS)
}
