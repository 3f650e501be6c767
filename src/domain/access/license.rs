//! Licences: keys that stand for a product which a customer bought.
//!
//! A licence is valid only while its customer's status allows: who suspends or expires a customer
//! suspends all its licences with one word, and a billing event does the same. A frozen customer
//! keeps what it has, so its licences stay valid, and an answer says that it is frozen and since
//! when: a product that has versions can refuse those that came later.
//!
//! Keys are kept as they are. They are what was sold, not what guards the seller: support looks
//! them up, lists show them, and a customer who lost one gets the same again. A key opens nothing
//! here; who asks whether it is valid shows an admin token.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::customer::row::{Customer, Status};
use crate::domain::id::{CustomerId, LicenseId};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// How many random bytes make a key.
pub const KEY_BYTES: usize = 25;
/// Characters between two hyphens of a made key.
const GROUP: usize = 5;
/// What made keys are written with: digits and capitals without I, L, O and U, which are read as
/// others or make words. <https://www.crockford.com/base32.html>
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// Names it in the API.
    pub id: LicenseId,
    /// The row that it was given to. It counts for the customer that this row belongs to now.
    pub customer: CustomerId,
    /// What it is for, in the seller's words.
    pub product: String,
    /// What the customer types in; unique within the app.
    pub key: String,
    /// Anything that the seller wants kept; not read here.
    pub metadata: Map<String, Value>,
    /// When it was made, by the local clock.
    pub created_at: Timestamp,
    /// From when it is no longer valid.
    pub expires_at: Option<Timestamp>,
    /// Set while an admin has taken it back.
    pub revoked: Option<Revocation>,
}

/// How a licence was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// By the local clock.
    pub at: Timestamp,
    /// The admin's words.
    pub reason: Option<String>,
}

/// The key of these random bytes: five groups of five characters, 125 random bits.
pub fn made_key(random: [u8; KEY_BYTES]) -> String {
    let mut key = String::with_capacity(KEY_BYTES + KEY_BYTES / GROUP);
    for (index, byte) in random.into_iter().enumerate() {
        if index > 0 && index % GROUP == 0 {
            key.push('-');
        }
        // 32 divides 256, so every character is as likely as another.
        key.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    key
}

/// What a licence is by itself, whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LicenseStatus {
    /// Neither of the others.
    Active,
    /// An admin took it back.
    Revoked,
    /// Its time is over.
    Expired,
}

words!(LicenseStatus, or "a status (active, revoked or expired)" {
    Active = "active",
    Revoked = "revoked",
    Expired = "expired",
});

/// The stable code of the answer to "is this licence valid?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LicenseCode {
    /// Yes.
    Ok,
    /// No licence has this key.
    LicenseUnknown,
    /// An admin took it back.
    LicenseRevoked,
    /// Its time is over.
    LicenseExpired,
    /// Its customer was deleted softly.
    CustomerDeleted,
    /// Its customer is suspended.
    CustomerSuspended,
    /// Its customer is expired.
    CustomerExpired,
}

words!(LicenseCode, all {
    Ok = "ok",
    LicenseUnknown = "license_unknown",
    LicenseRevoked = "license_revoked",
    LicenseExpired = "license_expired",
    CustomerDeleted = "customer_deleted",
    CustomerSuspended = "customer_suspended",
    CustomerExpired = "customer_expired",
});

impl LicenseCode {
    /// Whether it means yes.
    pub fn is_valid(self) -> bool {
        self == Self::Ok
    }
}

impl License {
    /// What it is by itself.
    pub fn status(&self, now: Timestamp) -> LicenseStatus {
        if self.revoked.is_some() {
            LicenseStatus::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            LicenseStatus::Expired
        } else {
            LicenseStatus::Active
        }
    }

    /// Whether it is valid in this customer's hands: the one that its row belongs to now. The
    /// code names the first thing that stands in the way, the licence before the customer.
    pub fn judge(&self, customer: &Customer, now: Timestamp) -> LicenseCode {
        match self.status(now) {
            LicenseStatus::Revoked => return LicenseCode::LicenseRevoked,
            LicenseStatus::Expired => return LicenseCode::LicenseExpired,
            LicenseStatus::Active => {}
        }
        if customer.deleted_at.is_some() {
            return LicenseCode::CustomerDeleted;
        }
        match customer.derived.status {
            Status::Active | Status::Frozen { .. } => LicenseCode::Ok,
            Status::Suspended => LicenseCode::CustomerSuspended,
            Status::Expired => LicenseCode::CustomerExpired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LicenseCode as Code;
    use super::*;

    #[test]
    fn a_made_key_is_five_groups_of_unmistakable_characters() {
        let mut random = [0; KEY_BYTES];
        for (index, byte) in (0_u8..).zip(random.iter_mut()) {
            *byte = index.wrapping_mul(11);
        }
        assert_eq!(made_key(random), "0BP1C-Q2DR3-ES4FT-5GV6H-W7JX8");
        assert_eq!(made_key([255; KEY_BYTES]), "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ");
    }

    #[test]
    fn the_code_names_the_first_thing_that_stands_in_the_way() {
        let at = Timestamp::from_nanos;
        let id = |hex: &str| format!("cust_{hex:0>32}").parse::<CustomerId>().unwrap();
        let healthy = Customer::new(id("1"), None, at(0));
        let with = |status| {
            let mut customer = healthy.clone();
            customer.derived.status = status;
            customer
        };
        let deleted = Customer {
            deleted_at: Some(at(5)),
            ..with(Status::Suspended)
        };
        let license = License {
            id: format!("lic_{:0>32}", "1").parse().unwrap(),
            customer: id("1"),
            product: "Tool".to_owned(),
            key: "K".to_owned(),
            metadata: Map::new(),
            created_at: at(0),
            expires_at: None,
            revoked: None,
        };
        let expiring = License {
            expires_at: Some(at(10)),
            ..license.clone()
        };
        let revoked = License {
            revoked: Some(Revocation {
                at: at(1),
                reason: None,
            }),
            ..expiring.clone()
        };
        let suspended = with(Status::Suspended);
        let cases = [
            ("a healthy customer", &license, &healthy, Code::Ok),
            (
                "its last moment is over",
                &expiring,
                &healthy,
                Code::LicenseExpired,
            ),
            (
                "revoked comes before expired",
                &revoked,
                &healthy,
                Code::LicenseRevoked,
            ),
            (
                "the licence comes before the customer",
                &revoked,
                &suspended,
                Code::LicenseRevoked,
            ),
            (
                "a suspended customer",
                &license,
                &suspended,
                Code::CustomerSuspended,
            ),
            (
                "an expired customer",
                &license,
                &with(Status::Expired),
                Code::CustomerExpired,
            ),
            (
                "a frozen customer",
                &license,
                &with(Status::Frozen { at: at(3) }),
                Code::Ok,
            ),
            (
                "a deleted customer",
                &license,
                &deleted,
                Code::CustomerDeleted,
            ),
        ];
        for (description, license, customer, code) in cases {
            assert_eq!(license.judge(customer, at(10)), code, "{description}");
        }
        assert_eq!(
            expiring.judge(&healthy, at(9)),
            Code::Ok,
            "a moment before its end"
        );
    }
}
