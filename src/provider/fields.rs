//! Reading fields by their place in a payload.
//!
//! A place is written as the providers' pages write it, `items.data` or
//! `parent.subscription_details.subscription`, so that the code reads like the table of API
//! versions it stands for, and an error can name it. Null and absent are the same, but for
//! [`names`](Fields::names).

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{MAX_MEMBERS, is_cut, is_read};
use super::metadata::{self, MAX_ID};
use super::reading::ReadError;
use crate::domain::billing::fact::{Address, Contact};
use crate::domain::time::Timestamp;

/// The longest text for people, in characters. Both providers allow a few hundred; customer lists
/// show every one of them.
const MAX_TEXT: usize = 1024;

/// The longest e-mail address in bytes; Stripe accepts 512 characters, RFC 5321 some 320.
const MAX_EMAIL: usize = 512;

/// An object of a payload and where it stands.
pub(super) struct Fields<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Fields<'a> {
    pub(super) fn new(value: &'a Value, path: impl Into<String>) -> Self {
        Self {
            value,
            path: path.into(),
        }
    }

    /// The whole object.
    pub(super) fn whole(&self) -> &'a Value {
        self.value
    }

    /// True if there is a field of this name, be it null.
    pub(super) fn names(&self, name: &str) -> bool {
        debug_assert!(
            is_read(name),
            "`{name}` is not among the fields that are kept"
        );
        self.value.get(name).is_some()
    }

    /// The value at a place; `None` if it is null or not there.
    pub(super) fn at(&self, place: &str) -> Option<&'a Value> {
        let mut value = self.value;
        for name in place.split('.') {
            debug_assert!(
                is_read(name),
                "`{name}` is not among the fields that are kept"
            );
            value = value.get(name)?;
        }
        Some(value).filter(|value| !value.is_null())
    }

    /// An id, or the id of an expanded object, at the first of the places that has one.
    pub(super) fn id(&self, places: &[&str]) -> Result<Option<&'a str>, ReadError> {
        for place in places {
            let Some(value) = self.at(place) else {
                continue;
            };
            let id = if value.is_object() {
                value.get("id")
            } else {
                Some(value)
            };
            let text = id
                .and_then(Value::as_str)
                .ok_or_else(|| self.malformed(place, "an id"))?;
            if !text.is_empty() {
                return self.key(place, text).map(Some);
            }
        }
        Ok(None)
    }

    /// Like [`id`](Self::id); missing, it is named by the first place.
    pub(super) fn need_id(&self, places: &[&str]) -> Result<&'a str, ReadError> {
        self.id(places)?.ok_or_else(|| self.missing(places[0]))
    }

    /// A word of some list, such as a status.
    pub(super) fn word(&self, place: &str) -> Result<Option<&'a str>, ReadError> {
        let Some(value) = self.at(place) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or_else(|| self.malformed(place, "a text"))?;
        if text.is_empty() {
            Ok(None)
        } else {
            self.key(place, text).map(Some)
        }
    }

    /// Like [`word`](Self::word), of a field that has to be there.
    pub(super) fn need_word(&self, place: &str) -> Result<&'a str, ReadError> {
        self.word(place)?.ok_or_else(|| self.missing(place))
    }

    /// A time in Stripe's way: whole seconds since 1970. A date too far to be kept is the end of the
    /// range.
    pub(super) fn seconds(&self, place: &str) -> Result<Option<Timestamp>, ReadError> {
        let Some(value) = self.at(place) else {
            return Ok(None);
        };
        let time = value.as_i64().and_then(Timestamp::from_far_seconds);
        time.map(Some)
            .ok_or_else(|| self.malformed(place, "a time in seconds since 1970"))
    }

    /// A time in Paddle's way: RFC 3339. A date too far to be kept is the end of the range.
    pub(super) fn instant(&self, place: &str) -> Result<Option<Timestamp>, ReadError> {
        let Some(value) = self.at(place) else {
            return Ok(None);
        };
        let time = value.as_str().and_then(Timestamp::parse_far);
        time.map(Some)
            .ok_or_else(|| self.malformed(place, "an RFC 3339 time"))
    }

    /// True or false; false if it is not there.
    pub(super) fn flag(&self, place: &str) -> Result<bool, ReadError> {
        let Some(value) = self.at(place) else {
            return Ok(false);
        };
        value
            .as_bool()
            .ok_or_else(|| self.malformed(place, "true or false"))
    }

    /// A whole number.
    pub(super) fn integer(&self, place: &str) -> Result<Option<i64>, ReadError> {
        let Some(value) = self.at(place) else {
            return Ok(None);
        };
        value
            .as_i64()
            .map(Some)
            .ok_or_else(|| self.malformed(place, "a whole number"))
    }

    /// An amount in Paddle's way: a text of digits, in the currency's smallest unit. `None` for
    /// anything else, for amounts only sum up what other fields say.
    pub(super) fn amount(&self, place: &str) -> Option<i64> {
        self.at(place)?.as_str()?.parse().ok()
    }

    /// The object at a place; `None` if there is none.
    pub(super) fn object(&self, place: &str) -> Option<Self> {
        let value = self.at(place).filter(|value| value.is_object())?;
        Some(Self::new(value, format!("{}.{place}", self.path)))
    }

    /// The members of a list, without those beyond the bound, see [`is_cut`](Self::is_cut); `None`
    /// if there is no list.
    pub(super) fn list(&self, place: &str) -> Result<Option<Vec<Fields<'a>>>, ReadError> {
        let Some(value) = self.at(place) else {
            return Ok(None);
        };
        let values = value
            .as_array()
            .ok_or_else(|| self.malformed(place, "a list"))?;
        let member = |(index, value)| Fields::new(value, format!("{}.{place}[{index}]", self.path));
        let members = values.iter().take(MAX_MEMBERS).enumerate();
        Ok(Some(members.map(member).collect()))
    }

    /// Reports whether a list has more members than are read.
    pub(super) fn is_cut(&self, place: &str) -> bool {
        let members = self.at(place).and_then(Value::as_array);
        members.is_some_and(|members| is_cut(members))
    }

    /// A text for people, trimmed, and cut where no name or street goes on. What is empty or no
    /// text is `None`: a name of an unexpected kind is no reason to refuse the rest.
    pub(super) fn text(&self, place: &str) -> Option<String> {
        let text: String = self
            .at(place)?
            .as_str()?
            .chars()
            .filter(|char| !char.is_control())
            .take(MAX_TEXT)
            .collect();
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// The texts and whole numbers of the seller's own data at a place, as texts.
    pub(super) fn metadata(&self, place: &str) -> BTreeMap<String, String> {
        let members = self.at(place).and_then(Value::as_object);
        let members = members.into_iter().flatten();
        let members =
            members.filter_map(|(name, value)| Some((name.clone(), metadata::id(value)?)));
        members.collect()
    }

    /// An e-mail address as the provider wrote it, trimmed. `None` also for texts that are too
    /// long to be one.
    pub(super) fn email(&self, place: &str) -> Option<String> {
        self.text(place).filter(|email| email.len() <= MAX_EMAIL)
    }

    /// Stripe's postal address. `None` if all of it is empty.
    pub(super) fn address(&self, place: &str) -> Option<Address> {
        let fields = Fields::new(self.at(place)?, String::new());
        let address = Address {
            line1: fields.text("line1"),
            line2: fields.text("line2"),
            city: fields.text("city"),
            state: fields.text("state"),
            postal_code: fields.text("postal_code"),
            country: fields.text("country"),
        };
        Some(address).filter(|address| *address != Address::default())
    }

    /// The error for a field that has to be there.
    pub(super) fn missing(&self, place: &str) -> ReadError {
        ReadError::FieldMissing {
            path: format!("{}.{place}", self.path),
        }
    }

    /// The error for a field that cannot be read.
    pub(super) fn malformed(&self, place: &str, wanted: &'static str) -> ReadError {
        ReadError::FieldMalformed {
            path: format!("{}.{place}", self.path),
            wanted,
        }
    }

    /// Checks a text that becomes a key. Ids are not only `cus_…`: sellers could choose the ids
    /// of plans, blanks and all.
    fn key(&self, place: &str, text: &'a str) -> Result<&'a str, ReadError> {
        if text.len() <= MAX_ID && !text.chars().any(char::is_control) {
            Ok(text)
        } else {
            Err(self.malformed(
                place,
                "a text of at most 255 bytes without control characters",
            ))
        }
    }
}

/// A contact that says something; `None` if all of it is empty.
pub(super) fn said(contact: Contact) -> Option<Contact> {
    Some(contact).filter(|contact| *contact != Contact::default())
}

#[cfg(test)]
mod tests {
    use crate::provider::fields::Fields;
    use crate::provider::json;

    #[test]
    fn texts_and_whole_numbers_are_kept_under_any_name() {
        let long = "x".repeat(256);
        let text = format!(
            r#"{{"metadata": {{"user_id": " 42 ", "n": 7, "big": 18446744073709551615, "half": 1.5,
                "yes": true, "no": null, "list": ["a"], "deep": {{"user_id": "43"}}, "empty": "",
                "two\nlines": "a\nb", "long": "{long}"}}, "custom_data": ["user_id"]}}"#
        );
        let value = json::parse(&text).unwrap();
        let fields = Fields::new(&value, "data");
        let kept = fields.metadata("metadata");
        let kept: Vec<(&str, &str)> = kept.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            kept,
            [
                ("big", "18446744073709551615"),
                ("n", "7"),
                ("user_id", "42")
            ]
        );
        assert!(fields.metadata("custom_data").is_empty());
    }
}
