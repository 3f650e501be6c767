//! Activations: where a licence is in use, as far as the seller's program says so.
//!
//! A program names the machine that it runs on by a fingerprint, takes a place with it before it is
//! used (`activate`), and gives the place back when it is removed (`deactivate`). A licence whose
//! activations are limited is valid only where it is active. A limit that becomes lower than what is
//! active takes nobody's place away: no more are given until enough were given back.

use crate::domain::access::license::LicenseCode;
use crate::domain::id::{ActivationId, LicenseId};
use crate::domain::time::Timestamp;

/// Highest limit, and most activations of a licence without one.
pub const MAX_ACTIVATIONS: u32 = 10_000;

/// An activation of a licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The id in the API.
    pub id: ActivationId,
    /// The licence.
    pub license: LicenseId,
    /// What the program knows the machine by: active once for each licence.
    pub fingerprint: String,
    /// A name for people, such as the machine's.
    pub name: Option<String>,
    /// The time of activation, by the local clock.
    pub created_at: Timestamp,
}

/// Returns how many activations a licence may have at once under a limit.
pub fn places(limit: Option<u32>) -> u32 {
    limit.map_or(MAX_ACTIVATIONS, |limit| limit.min(MAX_ACTIVATIONS))
}

/// Returns the verdict on a licence where it is used, after the verdict on the licence itself.
pub fn judge_there(code: LicenseCode, limit: Option<u32>, is_active: bool) -> LicenseCode {
    if code.is_valid() && limit.is_some() && !is_active {
        LicenseCode::ActivationMissing
    } else {
        code
    }
}

/// Checks a limit.
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn check_limit(limit: i64) -> Result<u32, String> {
    let limit = u32::try_from(limit).ok();
    let limit = limit.filter(|limit| (1..=MAX_ACTIVATIONS).contains(limit));
    limit.ok_or_else(|| format!("must be 1 to {MAX_ACTIVATIONS}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::license::LicenseCode as Code;

    #[test]
    fn only_a_limited_licence_must_be_active_where_it_is_used() {
        let cases = [
            (Code::Ok, None, false, Code::Ok),
            (Code::Ok, Some(1), true, Code::Ok),
            (Code::Ok, Some(1), false, Code::ActivationMissing),
            (Code::LicenseRevoked, Some(1), false, Code::LicenseRevoked),
            (
                Code::CustomerSuspended,
                Some(1),
                false,
                Code::CustomerSuspended,
            ),
        ];
        for (code, limit, is_active, expected) in cases {
            assert_eq!(
                judge_there(code, limit, is_active),
                expected,
                "{code} {limit:?} {is_active}"
            );
        }
    }

    #[test]
    fn a_limit_is_a_number_from_one_on() {
        assert_eq!(check_limit(1), Ok(1));
        assert_eq!(check_limit(10_000), Ok(10_000));
        for wrong in [0, -1, 10_001, i64::MAX, i64::MIN] {
            assert!(check_limit(wrong).is_err(), "{wrong}");
        }
        assert_eq!((places(Some(5)), places(None)), (5, 10_000));
    }
}
