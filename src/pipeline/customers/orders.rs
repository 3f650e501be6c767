//! Orders about customers, their results and their errors.

use super::find::{CustomerDetails, FindError};
use crate::domain::access::token::TokenText;
use crate::domain::customer::act::{ActError, FreezeOrder};
use crate::domain::customer::profile::ProfileChange;
use crate::domain::customer::row::Customer;
use crate::domain::id::CustomerId;
use crate::domain::precondition::Stale;
use crate::domain::validate::FieldError;
use crate::pipeline::package_texts::PackageTextError;
use crate::random::RandomError;
use crate::store::{Granted, StoreError};

/// Why a customer was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    /// The order says something that is not allowed.
    #[error("the order has fields that are not right")]
    Invalid {
        /// The faults, field by field.
        errors: Vec<FieldError>,
    },
    /// Another customer has the e-mail address.
    #[error("another customer has this e-mail address: {by}")]
    EmailTaken {
        /// Which one.
        by: CustomerId,
    },
    /// Another customer, or one of its billing accounts, has the external id.
    #[error("another customer has this external id: {by}")]
    ExternalIdTaken {
        /// Which one.
        by: CustomerId,
    },
    /// The external id and the e-mail address name two customers.
    #[error("the external id and the e-mail address do not name one customer")]
    IdentityConflict {
        /// The customer with the external id; `None` if the one with the address has another id.
        of_id: Option<CustomerId>,
        /// The customer with the e-mail address.
        of_email: CustomerId,
    },
    /// No billing account of this customer, or none at all, has the id.
    #[error("there is no such billing account")]
    NoAccount {
        /// Why that is, and what would help.
        detail: &'static str,
    },
    /// Several billing accounts have the id.
    #[error("several billing accounts have this id")]
    AccountAmbiguous,
    /// The customer cannot be worked on.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The customer has changed since it was read.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// No id or token could be drawn.
    #[error("no id or token could be made")]
    Random(#[from] RandomError),
}

impl From<PackageTextError> for CustomerError {
    fn from(error: PackageTextError) -> Self {
        match error {
            PackageTextError::Invalid { errors } => Self::Invalid { errors },
            PackageTextError::Store(source) => Self::Store(source),
        }
    }
}

impl From<FindError> for CustomerError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Act(source) => Self::Act(source),
            FindError::Store(source) => Self::Store(source),
        }
    }
}

/// A customer that was just made.
#[derive(Debug)]
pub struct Created {
    /// The customer.
    pub customer: Customer,
    /// Everything that is granted to it already, through its billing accounts.
    pub granted: Granted,
    /// Its first access token, for the one answer that shows it.
    pub token: TokenText,
}

/// The outcome of get-or-create.
#[derive(Debug)]
pub enum GotOrCreated {
    /// It was there.
    Got(Box<CustomerDetails>),
    /// It was made.
    Created(Box<Created>),
}

/// A customer after an act, as the transaction of the act left it.
#[derive(Debug)]
pub struct Acted {
    /// The customer.
    pub customer: Customer,
    /// Everything that is granted to it.
    pub granted: Granted,
    /// The act changed something.
    pub changed: bool,
}

impl Acted {
    /// Returns the external id that is shown.
    pub const fn external_id(&self) -> Option<&String> {
        self.customer.derived.external_id.as_ref()
    }
}

/// An act of an admin on a customer's access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// No access for now, with the admin's words.
    Suspend(Option<String>),
    /// Access again.
    Reactivate,
    /// Access to fixed versions.
    Freeze(FreezeOrder),
    /// No access, with the admin's words.
    Expire(Option<String>),
}

/// The part of a deleted customer that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Its row stays, with the time of the deletion.
    Soft,
    /// Nothing but what keeps later events from reviving it.
    Permanent,
}

/// Permission for two customers of an app to have one e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameEmail {
    /// As the rule is: whoever comes second is refused.
    Refused,
    /// The exception: the caller says that two people share the address, or one person is two
    /// customers. A billing account with the address follows the first one made.
    Allowed,
}

pub(super) fn refuse_wrong(change: &ProfileChange) -> Result<(), CustomerError> {
    let errors = change.errors();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(CustomerError::Invalid { errors })
    }
}
