//! Schemas of domain types, which know nothing of HTTP.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType,
    Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::access::plan::PackageGrant;
use crate::domain::customer::profile::ProfileChange;
use crate::domain::customer::row::PackageVersion;
use crate::domain::validate::{MAX_EMAIL, MAX_TEXT};

fn text(about: &str, example: &str) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.description(Some(about)).examples([example]).build()
}

impl PartialSchema for PackageGrant {
    fn schema() -> RefOr<Schema> {
        let package = text("Its name.", "acme/tool");
        let constraint = text(
            "As Composer writes it, or Cargo if the package is declared so.",
            "^2.0",
        );
        let grant = ObjectBuilder::new()
            .description(Some("A package, and the versions of it that are granted."))
            .property("package", package)
            .property("constraint", constraint)
            .required("package")
            .required("constraint");
        RefOr::T(Schema::Object(grant.build()))
    }
}

impl ToSchema for PackageGrant {}

impl PartialSchema for PackageVersion {
    fn schema() -> RefOr<Schema> {
        let version = ObjectBuilder::new()
            .description(Some("One version of a package."))
            .property("package", text("Its name.", "acme/tool"))
            .property("version", text("As it was released.", "2.1.0"))
            .required("package")
            .required("version");
        RefOr::T(Schema::Object(version.build()))
    }
}

impl ToSchema for PackageVersion {}

/// The fields of [`ProfileChange`] that are lines of text, and an example of each.
const LINES: [(&str, &str, &str); 11] = [
    ("name", "Name of a person or company.", "Acme Inc"),
    (
        "external_id",
        "The sender's own id of the customer; `stripe_cus_…` and the like link a billing account.",
        "crm-1042",
    ),
    ("user_id", "The sender's id of a user.", "u-17"),
    (
        "phone",
        "Telephone number, in any form.",
        "+41 31 000 00 00",
    ),
    (
        "billing_address_line1",
        "Street and number.",
        "Marktgasse 1",
    ),
    ("billing_address_line2", "Suite, floor.", "2nd floor"),
    ("billing_address_city", "City.", "Bern"),
    ("billing_address_state", "State, province or county.", "BE"),
    ("billing_address_postal_code", "Postal code.", "3011"),
    (
        "billing_address_country",
        "Country, usually as a two-letter code.",
        "CH",
    ),
    ("tax_id", "Tax number, in any form.", "CHE-123.456.789"),
];

impl PartialSchema for ProfileChange {
    fn schema() -> RefOr<Schema> {
        let line = |about: &str, example: &str| {
            ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                .description(Some(about))
                .examples([example])
                .min_length(Some(1))
        };
        let email = line("E-mail address.", "billing@acme.example")
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
            .max_length(Some(MAX_EMAIL));
        let metadata = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
            .description(Some("Anything, as an object of at most 16 KiB of JSON."));
        let mut change = ObjectBuilder::new()
            .description(Some(
                "The fields of a customer. Fields that are not named stay as they are, null \
                 clears. A new customer needs a name or an e-mail address.",
            ))
            .property("email", email)
            .property("metadata", metadata)
            .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
        for (field, about, example) in LINES {
            change = change.property(field, line(about, example).max_length(Some(MAX_TEXT)));
        }
        RefOr::T(Schema::Object(change.build()))
    }
}

impl ToSchema for ProfileChange {
    fn name() -> std::borrow::Cow<'static, str> {
        "CustomerBody".into()
    }
}
