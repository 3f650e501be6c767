//! The webhook secrets of the settings, all of the app `default`.

use secrecy::SecretString;

use crate::config::{Config, ProviderConfig};
use crate::domain::id::Provider;
use crate::provider::{self, Mode, Secret};

/// Returns the secrets of all providers.
pub(super) fn of(config: &Config) -> Vec<(Provider, Secret)> {
    provider::names()
        .filter_map(|name| Some(secrets(name, config.provider(name)?)))
        .flatten()
        .collect()
}

fn secrets(provider: Provider, settings: &ProviderConfig) -> Vec<(Provider, Secret)> {
    let secret = |key: &SecretString| Secret {
        id: None,
        mode: Mode::Any,
        key: key.clone(),
    };
    settings
        .webhook_secrets
        .iter()
        .map(|key| (provider, secret(key)))
        .collect()
}
