//! Rust types that can stand in a column, and how they are stored and read.
//!
//! A column has one of seven kinds, each with one Rust type that holds it ([`Stored`]). Domain
//! types convert to one of those with [`IntoCell`] and read themselves with [`FromCell`], so
//! that a column is declared as what it means, such as `ObjectKey`, and a value of another type
//! does not compile.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::StoreError;
use super::driver::{Cells, Column, Fault, Value};
use crate::domain::access::hand_grant::GrantBilling;
use crate::domain::access::license_key::KeyHash;
use crate::domain::access::plan::{PackageGrant, PlanLicense};
use crate::domain::access::token::TokenHash;
use crate::domain::access::versions::Scheme;
use crate::domain::app_settings::KeptSettings;
use crate::domain::apply::change::Change;
use crate::domain::billing::history::{
    DisputeHistory, PaymentHistory, RefundHistory, SubscriptionHistory,
};
use crate::domain::customer::erased::ErasureStage;
use crate::domain::customer::flag::{FlagHolder, FlagKind};
use crate::domain::customer::other_body::OtherBodies;
use crate::domain::customer::row::Customer;
use crate::domain::event::{Bodies, BodyDigest, EventOutcome};
use crate::domain::hook::{DeliveryState, DisabledBecause, HookBody, HookStatus};
use crate::domain::id::{
    ActivationId, AdminTokenId, AppSlug, ChangeId, CustomerId, DeliveryId, HookId, HookSecretId,
    LicenseId, ObjectKey, Provider, ReconcileId, RefetchId, ReplayId, SecretId, TokenId,
};
use crate::domain::identity::account::AccountHistory;
use crate::domain::mode::Mode;
use crate::domain::policy::Policy;
use crate::domain::refetch::RefetchReason;
use crate::domain::role::Role;
use crate::domain::span::Span;
use crate::domain::time::Timestamp;

/// A type that holds what a column of one kind stores.
pub(crate) trait Stored: Sized {
    /// One value to bind.
    fn value(cell: Option<Self>) -> Value;
    /// A column of a set of rows.
    fn column(cells: Vec<Option<Self>>) -> Column;
}

/// A type that can be written into a column.
pub(crate) trait IntoCell {
    /// The kind of the column.
    type Stored: Stored;

    /// The stored form, `None` for NULL. Only documents can fail.
    fn into_cell(self) -> Result<Option<Self::Stored>, StoreError>;
}

/// A type that can be read from a column.
pub(crate) trait FromCell: Sized {
    /// Reads the column at this position.
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault>;
}

/// An instant that is compared to the nanosecond: a provider's, a due time, a release. A plain
/// [`Timestamp`] is one of our own clock, which an engine may cut to microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nanos(pub(crate) Timestamp);

/// A JSON document as its text.
#[derive(Clone, Debug)]
pub(crate) struct Document(pub(crate) String);

impl Document {
    /// Writes a value as a document.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, StoreError> {
        serde_json::to_string(value)
            .map(Self)
            .map_err(|source| StoreError::Document { source })
    }

    /// Reads the document of this column.
    pub(crate) fn read<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        serde_json::from_str(&self.0).map_err(|error| StoreError::CorruptRow {
            column: column.to_owned(),
            detail: error.to_string(),
        })
    }
}

macro_rules! stored {
    ($($type:ty => $kind:ident($($unwrap:tt)*)),* $(,)?) => { $(
        impl Stored for $type {
            fn value(cell: Option<Self>) -> Value {
                Value::$kind(cell$($unwrap)*)
            }
            fn column(cells: Vec<Option<Self>>) -> Column {
                Column::$kind(cells.into_iter().map(|cell| cell$($unwrap)*).collect())
            }
        }

        impl IntoCell for $type {
            type Stored = Self;
            fn into_cell(self) -> Result<Option<Self>, StoreError> {
                Ok(Some(self))
            }
        }
    )* };
}

stored! {
    String => Text(),
    i64 => Int(),
    bool => Bool(),
    Timestamp => Time(),
    Nanos => Nanos(.map(|it| it.0)),
    Document => Json(.map(|it| it.0)),
    Vec<u8> => Bytes(),
}

