//! The packages of plans.

use std::borrow::Cow;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::package_orders::{read_all, read_grant, refuse_many};
use crate::domain::access::plan::PackageGrant;
use crate::domain::access::versions::Schemes;
use crate::domain::id::AppSlug;
use crate::http::field_errors::FieldErrors;
use crate::http::{ApiError, AppState};
use crate::pipeline::package_texts::schemes;

/// A package of a plan.
pub(super) enum PlanPackageBody {
    /// Its name alone, which means every version.
    Name(String),
    /// An object.
    Fields(GrantBody),
}

impl PartialSchema for PlanPackageBody {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The name alone, which means every version."))
            .examples(["acme/tool"]);
        let fields = Ref::from_schema_name(GrantBody::name());
        OneOfBuilder::new().item(name).item(fields).into()
    }
}

impl ToSchema for PlanPackageBody {
    fn name() -> Cow<'static, str> {
        "PlanPackage".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((GrantBody::name().into(), GrantBody::schema()));
        GrantBody::schemas(schemas);
    }
}

/// A package of an order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantBody {
    /// `vendor/package` in lower case; of a package that is declared `versions: semver` also `name`
    /// or `@scope/name`.
    #[schema(examples("acme/tool"))]
    package: String,
    /// A version constraint, as Composer writes it, or Cargo if the package is declared so; `*` by
    /// default.
    #[schema(examples("^2.0"))]
    constraint: Option<String>,
}

impl<'de> Deserialize<'de> for PlanPackageBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlanPackageVisitor)
    }
}

/// Reads one or the other by what it is, so that a mistake is named where it is; of an untagged
/// enum it would only be said that nothing fits.
struct PlanPackageVisitor;

impl<'de> Visitor<'de> for PlanPackageVisitor {
    type Value = PlanPackageBody;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a package, or an object with `package` and perhaps `constraint`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(PlanPackageBody::Name(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        GrantBody::deserialize(MapAccessDeserializer::new(map)).map(PlanPackageBody::Fields)
    }
}

impl PlanPackageBody {
    fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Fields(fields) => &fields.package,
        }
    }

    /// Where, in what is at a place, the package is named.
    fn named_at(&self, at: &str) -> String {
        match self {
            Self::Name(_) => at.to_owned(),
            Self::Fields(_) => format!("{at}.package"),
        }
    }

    fn check(
        self,
        field_errors: &mut FieldErrors,
        at: &str,
        schemes: &Schemes,
    ) -> Option<PackageGrant> {
        let places = [self.named_at(at), format!("{at}.constraint")];
        let (package, constraint) = match self {
            Self::Name(name) => (name, None),
            Self::Fields(fields) => (fields.package, fields.constraint),
        };
        read_grant(field_errors, places, schemes, &package, constraint)
    }
}

/// Reads the packages of a plan; 422 with every fault.
pub(super) async fn packages_of(
    state: &AppState,
    app: &AppSlug,
    bodies: Vec<PlanPackageBody>,
) -> Result<Vec<PackageGrant>, ApiError> {
    refuse_many(bodies.len())?;
    let names = bodies.iter().map(PlanPackageBody::name);
    let schemes = schemes(&state.store, app, names).await?;
    read_all(
        bodies,
        |body, field_errors, at| body.check(field_errors, at, &schemes),
        PlanPackageBody::named_at,
        |grant| &grant.package,
    )
}
