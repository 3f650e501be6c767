//! The providers' APIs that the settings have a key for.

use crate::config::Config;
use crate::pipeline::reconcile::Apis;
use crate::provider;
use crate::provider::api::{Api, ApiError, ApiSettings};

/// Returns them.
///
/// # Errors
/// When TLS cannot be set up.
pub fn of(config: &Config) -> Result<Apis, ApiError> {
    let mut apis = Vec::new();
    for provider in provider::names() {
        let Some(settings) = config.provider(provider) else {
            continue;
        };
        let Some(key) = settings.api_key.clone() else {
            continue;
        };
        let base = settings.api_base.clone();
        let api = Api::new(provider, ApiSettings { key, base })?;
        apis.push((api, !settings.webhook_secrets.is_empty()));
    }
    Ok(Apis::new(apis))
}
