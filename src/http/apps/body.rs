//! Bodies of requests about the customers of an app. Each of these has an e-mail address.

use std::borrow::Cow;

use serde::Deserialize;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::customer::profile::ProfileChange;
use crate::domain::validate::{FieldError, MAX_EMAIL};
use crate::http::input::Check;

/// The fields of a new customer.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct NewCustomer(pub(super) ProfileChange);

/// The fields of a customer to change.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct CustomerUpdate(pub(super) ProfileChange);

impl Check for NewCustomer {
    fn field_errors(&self) -> Vec<FieldError> {
        let missing = self.0.email.iter().flatten().next().is_none();
        let missing = missing.then(|| FieldError::new("email", "is missing"));
        self.0.errors().into_iter().chain(missing).collect()
    }
}

impl Check for CustomerUpdate {
    fn field_errors(&self) -> Vec<FieldError> {
        let cleared = self.0.email == Some(None);
        let cleared = cleared.then(|| FieldError::new("email", "cannot be cleared"));
        self.0.errors().into_iter().chain(cleared).collect()
    }
}

/// The schema of a [`ProfileChange`] whose e-mail address is never null.
fn with_email(about: &str, required: &[&str]) -> RefOr<Schema> {
    let mut schema = ProfileChange::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        let email = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
            .description(Some("E-mail address."))
            .examples(["billing@acme.example"])
            .min_length(Some(1))
            .max_length(Some(MAX_EMAIL))
            .build();
        let email = RefOr::T(Schema::Object(email));
        object.properties.insert("email".to_owned(), email);
        object.required = required.iter().map(|&name| name.to_owned()).collect();
        object.description = Some(about.to_owned());
    }
    schema
}

impl PartialSchema for NewCustomer {
    fn schema() -> RefOr<Schema> {
        with_email("The fields of a new customer.", &["email"])
    }
}

impl ToSchema for NewCustomer {
    fn name() -> Cow<'static, str> {
        "NewAppCustomer".into()
    }
}

impl PartialSchema for CustomerUpdate {
    fn schema() -> RefOr<Schema> {
        let about = "The fields of a customer. Fields that are not named stay as they are, null \
                     clears, but for the e-mail address.";
        with_email(about, &[])
    }
}

impl ToSchema for CustomerUpdate {
    fn name() -> Cow<'static, str> {
        "AppCustomerChange".into()
    }
}
