//! Why something is done: a reason that a call which changes something takes, for the audit.
//!
//! It stands in the body, beside whatever else that says ([`Reasoned`]), or in the query where a call
//! has no body or its body is a document that other systems send too. The query's is read together with
//! who asks, so a handler cannot forget it; which calls take one their description says.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::ValidJson;
use super::error::ApiError;
use super::field_errors::{FieldErrors, checked};
use super::input::{Check, take_parameter};
use crate::domain::validate::{self, FieldError, MAX_TEXT};

/// The field, and the parameter.
const REASON: &str = "reason";

/// What the description says of it.
const ABOUT: &str = "Why, for the audit. One line.";

/// A reason: one line.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Reason(String);

impl TryFrom<String> for Reason {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        validate::line(&text).map(Self)
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

/// For the description of calls whose reason stands in the query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the description reads it")]
pub(super) struct ReasonQuery {
    /// Why, for the audit. One line.
    #[param(min_length = 1, max_length = 255, example = "asked for by mail")]
    reason: Option<String>,
}

/// Takes the reason out of a query, so that handlers know only their own parameters.
///
/// # Errors
/// 422 `query_invalid` if it is no line, or there twice.
pub(super) fn take(parts: &mut Parts) -> Result<Option<String>, ApiError> {
    let Some(text) = take_parameter(parts, REASON)? else {
        return Ok(None);
    };
    let mut field_errors = FieldErrors::default();
    let reason = field_errors.note(checked(REASON, validate::line(&text)));
    field_errors.finish_query(reason).map(Some)
}

/// A body, and beside its own fields a reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Reasoned<T> {
    pub(super) body: T,
    pub(super) reason: Option<Reason>,
}

/// A body that says nothing else.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReasonBody)]
pub(super) struct NothingElse {}

/// A body of a reason alone.
pub(super) type ReasonBody = Reasoned<NothingElse>;

impl<T: Default> Reasoned<T> {
    /// The parts of a body that may be left out.
    pub(super) fn parts_of(body: Option<ValidJson<Self>>) -> (T, Option<Reason>) {
        let Self { body, reason } = body.map(|ValidJson(body)| body).unwrap_or_default();
        (body, reason)
    }
}

impl ReasonBody {
    /// The reason of a body that may be left out.
    pub(super) fn of(body: Option<ValidJson<Self>>) -> Option<Reason> {
        Self::parts_of(body).1
    }
}

impl<T: Check> Check for Reasoned<T> {
    fn field_errors(&self) -> Vec<FieldError> {
        self.body.field_errors()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Reasoned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Beside(PhantomData))
    }
}

struct Beside<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Beside<T> {
    type Value = Reasoned<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reasoned<T>, A::Error> {
        let aside = RefCell::default();
        let rest = WithoutReason { map, aside: &aside };
        let body = T::deserialize(MapAccessDeserializer::new(rest))?;
        let Aside { reason, .. } = aside.into_inner();
        Ok(Reasoned { body, reason })
    }
}

/// The field that is put aside.
#[derive(Default)]
struct Aside {
    is_met: bool,
    /// `None` too if it was null.
    reason: Option<Reason>,
}

/// An object without its reason, which is put aside as it is met.
struct WithoutReason<'a, A> {
    map: A,
    aside: &'a RefCell<Aside>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutReason<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if key != REASON {
                let key: CowStrDeserializer<'_, A::Error> =
                    de::IntoDeserializer::into_deserializer(Cow::Owned::<str>(key));
                return seed.deserialize(key).map(Some);
            }
            let met = Aside {
                is_met: true,
                reason: self.map.next_value()?,
            };
            if self.aside.replace(met).is_met {
                return Err(de::Error::duplicate_field(REASON));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

impl<T: PartialSchema> PartialSchema for Reasoned<T> {
    fn schema() -> RefOr<Schema> {
        let mut schema = T::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            let reason = ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                .description(Some(ABOUT))
                .min_length(Some(1))
                .max_length(Some(MAX_TEXT))
                .examples(["asked for by mail"]);
            let reason = RefOr::T(Schema::Object(reason.build()));
            object.properties.insert(REASON.to_owned(), reason);
        }
        schema
    }
}

impl<T: ToSchema> ToSchema for Reasoned<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::input::parse_json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Inner,
        count: Option<u32>,
    }

    fn fields(text: &str) -> Vec<String> {
        match parse_json::<Reasoned<Outer>>(text.as_bytes()) {
            Ok(_) => Vec::new(),
            Err(ApiError::Invalid { errors, .. }) => {
                errors.into_iter().map(|error| error.field).collect()
            }
            Err(other) => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_reason_stands_anywhere_beside_the_fields() {
        for text in [
            r#"{"reason": "why", "inner": {"name": "a"}, "count": 1}"#,
            r#"{"inner": {"name": "a"}, "count": 1, "reason": "why"}"#,
        ] {
            let read: Reasoned<Outer> = parse_json(text.as_bytes()).unwrap();
            assert_eq!(read.reason.map(String::from).as_deref(), Some("why"));
            assert_eq!(
                (read.body.inner.name.as_str(), read.body.count),
                ("a", Some(1))
            );
        }
        for text in [
            r#"{"inner": {"name": "a"}}"#,
            r#"{"reason": null, "inner": {"name": "a"}}"#,
        ] {
            let read: Reasoned<Outer> = parse_json(text.as_bytes()).unwrap();
            assert!(read.reason.is_none(), "{text}");
        }
    }

    #[test]
    fn each_wrong_field_is_named_beside_a_reason() {
        let long = format!(
            r#"{{"reason": "{}", "inner": {{"name": "a"}}}}"#,
            "x".repeat(256)
        );
        let cases: [(&str, &[&str]); 9] = [
            (r#"{"reason": "", "inner": {"name": "a"}}"#, &["reason"]),
            (r#"{"reason": " ", "inner": {"name": "a"}}"#, &["reason"]),
            (r#"{"reason": 1, "inner": {"name": "a"}}"#, &["reason"]),
            (r#"{"reason": "a\nb", "inner": {"name": "a"}}"#, &["reason"]),
            (&long, &["reason"]),
            (
                r#"{"reason": "a", "inner": {"name": "a"}, "reason": "b"}"#,
                &["reason"],
            ),
            (
                r#"{"inner": {"name": "a", "reason": "not here"}}"#,
                &["inner.reason"],
            ),
            (r#"{"reason": "why", "inner": {}}"#, &["inner.name"]),
            (
                r#"{"count": -1, "more": 1, "reason": "", "inner": {"name": 1}}"#,
                &["count", "more", "reason", "inner.name"],
            ),
        ];
        for (text, expected) in cases {
            let mut expected = expected.to_vec();
            let mut found = fields(text);
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "{text}");
        }
    }
}
