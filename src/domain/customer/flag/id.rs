//! The id of a flag in the API.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{FlagHolder, FlagKind, HeldFlag};
use crate::domain::id_error::IdError;

/// The id of a flag in the API: `flag_` and the flag's place in base64. A flag of the same kind,
/// subject, instant and owner always has the same id, so links to it stay valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagId {
    place: String,
}

impl HeldFlag {
    /// Returns its id in the API.
    pub fn id(&self) -> FlagId {
        FlagId {
            place: self.place(),
        }
    }
}

impl FlagId {
    /// Returns the flag's place, see [`HeldFlag::place`].
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the flag's kind; `None` if no flag can have this id.
    pub fn kind(&self) -> Option<FlagKind> {
        self.place.split(':').nth(1)?.parse().ok()
    }

    /// Returns the flag's owner; `None` if no flag can have this id.
    pub fn holder(&self) -> Option<FlagHolder> {
        let rest = self.place.splitn(3, ':').nth(2)?;
        // The ids of customers and hooks have no colon, which the keys of objects do.
        if let Ok(holder) = rest.split(':').next()?.parse() {
            return Some(holder);
        }
        // The key of an object ends with its id, which is also the end of the place.
        let twice = rest.splitn(5, ':').nth(4)?;
        let key = rest.get(..rest.len().checked_sub(twice.len() / 2 + 1)?)?;
        key.parse().ok().map(FlagHolder::Object)
    }
}

impl fmt::Display for FlagId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flag_{}", URL_SAFE_NO_PAD.encode(&self.place))
    }
}

impl FromStr for FlagId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let code = text.strip_prefix("flag_");
        let place = code.and_then(|code| URL_SAFE_NO_PAD.decode(code).ok());
        let place = place.and_then(|bytes| String::from_utf8(bytes).ok());
        let place = place.ok_or_else(|| IdError::new(text, "a flag id (`flag_` and base64)"))?;
        Ok(Self { place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::customer::flag::Flag;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_flag_id_survives_a_round_trip_and_other_texts_are_refused() {
        let at = Timestamp::from_nanos(20);
        let hook = "hook_0123456789abcdef0123456789abcdef";
        let held = |holder: &str, flag| HeldFlag {
            holder: holder.parse().unwrap(),
            flag,
        };
        for flag in [
            held(
                "dispute:stripe:live::dp_1",
                Flag::new(FlagKind::Unlinked, "dp_1", at),
            ),
            held(
                "transaction:stripe:test:acct_1:a:b",
                Flag::new(FlagKind::Unlinked, "a:b", at),
            ),
            held(
                "cust_0123456789abcdef0123456789abcdef",
                Flag {
                    at: None,
                    ..Flag::new(FlagKind::UnmappedPrice, "a:b", at)
                },
            ),
            HeldFlag::of_hook(&hook.parse().unwrap(), at),
        ] {
            let id: FlagId = flag.id().to_string().parse().unwrap();
            assert_eq!(id.place(), flag.place());
            assert_eq!(id.kind(), Some(flag.flag.kind));
            assert_eq!(id.holder(), Some(flag.holder));
        }
        for text in ["", "flag_", "flag_*", "flag_/w", "dp_1"] {
            let read = text.parse::<FlagId>();
            let nothing = read.is_err() || read.is_ok_and(|id| id.place().is_empty());
            assert!(nothing, "{text}");
        }
    }
}
