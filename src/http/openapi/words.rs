//! Words of fixed sets, for `#[schema(schema_with = …)]`. Code has them as the enums of the
//! domain, which know nothing of HTTP; the tests hold every answer against these lists.

use serde_json::Value;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

use crate::provider;

pub(in crate::http) fn one_of<T: Into<Value>>(words: impl IntoIterator<Item = T>) -> Object {
    let word = ObjectBuilder::new().schema_type(Type::String);
    word.enum_values(Some(words)).build()
}

/// A customer's status.
pub(in crate::http) fn status() -> Object {
    one_of(["active", "suspended", "frozen", "expired"])
}

/// Why customers are held.
pub(in crate::http) fn holds() -> Array {
    ArrayBuilder::new().items(hold()).build()
}

/// One of them.
pub(in crate::http) fn hold() -> Object {
    one_of(["billing", "manual", "dispute", "refund"])
}

/// What kind of standing a subscription has.
pub(in crate::http) fn class() -> Object {
    one_of(["good", "failing", "paused", "pending", "ended", "unknown"])
}

/// What billing says; null where nothing counts.
pub(in crate::http) fn verdict() -> Object {
    let words = ["good", "failing", "paused", "ended"].map(Value::from);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(words.into_iter().chain([Value::Null])))
        .build()
}

/// How a billing account found its customer.
pub(in crate::http) fn linked_by() -> Object {
    one_of(["pin", "external_id", "email", "own"])
}

/// What flags are about.
pub(in crate::http) fn flag_kind() -> Object {
    one_of([
        "ambiguous",
        "unknown_status",
        "items_incomplete",
        "unmapped_price",
        "open_dispute",
        "full_refund",
        "unlinked",
        "api_key_needed",
        "releases_unknown",
        "account_deleted",
    ])
}

/// A billing provider.
pub(in crate::http) fn provider() -> Object {
    one_of(provider::names().map(String::from))
}

/// What an admin token allows.
pub(in crate::http) fn role() -> Object {
    one_of(["viewer", "admin", "owner"])
}

/// Which events a webhook secret takes.
pub(in crate::http) fn mode() -> Object {
    one_of(["any", "live", "test"])
}

/// Where a plan comes from.
pub(in crate::http) fn plan_source() -> Object {
    one_of(["api", "environment"])
}

/// Where a grant comes from.
pub(in crate::http) fn grant_source() -> Object {
    one_of(["manual", "plan"])
}

/// What became of an event.
pub(in crate::http) fn outcome() -> Object {
    one_of([
        "pending",
        "applied",
        "unchanged",
        "superseded",
        "ignored",
        "failed",
    ])
}

/// Why an access check says what it says.
pub(in crate::http) fn access_code() -> Object {
    one_of([
        "ok",
        "token_unknown",
        "token_expired",
        "token_scope",
        "package_not_granted",
        "version_not_allowed",
        "customer_suspended",
        "customer_expired",
        "version_not_frozen",
    ])
}

/// What a licence is by itself.
pub(in crate::http) fn license_status() -> Object {
    one_of(["active", "revoked", "expired"])
}

/// Why a licence is valid or not.
pub(in crate::http) fn license_code() -> Object {
    one_of([
        "ok",
        "license_unknown",
        "license_revoked",
        "license_expired",
        "customer_deleted",
        "customer_suspended",
        "customer_expired",
    ])
}
