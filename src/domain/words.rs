//! The words of enums, each written once.
//!
//! The words of the API, the columns and the settings for each variant stand in one list, and
//! everything else is made from it: the name of a variant, the list of all, reading a word back,
//! and the schemas of the API description. Serde's derived names are the same; a test compares
//! them.

/// Gives an enum its words, in the order in which they are listed everywhere.
///
/// - `words!(Hold { Billing = "billing", … })` makes `WORDS`, `as_str` and `Display`. A variant may
///   carry data.
/// - `words!(&Tie { … })` is the same for an enum that is not `Copy`.
/// - `words!(AccessCode, all { … })` also makes `ALL`, for variants without data.
/// - `words!(Mode, or "a mode" { … })` also makes `FromStr`, which says ``…` is not a mode`` of
///   any other word; `words!(Role, or RoleError: RoleError { … })` has an error of its own.
macro_rules! words {
    (@words $name:ident { $($variant:ident = $word:literal),+ }) => {
        impl $name {
            /// All words, in the order in which they are listed.
            pub const WORDS: [&'static str; [$($word),+].len()] = [$($word),+];
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
    (& $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $crate::domain::words::words!(@words $name { $($variant = $word),+ });

        impl $name {
            /// The word for it, wherever it is written.
            pub const fn as_str(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $word,)+
                }
            }
        }
    };
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $crate::domain::words::words!(@words $name { $($variant = $word),+ });

        impl $name {
            /// The word for it, wherever it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $word,)+
                }
            }
        }
    };
    ($name:ident, all { $($variant:ident = $word:literal),+ $(,)? }) => {
        $crate::domain::words::words!($name { $($variant = $word),+ });

        impl $name {
            /// All, in the order in which they are listed.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];
        }
    };
    ($name:ident, or $wanted:literal { $($variant:ident = $word:literal),+ $(,)? }) => {
        $crate::domain::words::words!($name, all { $($variant = $word),+ });

        impl ::std::str::FromStr for $name {
            type Err = $crate::domain::id_error::IdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::domain::id_error::IdError::new(text, $wanted)),
                }
            }
        }
    };
    ($name:ident, or $error:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $crate::domain::words::words!($name, all { $($variant = $word),+ });

        impl ::std::str::FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($error),
                }
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use crate::domain::access::check::AccessCode;
    use crate::domain::access::license::LicenseCode;
    use crate::domain::billing::assessment::{Standing, Verdict};
    use crate::domain::customer::flag::FlagKind;
    use crate::domain::customer::row::Hold;
    use crate::domain::event::EventOutcome;
    use crate::domain::mode::Mode;
    use crate::domain::policy::{
        OnCollectionPause, OnDisputeLost, OnDisputeOpened, OnEnd, OnFullRefund, OnPause,
        OnPaymentFailed,
    };
    use crate::domain::role::Role;

    #[track_caller]
    fn is_written_so<T: Serialize>(all: &[T], words: &[&str]) {
        let written: Vec<serde_json::Value> = all
            .iter()
            .map(|it| serde_json::to_value(it).unwrap())
            .collect();
        assert_eq!(written, words);
    }

    #[test]
    fn documents_hold_the_same_words_as_everything_else() {
        is_written_so(&AccessCode::ALL, &AccessCode::WORDS);
        is_written_so(&LicenseCode::ALL, &LicenseCode::WORDS);
        is_written_so(&Standing::ALL, &Standing::WORDS);
        is_written_so(&Verdict::ALL, &Verdict::WORDS);
        is_written_so(&FlagKind::ALL, &FlagKind::WORDS);
        is_written_so(&Hold::ALL, &Hold::WORDS);
        is_written_so(&EventOutcome::ALL, &EventOutcome::WORDS);
        is_written_so(&Mode::ALL, &Mode::WORDS);
        is_written_so(&Role::ALL, &Role::WORDS);
        is_written_so(&OnPaymentFailed::ALL, &OnPaymentFailed::WORDS);
        is_written_so(&OnEnd::ALL, &OnEnd::WORDS);
        is_written_so(&OnPause::ALL, &OnPause::WORDS);
        is_written_so(&OnCollectionPause::ALL, &OnCollectionPause::WORDS);
        is_written_so(&OnDisputeOpened::ALL, &OnDisputeOpened::WORDS);
        is_written_so(&OnDisputeLost::ALL, &OnDisputeLost::WORDS);
        is_written_so(&OnFullRefund::ALL, &OnFullRefund::WORDS);
    }
}
