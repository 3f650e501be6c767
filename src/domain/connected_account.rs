//! Connected accounts (Stripe Connect): accounts of others that are connected to the seller's.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::id_error::IdError;

/// Names of connected accounts.
pub type ConnectedAccounts = BTreeSet<ConnectedAccount>;

/// The most connected accounts that an app may name: they are read with each batch of events.
pub const MAX_CONNECTED_ACCOUNTS: usize = 1_000;

/// The id of a connected account, as Stripe Connect gives it: `acct_` and what follows. Letters
/// keep their case, in which two ids may differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectedAccount(String);

impl ConnectedAccount {
    /// What every id begins with.
    pub const PREFIX: &'static str = "acct_";

    /// The longest id, in bytes: Stripe's own limit.
    const LONGEST: usize = 255;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConnectedAccount {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let rest = text.strip_prefix(Self::PREFIX).unwrap_or_default();
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !rest.is_empty() && text.len() <= Self::LONGEST && rest.bytes().all(good) {
            return Ok(Self(text.to_owned()));
        }
        let wanted = "a connected account (`acct_` in lower case, then letters, digits and `_`)";
        Err(IdError::new(text, wanted))
    }
}

impl Borrow<str> for ConnectedAccount {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectedAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ConnectedAccount {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ConnectedAccount> for String {
    fn from(account: ConnectedAccount) -> Self {
        account.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_form_is_refused() {
        let long = format!("acct_{}", "x".repeat(251));
        let wrong = [
            "", "acct_", "ACCT_1", "acct_1 ", "acct-1", "acct_a/b", "acct_a:b", "cus_1", "acct_ä",
            &long,
        ];
        for text in wrong {
            assert!(text.parse::<ConnectedAccount>().is_err(), "{text:?}");
        }
        let account: ConnectedAccount = "acct_1032D82eZvKYlo2C".parse().unwrap();
        assert_ne!(account, "acct_1032d82ezvkylo2c".parse().unwrap());
    }
}
