//! The providers' APIs, at the addresses of the settings.

use crate::config::Config;
use crate::domain::id::AppSlug;
use crate::pipeline::apis::{Apis, NoApi};
use crate::provider;
use crate::provider::api::{Api, ApiSettings};
use crate::vault::Vault;

/// Returns them. Their keys are in the store.
pub fn of(config: &Config, vault: &Vault) -> Apis {
    let bases = provider::names().filter_map(|provider| {
        let base = config.provider(provider)?.api_base.clone()?;
        Some((provider, base))
    });
    Apis::new(vault.clone(), bases.collect())
}

/// Returns them for a command: the app `default` is asked for with the keys of the settings, where they
/// say some, whatever the store has.
///
/// # Errors
/// When no client can be made.
pub fn of_command(config: &Config, vault: &Vault) -> Result<Apis, NoApi> {
    let mut apis = of(config, vault);
    for provider in provider::names() {
        let settings = config.provider(provider);
        let Some((settings, key)) = settings.and_then(|it| Some((it, it.api_key.clone()?))) else {
            continue;
        };
        let base = settings.api_base.clone();
        let api = Api::new(provider, ApiSettings { key, base })?;
        apis = apis.and(AppSlug::default_app(), api);
    }
    Ok(apis)
}
