//! An app's settings, beside its policy: what an admin says through the API, and what the
//! environment of the servers says of the app `default`.
//!
//! They are kept as one document with the app, and each field of it may be missing, so that a new
//! setting needs no new column. What the environment says wins, and the API refuses to change it.

use serde::{Deserialize, Serialize};

use crate::domain::connected_account::ConnectedAccounts;
use crate::domain::customer::profile::Given;
use crate::domain::identity::seller_id::Identity;
use crate::domain::refetch::Refetch;
use crate::domain::span::Span;

/// The settings that are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppSettings {
    /// The connected accounts whose events count. The platform's own always do.
    pub connected_accounts: ConnectedAccounts,
    /// Where the seller's own ids of accounts are found.
    pub identity: Identity,
    /// How often what is kept is compared with what the providers say; `None` for never.
    pub reconcile_every: Option<Span>,
    /// When a provider is asked about an object.
    pub refetch: Refetch,
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
    /// See [`AppSettings::reconcile_every`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconcile_every: Option<Span>,
    /// See [`AppSettings::refetch`]. Only the API says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refetch: Option<Refetch>,
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
            reconcile_every: environment.reconcile_every.or(api.reconcile_every),
            refetch: api.refetch.unwrap_or_default(),
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
        if let Some(every) = change.reconcile_every {
            self.api.reconcile_every = every;
        }
        if let Some(refetch) = change.refetch {
            self.api.refetch = refetch;
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
    /// See [`AppSettings::reconcile_every`].
    pub reconcile_every: Given<Span>,
    /// See [`AppSettings::refetch`].
    pub refetch: Given<Refetch>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::connected_account::ConnectedAccount;

    fn named(accounts: &[&str]) -> SettingsLayer {
        SettingsLayer {
            connected_accounts: Some(accounts.iter().map(|it| it.parse().unwrap()).collect()),
            ..SettingsLayer::default()
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
}
