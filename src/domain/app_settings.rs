//! An app's settings, beside its policy: what an admin says through the API, and what the
//! environment of the servers says of the app `default`.
//!
//! They are kept as one document with the app, and each field of it may be missing, so that a new
//! setting needs no new column. What the environment says wins, and the API refuses to change it.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::customer::profile::Given;
use crate::domain::id_error::IdError;
use crate::domain::identity::seller_id::Identity;

/// The settings that are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppSettings {
    /// The connected accounts whose events count. The platform's own always do.
    pub connected_accounts: ConnectedAccounts,
    /// Where the seller's own ids of accounts are found.
    pub identity: Identity,
}

/// What one place says of the settings. `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsLayer {
    /// See [`AppSettings::connected_accounts`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_accounts: Option<ConnectedAccounts>,
    /// See [`AppSettings::identity`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// The settings as they are kept with an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptSettings {
    /// What admins said.
    pub api: SettingsLayer,
    /// What the environment says, at each start anew.
    pub environment: SettingsLayer,
}

impl KeptSettings {
    /// Returns the settings that are in force.
    pub fn in_force(&self) -> AppSettings {
        let Self { api, environment } = self;
        let connected_accounts = environment.connected_accounts.as_ref();
        let connected_accounts = connected_accounts.or(api.connected_accounts.as_ref());
        let identity = environment.identity.as_ref();
        let identity = identity.or(api.identity.as_ref());
        AppSettings {
            connected_accounts: connected_accounts.cloned().unwrap_or_default(),
            identity: identity.cloned().unwrap_or_default(),
        }
    }

    /// Returns the name of a setting that a change would touch although the environment says it.
    pub const fn fixed(&self, change: &SettingsChange) -> Option<&'static str> {
        if change.connected_accounts.is_some() && self.environment.connected_accounts.is_some() {
            return Some("connected_accounts");
        }
        if change.identity.is_some() && self.environment.identity.is_some() {
            return Some("identity");
        }
        None
    }

    /// Makes a change by an admin.
    pub fn change(&mut self, change: SettingsChange) {
        if let Some(accounts) = change.connected_accounts {
            self.api.connected_accounts = accounts;
        }
        if let Some(identity) = change.identity {
            self.api.identity = identity;
        }
    }
}

/// A change of some settings; null sets one back to its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// See [`AppSettings::connected_accounts`].
    pub connected_accounts: Given<ConnectedAccounts>,
    /// See [`AppSettings::identity`].
    pub identity: Given<Identity>,
}

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

    fn named(accounts: &[&str]) -> SettingsLayer {
        SettingsLayer {
            connected_accounts: Some(accounts.iter().map(|it| it.parse().unwrap()).collect()),
            identity: None,
        }
    }

    #[test]
    fn the_environment_wins_and_an_empty_list_says_something() {
        let nothing = SettingsLayer::default();
        for (environment, api, expected) in [
            (nothing.clone(), nothing.clone(), &[][..]),
            (nothing.clone(), named(&["acct_1"]), &["acct_1"]),
            (named(&["acct_2"]), named(&["acct_1"]), &["acct_2"]),
            (named(&[]), named(&["acct_1"]), &[]),
        ] {
            let in_force = KeptSettings { api, environment }.in_force();
            let shown = in_force.connected_accounts.iter();
            let shown: Vec<&str> = shown.map(ConnectedAccount::as_str).collect();
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn documents_of_any_version_are_read() {
        for text in ["{}", r#"{"api": {}}"#, r#"{"api": {"later": 1}}"#] {
            let read: KeptSettings = serde_json::from_str(text).unwrap();
            assert_eq!(read, KeptSettings::default(), "{text}");
        }
    }

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
