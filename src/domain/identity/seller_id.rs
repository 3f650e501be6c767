//! The seller's own id of a billing account.
//!
//! A shop that has users of its own writes their ids into the objects that it creates at the
//! provider, under a key of its choice. That id says who somebody is without any guess, so it links
//! accounts before their addresses do.
//!
//! Facts carry all that a payload says, and the app's settings choose when the fact is joined: the
//! readers of payloads know no settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::id::ObjectKey;

/// Where the seller's own id is found. Missing fields have their defaults; unknown ones are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// The key in Stripe's `metadata` and Paddle's `custom_data`, such as `user_id`.
    pub metadata_key: Option<String>,
    /// True to read the `client_reference_id` of Stripe's Checkout sessions too. In the address of
    /// a payment link anybody can write it.
    pub client_reference_id: bool,
}

/// What one event says that can be the seller's own id of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SellerIdFact {
    /// The account.
    pub account: ObjectKey,
    /// The subscription that says it, if one does.
    pub subscription: Option<ObjectKey>,
    /// The texts and whole numbers in `metadata` (Stripe) or `custom_data` (Paddle).
    pub metadata: BTreeMap<String, String>,
    /// The id that the account had in the system it was imported from (Paddle's
    /// `import_meta.external_id`).
    pub imported_as: Option<String>,
    /// Stripe's `client_reference_id` of a Checkout session.
    pub client_reference: Option<String>,
}

impl Identity {
    /// True if accounts are linked by the seller's own id at all.
    pub const fn is_on(&self) -> bool {
        self.metadata_key.is_some() || self.client_reference_id
    }

    /// Chooses the seller's own id from what an event says.
    pub fn seller_id<'a>(&self, fact: &'a SellerIdFact) -> Option<&'a str> {
        let key = self.metadata_key.as_ref();
        let named = key.and_then(|key| {
            let imported = fact.imported_as.as_ref();
            fact.metadata.get(key).or(imported)
        });
        let referenced = fact.client_reference.as_ref();
        let referenced = referenced.filter(|_| self.client_reference_id);
        named.or(referenced).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{Kind, Scope};

    #[test]
    fn the_settings_choose_and_metadata_comes_first() {
        let scope = Scope {
            provider: "stripe".parse().unwrap(),
            livemode: true,
            connected: None,
        };
        let fact = SellerIdFact {
            account: scope.key(Kind::Account, "cus_1"),
            subscription: None,
            metadata: BTreeMap::from([("user_id".to_owned(), "42".to_owned())]),
            imported_as: Some("old_42".to_owned()),
            client_reference: Some("typed".to_owned()),
        };
        let identity = |key: Option<&str>, client_reference_id| Identity {
            metadata_key: key.map(str::to_owned),
            client_reference_id,
        };
        for (identity, expected) in [
            (identity(None, false), None),
            (identity(None, true), Some("typed")),
            (identity(Some("user_id"), true), Some("42")),
            (identity(Some("other"), true), Some("old_42")),
        ] {
            assert_eq!(identity.seller_id(&fact), expected, "{identity:?}");
        }
        let bare = SellerIdFact {
            imported_as: None,
            ..fact
        };
        assert_eq!(identity(Some("other"), false).seller_id(&bare), None);
        assert_eq!(
            identity(Some("other"), true).seller_id(&bare),
            Some("typed")
        );
    }
}
