//! The known webhook endpoints, in memory.
//!
//! A receiver needs an endpoint's secrets to tell an honest webhook from a forged one, and still
//! needs them while the store is away: the queue may still work then, and nothing has to be
//! refused. So all secrets of all endpoints are kept in memory and read again every five seconds.
//! An unknown endpoint is a 404 only if the store was read successfully just before; otherwise it
//! may be new, and the answer is 503, which makes the provider retry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::causes::chain;
use crate::clock::Clock;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;
use crate::pipeline::secrets;
use crate::provider::Secret;
use crate::store::secret::SealedSecret;
use crate::store::{Store, StoreError};
use crate::vault::{SealedFor, Vault};

/// The time between two reads of the store. A new secret works everywhere after this time at the
/// latest, before anybody can have pasted it into a dashboard.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// The secrets of an endpoint are not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is no such endpoint: the app does not exist, or has no current secret.
    #[error("there is no such endpoint")]
    Unknown,
    /// The endpoint is not known here, but the store could not be read recently.
    #[error("the endpoint is not known, and the store could not be asked lately")]
    Undetermined,
}

/// The endpoints of all apps. Cheap to clone; all clones share their state.
#[derive(Clone)]
pub struct Endpoints {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    vault: Vault,
    clock: Arc<dyn Clock>,
    /// The secrets from the settings, all of the app `default`.
    fixed: Vec<(Provider, Secret)>,
    table: watch::Sender<Arc<Table>>,
    /// Allows one refresh at a time: an older result must not replace a newer one.
    refreshing: Mutex<()>,
}

/// The state of knowledge at one moment.
#[derive(Default)]
struct Table {
    endpoints: BTreeMap<(AppSlug, Provider), Vec<KnownSecret>>,
    /// True if the last attempt to read the store succeeded.
    fresh: bool,
    /// True if any attempt has succeeded.
    loaded: bool,
}

#[derive(Clone)]
struct KnownSecret {
    secret: Secret,
    expires_at: Option<Timestamp>,
}

impl Endpoints {
    /// Creates endpoints from the secrets of the settings. Those in the store become known with the
    /// first [`refresh`](Self::refresh).
    pub fn new(
        store: Store,
        vault: Vault,
        clock: Arc<dyn Clock>,
        fixed: Vec<(Provider, Secret)>,
    ) -> Self {
        let table = Table {
            endpoints: by_endpoint(&fixed),
            ..Table::default()
        };
        Self {
            inner: Arc::new(Inner {
                store,
                vault,
                clock,
                fixed,
                table: watch::Sender::new(Arc::new(table)),
                refreshing: Mutex::new(()),
            }),
        }
    }

    /// Returns the current secrets of an endpoint, at least one.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn secrets(
        &self,
        app: &AppSlug,
        provider: Provider,
        now: Timestamp,
    ) -> Result<Vec<Secret>, EndpointError> {
        let table = Arc::clone(&self.inner.table.borrow());
        let known = table.endpoints.get(&(app.clone(), provider));
        // A secret expires on time, even while the store is away.
        let current: Vec<Secret> = known
            .into_iter()
            .flatten()
            .filter(|known| known.expires_at.is_none_or(|end| end > now))
            .map(|known| known.secret.clone())
            .collect();
        if !current.is_empty() {
            Ok(current)
        } else if table.fresh {
            Err(EndpointError::Unknown)
        } else {
            Err(EndpointError::Undetermined)
        }
    }

    /// Reports whether the store has been read at least once.
    pub fn is_loaded(&self) -> bool {
        self.inner.table.borrow().loaded
    }

    /// Reads the store now: at the start, and after a secret was added or removed. If it is away,
    /// known secrets stay in use.
    ///
    /// # Errors
    /// When the database does not answer. This is logged here, once per outage, so a caller that
    /// can continue may ignore it.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _alone = self.inner.refreshing.lock().await;
        let before = Arc::clone(&self.inner.table.borrow());
        let (table, result) = match self.read().await {
            Ok(endpoints) => {
                if before.loaded && !before.fresh {
                    tracing::info!("webhook endpoints can be read from the store again");
                }
                let table = Table {
                    endpoints,
                    fresh: true,
                    loaded: true,
                };
                (table, Ok(()))
            }
            Err(error) => {
                if before.fresh || !before.loaded {
                    tracing::warn!(
                        error = chain(&error),
                        "reading the webhook endpoints failed; the known ones stay in use"
                    );
                }
                let table = Table {
                    endpoints: before.endpoints.clone(),
                    fresh: false,
                    loaded: before.loaded,
                };
                (table, Err(error))
            }
        };
        self.inner.table.send_replace(Arc::new(table));
        result
    }

    /// Refreshes every five seconds until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            // Failures are logged by `refresh`, and the next round is the retry.
            let _ = self.refresh().await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(REFRESH_EVERY) => {}
            }
        }
    }

    async fn read(&self) -> Result<BTreeMap<(AppSlug, Provider), Vec<KnownSecret>>, StoreError> {
        let inner = &*self.inner;
        let sealed = secrets::list_current(&inner.store, inner.clock.now()).await?;
        let mut endpoints = by_endpoint(&inner.fixed);
        for sealed in sealed {
            let key = (sealed.secret.app.clone(), sealed.secret.provider);
            endpoints.entry(key).or_default().extend(inner.open(sealed));
        }
        Ok(endpoints)
    }
}

impl Inner {
    /// Decrypts a secret. One that cannot be decrypted is left out: one damaged row, or one left
    /// from an older key, must not disable all other endpoints.
    fn open(&self, sealed: SealedSecret) -> Option<KnownSecret> {
        let SealedSecret { secret, sealed } = sealed;
        let what = SealedFor::Secret {
            app: &secret.app,
            provider: secret.provider,
            id: &secret.id,
        };
        match self.vault.open(what, &sealed) {
            Ok(key) => Some(KnownSecret {
                secret: Secret {
                    id: Some(secret.id),
                    mode: secret.mode,
                    key,
                },
                expires_at: secret.expires_at,
            }),
            Err(error) => {
                tracing::error!(
                    app = %secret.app,
                    provider = %secret.provider,
                    secret.id = %secret.id,
                    error = chain(&error),
                    "a webhook secret cannot be used"
                );
                None
            }
        }
    }
}

fn by_endpoint(fixed: &[(Provider, Secret)]) -> BTreeMap<(AppSlug, Provider), Vec<KnownSecret>> {
    let mut endpoints: BTreeMap<_, Vec<KnownSecret>> = BTreeMap::new();
    for (provider, secret) in fixed {
        let key = (AppSlug::default_app(), *provider);
        endpoints.entry(key).or_default().push(KnownSecret {
            secret: secret.clone(),
            expires_at: None,
        });
    }
    endpoints
}
