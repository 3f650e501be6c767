//! The providers' APIs, at the addresses of the settings.

use crate::config::Config;
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
