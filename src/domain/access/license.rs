//! Licences: keys for products that a customer bought.
//!
//! A licence is valid only while its customer's status allows it: suspending or expiring a
//! customer, by an admin or by a billing event, suspends all its licences at once. A frozen
//! customer keeps what it has, so its licences stay valid, and the answer tells since when it is
//! frozen: a product with versions can then refuse later ones.
//!
//! The key that the customer enters is no part of it: see [`license_key`](super::license_key). A key
//! opens nothing here; checking one requires an admin token.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::customer::row::{Customer, Status};
use crate::domain::id::{CustomerId, LicenseId};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// A licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// The id in the API.
    pub id: LicenseId,
    /// The row that the licence was given to. It counts for the customer that this row belongs to
    /// now.
    pub customer: CustomerId,
    /// The product, in the seller's words.
    pub product: String,
    /// Any data of the seller's; stored but not interpreted.
    pub metadata: Map<String, Value>,
    /// The time of creation, by the local clock.
    pub created_at: Timestamp,
    /// The time from which it is no longer valid.
    pub expires_at: Option<Timestamp>,
    /// Set while it is revoked.
    pub revoked: Option<Revocation>,
}

/// The revocation of a licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The time of revocation, by the local clock.
    pub at: Timestamp,
    /// The reason that the admin gave.
    pub reason: Option<String>,
}

/// The status of a licence by itself, regardless of its customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LicenseStatus {
    /// Neither revoked nor expired.
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

/// The stable code of the answer to "is this licence valid?"
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LicenseCode {
    /// The licence is valid.
    Ok,
    /// No licence has this key.
    LicenseUnknown,
    /// An admin took it back.
    LicenseRevoked,
    /// Its time is over.
    LicenseExpired,
    /// Its customer is marked as deleted.
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
    /// True if the licence is valid.
    pub fn is_valid(self) -> bool {
        self == Self::Ok
    }
}

impl License {
    /// Returns the status of the licence by itself.
    pub fn status(&self, now: Timestamp) -> LicenseStatus {
        if self.revoked.is_some() {
            LicenseStatus::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            LicenseStatus::Expired
        } else {
            LicenseStatus::Active
        }
    }

    /// Judges whether the licence is valid for `customer`, to whom its row belongs now. The code
    /// names the first obstacle, that of the licence before that of the customer.
    pub fn judge(&self, customer: &Customer, now: Timestamp) -> LicenseCode {
        match self.status(now) {
            LicenseStatus::Revoked => return LicenseCode::LicenseRevoked,
            LicenseStatus::Expired => return LicenseCode::LicenseExpired,
            LicenseStatus::Active => {}
        }
        if customer.is_gone() {
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
    fn the_code_names_the_first_obstacle() {
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
