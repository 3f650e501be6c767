//! A customer as this dialect shows it, and what its requests say.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::billing::fact::Address;
use crate::domain::customer::profile::{Given, ProfileChange, given};
use crate::domain::customer::row::Customer;
use crate::domain::id::AppSlug;
use crate::domain::validate::FieldError;
use crate::http::input::Check;
use crate::pipeline::customers::SameEmail;

/// The path of this dialect.
pub(super) const PLACE: &str = "/api/customers";

/// The refusal for a customer who does not exist, was deleted or is another merchant's, and for a
/// malformed id.
pub(super) const NOT_FOUND: &str = "Customer not found or access denied";

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MerchantCustomer {
    #[schema(examples("cust_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    #[schema(examples("billing@acme.example"))]
    email: Option<String>,
    #[schema(examples("Acme Inc"))]
    name: Option<String>,
    user_id: Option<String>,
    billing_address_line1: Option<String>,
    billing_address_line2: Option<String>,
    billing_city: Option<String>,
    billing_postal_code: Option<String>,
    billing_country: Option<String>,
    tax_id: Option<String>,
    #[schema(examples("default"))]
    merchant_id: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(format = DateTime)]
    deleted_at: Option<String>,
}

impl MerchantCustomer {
    pub(super) fn of(app: &AppSlug, customer: Customer) -> Self {
        let contact = customer.derived.contact;
        let Address {
            line1,
            line2,
            city,
            state: _,
            postal_code,
            country,
        } = contact.address.unwrap_or_default();
        Self {
            id: customer.id.into(),
            email: contact.email,
            name: contact.name,
            user_id: customer.profile.user_id,
            billing_address_line1: line1,
            billing_address_line2: line2,
            billing_city: city,
            billing_postal_code: postal_code,
            billing_country: country,
            tax_id: customer.profile.tax_id,
            merchant_id: app.to_string(),
            created_at: customer.made_at.to_string(),
            updated_at: customer.updated_at.to_string(),
            deleted_at: customer.deleted_at.map(|at| at.to_string()),
        }
    }
}

/// The fields to set. Fields that are not named stay as they are, `null` clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = MerchantCustomerBody)]
pub(super) struct CustomerBody {
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 254, examples("billing@acme.example"))]
    pub(super) email: Given<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 255, examples("Acme Inc"))]
    name: Given<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 255, examples("u-17"))]
    user_id: Given<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 255, examples("Marktgasse 1"))]
    billing_address_line1: Given<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 255, examples("2nd floor"))]
    billing_address_line2: Given<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 255, examples("Bern"))]
    billing_city: Given<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 255, examples("3011"))]
    billing_postal_code: Given<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 255, examples("CH"))]
    billing_country: Given<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 255, examples("CHE-123.456.789"))]
    tax_id: Given<String>,
    /// Lets two customers have one e-mail address.
    dangerously_allow_same_email_for_different_customers: bool,
}

impl CustomerBody {
    /// Returns whether two customers may have one e-mail address.
    pub(super) fn same_email(&self) -> SameEmail {
        if self.dangerously_allow_same_email_for_different_customers {
            SameEmail::Allowed
        } else {
            SameEmail::Refused
        }
    }

    /// Returns whether it clears the e-mail address, which every customer here must have.
    pub(super) fn takes_email_away(&self) -> bool {
        let is_blank = |email: &str| email.trim().is_empty();
        matches!(&self.email, Some(email) if email.as_deref().is_none_or(is_blank))
    }
}

impl Check for CustomerBody {
    /// A missing address has a refusal of its own, which comes after these.
    fn field_errors(&self) -> Vec<FieldError> {
        let mut body = self.clone();
        if body.takes_email_away() {
            body.email = None;
        }
        let errors = ProfileChange::from(body).errors();
        let renamed = |error: FieldError| FieldError {
            field: field_name(&error.field).to_owned(),
            ..error
        };
        errors.into_iter().map(renamed).collect()
    }
}

impl From<CustomerBody> for ProfileChange {
    fn from(body: CustomerBody) -> Self {
        Self {
            email: body.email,
            name: body.name,
            user_id: body.user_id,
            billing_address_line1: body.billing_address_line1,
            billing_address_line2: body.billing_address_line2,
            billing_address_city: body.billing_city,
            billing_address_postal_code: body.billing_postal_code,
            billing_address_country: body.billing_country,
            tax_id: body.tax_id,
            ..Self::default()
        }
    }
}

/// The name that requests of this dialect have for a field of a [`ProfileChange`].
fn field_name(field: &str) -> &str {
    match field {
        "user_id" => "userId",
        "billing_address_line1" => "billingAddressLine1",
        "billing_address_line2" => "billingAddressLine2",
        "billing_address_city" => "billingCity",
        "billing_address_postal_code" => "billingPostalCode",
        "billing_address_country" => "billingCountry",
        "tax_id" => "taxId",
        same => same,
    }
}