/// Domain types that are stored as a word or another short text, which they parse themselves.
macro_rules! texts {
    ($($type:ty),* $(,)?) => { $(
        impl $crate::store::cell::IntoCell for &$type {
            type Stored = String;
            fn into_cell(self) -> Result<Option<String>, $crate::store::StoreError> {
                Ok(Some(self.to_string()))
            }
        }

        impl $crate::store::cell::IntoCell for $type {
            type Stored = String;
            fn into_cell(self) -> Result<Option<String>, $crate::store::StoreError> {
                $crate::store::cell::IntoCell::into_cell(&self)
            }
        }

        impl $crate::store::cell::FromCell for $type {
            fn from_cell(row: &dyn $crate::store::driver::Cells, index: usize) -> Result<Self, $crate::store::driver::Fault> {
                Ok(row.text(index)?.parse()?)
            }
        }
    )* };
}

pub(crate) use texts;

texts! {
    ActivationId, AdminTokenId, AppSlug, BodyDigest, ChangeId, CustomerId, DeliveryId, DeliveryState,
    DisabledBecause, HookBody, HookId, HookSecretId, HookStatus, ErasureStage, EventOutcome, FlagHolder, FlagKind, LicenseId,
    Mode, GrantBilling, ObjectKey, Provider, ReconcileId, RefetchId, RefetchReason, ReplayId, Role, Scheme, SecretId, Span, TokenId,
}

/// Domain types that are stored as JSON documents.
macro_rules! documents {
    ($($type:ty),* $(,)?) => { $(
        impl $crate::store::cell::IntoCell for &$type {
            type Stored = $crate::store::cell::Document;
            fn into_cell(self) -> Result<Option<$crate::store::cell::Document>, $crate::store::StoreError> {
                $crate::store::cell::Document::of(self).map(Some)
            }
        }

        impl $crate::store::cell::FromCell for $type {
            fn from_cell(row: &dyn $crate::store::driver::Cells, index: usize) -> Result<Self, $crate::store::driver::Fault> {
                Ok(serde_json::from_str(row.json(index)?)?)
            }
        }
    )* };
}

pub(crate) use documents;

documents! {
    AccountHistory, Bodies, Customer, DisputeHistory, Json, KeptSettings, Map<String, Json>,
    OtherBodies, PaymentHistory, Policy, RefundHistory, SubscriptionHistory, Vec<Change>, Vec<PackageGrant>,
    Vec<PlanLicense>, Vec<String>,
}

impl IntoCell for &str {
    type Stored = String;
    fn into_cell(self) -> Result<Option<String>, StoreError> {
        Ok(Some(self.to_owned()))
    }
}

impl IntoCell for &String {
    type Stored = String;
    fn into_cell(self) -> Result<Option<String>, StoreError> {
        self.as_str().into_cell()
    }
}

impl IntoCell for u32 {
    type Stored = i64;
    fn into_cell(self) -> Result<Option<i64>, StoreError> {
        Ok(Some(self.into()))
    }
}

impl IntoCell for &TokenHash {
    type Stored = Vec<u8>;
    fn into_cell(self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Some(self.as_bytes().to_vec()))
    }
}

impl IntoCell for &KeyHash {
    type Stored = Vec<u8>;
    fn into_cell(self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Some(self.as_bytes().to_vec()))
    }
}

impl FromCell for KeyHash {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        Ok(Self::from_bytes(row.bytes(index)?.try_into()?))
    }
}

impl<T: IntoCell> IntoCell for Option<T> {
    type Stored = T::Stored;
    fn into_cell(self) -> Result<Option<T::Stored>, StoreError> {
        self.map_or(Ok(None), T::into_cell)
    }
}

impl<'a, T> IntoCell for &'a Option<T>
where
    &'a T: IntoCell,
{
    type Stored = <&'a T as IntoCell>::Stored;
    fn into_cell(self) -> Result<Option<Self::Stored>, StoreError> {
        self.as_ref().into_cell()
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        if row.is_null(index)? {
            Ok(None)
        } else {
            T::from_cell(row, index).map(Some)
        }
    }
}

impl FromCell for String {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        row.text(index).map(str::to_owned)
    }
}

impl FromCell for i64 {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        row.int(index)
    }
}

/// Counts: a column of whole numbers that cannot be negative.
impl FromCell for u64 {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        Ok(row.int(index)?.try_into()?)
    }
}

impl FromCell for u32 {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        Ok(row.int(index)?.try_into()?)
    }
}

impl FromCell for bool {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        row.bool(index)
    }
}

impl FromCell for Timestamp {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        row.time(index)
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        row.bytes(index).map(<[u8]>::to_vec)
    }
}

impl FromCell for Document {
    fn from_cell(row: &dyn Cells, index: usize) -> Result<Self, Fault> {
        row.json(index).map(|text| Self(text.to_owned()))
    }
}
