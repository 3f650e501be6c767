//! Changes to the profile that an admin sets for a customer.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::billing::fact::{Address, Contact};
use crate::domain::customer::row::Profile;
use crate::domain::validate::{self, FieldError};

/// A field of a change: `None` leaves the value, `Some(None)` clears it.
pub type Given<T> = Option<Option<T>>;

/// The fields that a request sets. Missing fields stay as they are, `null` clears.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileChange {
    /// Name of a person or company.
    #[serde(deserialize_with = "given")]
    pub name: Given<String>,
    /// E-mail address.
    #[serde(deserialize_with = "given")]
    pub email: Given<String>,
    /// The sender's own id of the customer; `stripe_cus_…` and the like link a billing account.
    #[serde(deserialize_with = "given")]
    pub external_id: Given<String>,
    /// The sender's id of a user.
    #[serde(deserialize_with = "given")]
    pub user_id: Given<String>,
    /// Telephone number, in any form.
    #[serde(deserialize_with = "given")]
    pub phone: Given<String>,
    /// Street and number.
    #[serde(deserialize_with = "given")]
    pub billing_address_line1: Given<String>,
    /// Suite, floor.
    #[serde(deserialize_with = "given")]
    pub billing_address_line2: Given<String>,
    /// City.
    #[serde(deserialize_with = "given")]
    pub billing_address_city: Given<String>,
    /// State, province or county.
    #[serde(deserialize_with = "given")]
    pub billing_address_state: Given<String>,
    /// Postal code.
    #[serde(deserialize_with = "given")]
    pub billing_address_postal_code: Given<String>,
    /// Country, usually as a two-letter code.
    #[serde(deserialize_with = "given")]
    pub billing_address_country: Given<String>,
    /// Tax number, in any form.
    #[serde(deserialize_with = "given")]
    pub tax_id: Given<String>,
    /// Anything, as a JSON object.
    #[serde(deserialize_with = "given")]
    pub metadata: Given<Value>,
}

/// Deserialises a field that is present, including `null`.
///
/// # Errors
/// When the field is neither `null` nor a `T`.
pub fn given<'de, D, T>(deserializer: D) -> Result<Given<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

impl ProfileChange {
    /// Returns the errors, one for each wrong field.
    pub fn errors(&self) -> Vec<FieldError> {
        let lines = [
            ("name", &self.name),
            ("external_id", &self.external_id),
            ("user_id", &self.user_id),
            ("phone", &self.phone),
            ("billing_address_line1", &self.billing_address_line1),
            ("billing_address_line2", &self.billing_address_line2),
            ("billing_address_city", &self.billing_address_city),
            ("billing_address_state", &self.billing_address_state),
            (
                "billing_address_postal_code",
                &self.billing_address_postal_code,
            ),
            ("billing_address_country", &self.billing_address_country),
            ("tax_id", &self.tax_id),
        ];
        let mut errors = Vec::new();
        let mut note = |field: &str, result: Result<(), String>| {
            if let Err(message) = result {
                errors.push(FieldError::new(field, message));
            }
        };
        for (field, value) in lines {
            if let Some(text) = value.iter().flatten().next() {
                note(field, validate::line(text).map(drop));
            }
        }
        if let Some(email) = self.email.iter().flatten().next() {
            note("email", validate::email(email).map(drop));
        }
        if let Some(metadata) = self.metadata.iter().flatten().next() {
            note("metadata", validate::metadata(metadata).map(drop));
        }
        errors
    }

    /// Returns the profile after this change. The address is set as a whole, so fields that a
    /// change leaves alone come from the shown address, which may be billing's.
    pub fn apply(&self, profile: &Profile, shown: &Contact) -> Profile {
        let mut changed = profile.clone();
        set(&mut changed.name, &self.name);
        set(&mut changed.email, &self.email);
        set(&mut changed.external_id, &self.external_id);
        set(&mut changed.user_id, &self.user_id);
        set(&mut changed.phone, &self.phone);
        set(&mut changed.tax_id, &self.tax_id);
        if let Some(metadata) = &self.metadata {
            changed.metadata = metadata
                .as_ref()
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
        }
        let before = shown.address.clone().unwrap_or_default();
        let address = self.address(&before);
        if address != before {
            changed.address = Some(address).filter(|it| *it != Address::default());
        }
        changed
    }

    fn address(&self, before: &Address) -> Address {
        let mut address = before.clone();
        set(&mut address.line1, &self.billing_address_line1);
        set(&mut address.line2, &self.billing_address_line2);
        set(&mut address.city, &self.billing_address_city);
        set(&mut address.state, &self.billing_address_state);
        set(&mut address.postal_code, &self.billing_address_postal_code);
        set(&mut address.country, &self.billing_address_country);
        address
    }
}

#[expect(clippy::ref_option, reason = "fields are passed as they are")]
fn set<T: Clone>(field: &mut Option<T>, given: &Given<T>) {
    if let Some(value) = given {
        field.clone_from(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(json: Value) -> ProfileChange {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn only_what_is_given_changes_and_null_clears() {
        let profile = Profile {
            name: Some("Acme".to_owned()),
            phone: Some("1".to_owned()),
            ..Profile::default()
        };
        let changed = change(json!({"name": "Acme Inc", "phone": null, "metadata": {"a": 1}}))
            .apply(&profile, &Contact::default());
        assert_eq!(changed.name.as_deref(), Some("Acme Inc"));
        assert_eq!(changed.phone, None);
        assert_eq!(changed.metadata["a"], 1);
        assert_eq!(
            ProfileChange::default().apply(&profile, &Contact::default()),
            profile
        );
    }

    #[test]
    fn a_partial_address_completes_the_shown_one() {
        let address = Address {
            city: Some("Bern".to_owned()),
            ..Address::default()
        };
        let shown = Contact {
            address: Some(address),
            ..Contact::default()
        };
        let changed = change(json!({"billing_address_country": "CH"}))
            .apply(&Profile::default(), &shown)
            .address
            .unwrap();
        assert_eq!(changed.city.as_deref(), Some("Bern"));
        assert_eq!(changed.country.as_deref(), Some("CH"));
        let same = change(json!({"billing_address_city": "Bern"}));
        assert_eq!(
            same.apply(&Profile::default(), &shown).address,
            None,
            "billing's word stays"
        );
    }

    #[test]
    fn each_wrong_field_is_named() {
        let wrong = change(json!({
            "name": "", "email": "nobody", "phone": "a\nb", "metadata": [], "tax_id": "fine",
            "user_id": null,
        }));
        let errors = wrong.errors();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["name", "phone", "email", "metadata"]);
    }
}
