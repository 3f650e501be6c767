//! The APIs that can be asked for an app.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::id::{AppSlug, Provider};
use crate::domain::mode::Mode;
use crate::provider::api::Api;
use crate::store::{StoreError, Tx};

/// The APIs of a process, by app and provider. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Apis {
    fixed: Arc<BTreeMap<(AppSlug, Provider), Fixed>>,
}

/// What is known of a provider for an app without asking the store.
#[derive(Clone, Debug)]
struct Fixed {
    api: Api,
    has_secret: bool,
}

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
    /// The APIs of the settings, which are for the app `default`: whether webhooks of the provider
    /// can be verified with a secret of the settings, which is one of any mode, is said with each.
    pub fn new(apis: impl IntoIterator<Item = (Api, bool)>) -> Self {
        let fixed = apis.into_iter().map(|(api, has_secret)| {
            let key = (AppSlug::default_app(), api.provider());
            (key, Fixed { api, has_secret })
        });
        Self {
            fixed: Arc::new(fixed.collect()),
        }
    }

    /// Has an API asked for an app whose webhook secrets are all in the store.
    #[must_use]
    pub fn and(self, app: AppSlug, api: Api) -> Self {
        let mut fixed = BTreeMap::clone(&self.fixed);
        let has_secret = false;
        fixed.insert((app, api.provider()), Fixed { api, has_secret });
        Self {
            fixed: Arc::new(fixed),
        }
    }

    /// Finds the API of a provider for an app; `None` if the app has no key for it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find(
        &self,
        tx: &mut Tx,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<Option<ApiOfApp>, StoreError> {
        let Some(fixed) = self.fixed.get(&(app.clone(), provider)) else {
            return Ok(None);
        };
        let secrets = tx.secret_list(app, provider).await?;
        let mut modes: Vec<Mode> = secrets.iter().map(|it| it.secret.mode).collect();
        modes.extend(fixed.has_secret.then_some(Mode::Any));
        let own = fixed.api.mode();
        let is_any = modes.contains(&Mode::Any) && !modes.contains(&own);
        Ok(Some(ApiOfApp {
            api: fixed.api.clone(),
            mode: if is_any { Mode::Any } else { own },
        }))
    }
}
