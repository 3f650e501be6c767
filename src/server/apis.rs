//! The providers' APIs, at the addresses and with the keys of the settings.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::config::Config;
use crate::domain::id::Provider;
use crate::pipeline::apis::Apis;
use crate::provider;
use crate::vault::Vault;

/// Returns them. Their keys are in the store.
pub fn of(config: &Config, vault: &Vault) -> Apis {
    let bases = provider::names().filter_map(|provider| {
        let base = config.provider(provider)?.api_base.clone()?;
        Some((provider, base))
    });
    Apis::new(vault.clone(), bases.collect())
}

/// Returns the keys that the settings say, for the app `default`.
pub fn keys_of(config: &Config) -> BTreeMap<Provider, SecretString> {
    let key = |provider| Some((provider, config.provider(provider)?.api_key.clone()?));
    provider::names().filter_map(key).collect()
}
