//! Licences: keys for products that a customer bought.
//!
//! A licence is valid only while its customer's status allows it: suspending or expiring a
//! customer, by an admin or by a billing event, suspends all its licences at once. A frozen
//! customer keeps what it has, so its licences stay valid, and the answer tells since when it is
//! frozen: a product with versions can then refuse later ones.
//!
//! A licence that was bought, because a plan names its product, is moreover valid only while its
//! subscription or purchase gives it: as long as it would give packages.
//!
//! The key that the customer enters is no part of it: see [`license_key`](super::license_key). A key
//! opens nothing here; checking one requires an admin token.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::access::plan::{Entitlement, Plans, license_of, licenses};
use crate::domain::customer::row::{Customer, Status};
use crate::domain::id::{CustomerId, LicenseId, ObjectKey};
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
    /// How many activations it may have at once, where an admin has said it. It counts before what a
    /// plan says; `None`: as that says.
    pub activations_limit: Option<u32>,
    /// Set while it is revoked.
    pub revoked: Option<Revocation>,
    /// What it was bought with; `None` for one that an admin issued.
    pub source: Option<LicenseSource>,
}

/// What a licence was bought with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseSource {
    /// The subscription, or the document of the payment of a purchase.
    pub object: ObjectKey,
    /// The id of the plan that names the product.
    pub plan: String,
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
    /// What it was bought with does not give it now: that failed, is paused or held, has ended
    /// without leaving anything, or includes it no more.
    LicenseNotGranted,
    /// Its customer is marked as deleted.
    CustomerDeleted,
    /// Its customer is suspended.
    CustomerSuspended,
    /// Its customer is expired.
    CustomerExpired,
    /// It is valid, but not activated where it is used; only of one whose activations are limited.
    ActivationMissing,
}

words!(LicenseCode, all {
    Ok = "ok",
    LicenseUnknown = "license_unknown",
    LicenseRevoked = "license_revoked",
    LicenseExpired = "license_expired",
    LicenseNotGranted = "license_not_granted",
    CustomerDeleted = "customer_deleted",
    CustomerSuspended = "customer_suspended",
    CustomerExpired = "customer_expired",
    ActivationMissing = "activation_missing",
});

impl LicenseCode {
    /// True if the licence is valid.
    pub fn is_valid(self) -> bool {
        self == Self::Ok
    }

    /// Returns what it says, as the end of a sentence about a licence.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ok => "is valid",
            Self::LicenseUnknown => "is not known",
            Self::LicenseRevoked => "was revoked",
            Self::LicenseExpired => "has expired",
            Self::LicenseNotGranted => "is not given now by what it was bought with",
            Self::CustomerDeleted => "belongs to a customer who was deleted",
            Self::CustomerSuspended => "belongs to a customer who is suspended",
            Self::CustomerExpired => "belongs to a customer who has expired",
            Self::ActivationMissing => "is not active there",
        }
    }
}

impl License {
    /// True if it is for this product, or any is asked for.
    pub fn is_for(&self, product: Option<&str>) -> bool {
        product.is_none_or(|product| product == self.product)
    }

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

    /// True if it may be deleted. One that was bought would be made anew, with another key, at the next
    /// look at its source: it is revoked instead.
    pub fn may_be_deleted(&self) -> bool {
        self.source.is_none()
    }

    /// Returns the entitlement by which its source gives it to a customer now; `None` also for a
    /// licence that an admin issued.
    pub fn given<'c>(&self, customer: &'c Customer, plans: &Plans) -> Option<&'c Entitlement> {
        let source = self.source.as_ref()?;
        let is_one = |it: &&Entitlement| {
            let mut licenses = licenses(plans, it).iter();
            it.source == source.object && licenses.any(|it| it.product == self.product)
        };
        // One without a date reaches further than one with.
        let given = customer.derived.entitlements.iter().filter(is_one);
        given.max_by_key(|it| it.until.unwrap_or(Timestamp::MAX))
    }

    /// Returns how many activations it may have at once, of the customer to whom its row belongs now;
    /// `None`: as many as are wanted. Where several plans give it, the widest counts; one that none
    /// gives now has the limit of the plan with which it was made.
    pub fn activations_allowed(&self, customer: &Customer, plans: &Plans) -> Option<u32> {
        if self.activations_limit.is_some() {
            return self.activations_limit;
        }
        let source = self.source.as_ref()?;
        let bought = customer.derived.entitlements.iter();
        let bought = bought.filter(|it| it.source == source.object);
        let given = bought.flat_map(|it| licenses(plans, it));
        let given = given.filter(|it| it.product == self.product);
        let provider = source.object.scope.provider;
        let made_with = license_of(plans, provider, &source.plan, &self.product);
        let widest = given
            .map(|it| it.activations_limit.unwrap_or(u32::MAX))
            .max();
        let limit = widest.or_else(|| made_with.and_then(|it| it.activations_limit));
        limit.filter(|limit| *limit != u32::MAX)
    }

    /// Judges whether the licence is valid for `customer`, to whom its row belongs now, under the
    /// plans of what the customer has bought. The code names the first obstacle, that of the licence
    /// itself before that of the customer, and that before what it was bought with.
    pub fn judge(&self, customer: &Customer, plans: &Plans, now: Timestamp) -> LicenseCode {
        match self.status(now) {
            LicenseStatus::Revoked => return LicenseCode::LicenseRevoked,
            LicenseStatus::Expired => return LicenseCode::LicenseExpired,
            LicenseStatus::Active => {}
        }
        if customer.is_gone() {
            return LicenseCode::CustomerDeleted;
        }
        match customer.derived.status {
            Status::Active | Status::Frozen { .. } => {
                if self.source.is_some() && self.given(customer, plans).is_none() {
                    LicenseCode::LicenseNotGranted
                } else {
                    LicenseCode::Ok
                }
            }
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
            activations_limit: None,
            revoked: None,
            source: None,
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
            assert_eq!(
                license.judge(customer, &Plans::new(), at(10)),
                code,
                "{description}"
            );
        }
        assert_eq!(
            expiring.judge(&healthy, &Plans::new(), at(9)),
            Code::Ok,
            "a moment before its end"
        );
    }
}
