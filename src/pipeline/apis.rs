//! The providers' APIs that can be asked for an app.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;

use super::api_keys::sealed_for;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::mode::Mode;
use crate::provider::api::{Api, ApiError, ApiSettings, Paces};
use crate::store::{SealedApiKey, StoreError, Tx};
use crate::vault::{NotOpened, Vault};

/// An API cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum NoApi {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key cannot be opened.
    #[error("the API key cannot be opened")]
    Vault(#[from] NotOpened),
    /// The client could not be made.
    #[error("no client for the API could be made")]
    Client(#[from] ApiError),
}

/// The APIs of a process, by app and provider. Cheap to clone; clones share their connections and
/// their pace.
#[derive(Clone, Default)]
pub struct Apis {
    vault: Option<Vault>,
    bases: Arc<BTreeMap<Provider, Url>>,
    paces: Paces,
    fixed: Arc<BTreeMap<(AppSlug, Provider), Api>>,
    known: Arc<Mutex<Known>>,
}

/// Clients by what their key is sealed as: another key is another client.
type Known = BTreeMap<(AppSlug, Provider), (Vec<u8>, Api)>;

/// An API that can be asked for an app.
#[derive(Clone, Debug)]
pub struct ApiOfApp {
    /// The API.
    pub api: Api,
    /// The mode in which its objects are read: that of the app's webhooks where they have the key's or
    /// any, so that both name the same objects.
    pub mode: Mode,
}

impl Apis {
    /// Those whose keys are in the store, sealed by this vault. `bases`: other addresses than the
    /// providers' own.
    pub fn new(vault: Vault, bases: BTreeMap<Provider, Url>) -> Self {
        Self {
            vault: Some(vault),
            bases: Arc::new(bases),
            ..Self::default()
        }
    }

    /// Asks this API for an app, whatever the store has.
    #[must_use]
    pub fn and(mut self, app: AppSlug, api: Api) -> Self {
        let mut fixed = BTreeMap::clone(&self.fixed);
        fixed.insert((app, api.provider()), api);
        self.fixed = Arc::new(fixed);
        self
    }

    /// Finds the API of a provider for an app; `None` if the app has no key for it.
    ///
    /// # Errors
    /// See [`NoApi`].
    pub async fn find(
        &self,
        tx: &mut Tx,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<Option<ApiOfApp>, NoApi> {
        let fixed = self.fixed.get(&(app.clone(), provider));
        let api = match (fixed, tx.api_key_find(app, provider).await?) {
            (Some(api), _) => api.clone(),
            (None, Some(key)) => match &self.vault {
                Some(vault) => self.open(vault, key)?,
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let secrets = tx.secret_list(app, provider).await?;
        let modes: Vec<Mode> = secrets.iter().map(|it| it.secret.mode).collect();
        let own = api.mode();
        let has_own = modes.contains(&own);
        // The secrets of the settings, which are not in the store, are of any mode.
        let is_any = !has_own && (modes.is_empty() || modes.contains(&Mode::Any));
        Ok(Some(ApiOfApp {
            api,
            mode: if is_any { Mode::Any } else { own },
        }))
    }

    fn open(&self, vault: &Vault, key: SealedApiKey) -> Result<Api, NoApi> {
        let place = (key.app.clone(), key.provider);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sealed, api)) = known.get(&place)
            && *sealed == key.sealed
        {
            return Ok(api.clone());
        }
        let text = vault.open(sealed_for(&key), &key.sealed)?;
        let settings = ApiSettings {
            key: text,
            base: self.bases.get(&key.provider).cloned(),
        };
        let api = Api::new(key.provider, settings)?.paced(&self.paces);
        known.insert(place, (key.sealed, api.clone()));
        Ok(api)
    }
}
