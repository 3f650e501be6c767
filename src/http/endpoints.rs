//! The known webhook endpoints, in memory.
//!
//! A receiver needs an endpoint's secrets to tell an honest webhook from a forged one, and still
//! needs them while the store is away: the queue may still work then, and nothing has to be
//! refused. So all secrets of all endpoints are kept in memory and read again every five seconds.
//! An unknown endpoint is a 404 only if the store was read successfully just before; otherwise it
//! may be new, and the answer is 503, which makes the provider retry. So is the answer of an endpoint
//! whose secrets do not open with the key of the settings: it exists, and a provider that is told
//! otherwise gives up and disables it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::causes::chain;
use crate::clock::Clock;
use crate::domain::id::{AppSlug, Provider, SecretId};
use crate::domain::time::Timestamp;
use crate::pipeline::health::Fault;
use crate::pipeline::secrets;
use crate::provider::Secret;
use crate::store::{Store, StoreError};
use crate::vault::Vault;

/// The time between two reads of the store. A new secret works everywhere after this time at the
/// latest, before anybody can have pasted it into a dashboard.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// The code of an endpoint whose secrets cannot be decrypted.
pub(super) const UNREADABLE: &str = "endpoint_unreadable";

/// The secrets of an endpoint are not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is no such endpoint: the app does not exist, or has no current secret.
    #[error("there is no such endpoint")]
    Unknown,
    /// The endpoint is not known here, but the store could not be read recently.
    #[error("the endpoint is not known, and the store could not be asked lately")]
    Undetermined,
    /// The endpoint has secrets, but none of them can be decrypted.
    #[error("the secrets of the endpoint do not open with the present TOLLGATE_SECRET_KEY")]
    Unreadable,
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

/// The known secrets of each app, by provider.
type Known = BTreeMap<AppSlug, BTreeMap<Provider, Vec<KnownSecret>>>;

/// The state of knowledge at one moment.
#[derive(Default)]
struct Table {
    endpoints: Known,
    /// Secrets that cannot be decrypted.
    unreadable: Vec<Unreadable>,
    /// Secrets that cannot be decrypted any more, and are used as they were read before.
    remembered: BTreeSet<SecretId>,
    /// True if the last attempt to read the store succeeded.
    fresh: bool,
    /// True if any attempt has succeeded.
    loaded: bool,
}

/// A secret in the store that cannot be decrypted.
#[derive(Clone)]
struct Unreadable {
    id: SecretId,
    app: AppSlug,
    provider: Provider,
    expires_at: Option<Timestamp>,
}

/// What was read from the store.
#[derive(Default)]
struct Read {
    endpoints: Known,
    unreadable: Vec<Unreadable>,
    remembered: BTreeSet<SecretId>,
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
        let current: Vec<Secret> = table.current(app, provider, now).cloned().collect();
        table.exists(app, provider, now).map(|()| current)
    }

    /// Checks that an endpoint has a current secret.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn exists(
        &self,
        app: &AppSlug,
        provider: Provider,
        now: Timestamp,
    ) -> Result<(), EndpointError> {
        self.inner.table.borrow().exists(app, provider, now)
    }

    /// Returns true if the endpoint has a secret that cannot be decrypted, so that a signature that
    /// no known secret has made may be honest all the same.
    pub fn has_unreadable(&self, app: &AppSlug, provider: Provider, now: Timestamp) -> bool {
        let table = self.inner.table.borrow();
        table.has_unreadable(app, provider, now)
    }

    /// Checks that webhooks of all endpoints can be told from forged ones.
    ///
    /// # Errors
    /// Before the store was read for the first time, and while secrets cannot be decrypted.
    pub fn check(&self) -> Result<(), Fault> {
        let table = self.inner.table.borrow();
        if !table.loaded {
            let reason = "the webhook endpoints could not be read from the store yet";
            return Err(Fault::new("endpoints_unknown", reason));
        }
        let now = self.inner.clock.now();
        let current = table.unreadable.iter().filter(|it| it.is_current(now));
        match current.count() {
            0 => Ok(()),
            // Which ones is for the log: this is shown to everybody.
            count => Err(Fault::new(
                UNREADABLE,
                format!(
                    "{count} webhook secret(s) do not open with TOLLGATE_SECRET_KEY; the log and \
                     `tollgate check-config --connect` name them"
                ),
            )),
        }
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
        let (table, result) = match self.read(&before).await {
            Ok(read) => {
                read.tell_what_is_new(&before);
                if before.loaded && !before.fresh {
                    tracing::info!("webhook endpoints can be read from the store again");
                }
                let table = Table {
                    endpoints: read.endpoints,
                    unreadable: read.unreadable,
                    remembered: read.remembered,
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
                    unreadable: before.unreadable.clone(),
                    remembered: before.remembered.clone(),
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

    async fn read(&self, before: &Table) -> Result<Read, StoreError> {
        let inner = &*self.inner;
        let current = secrets::open_current(&inner.store, &inner.vault, inner.clock.now()).await?;
        let mut read = Read {
            endpoints: by_endpoint(&inner.fixed),
            ..Read::default()
        };
        for (secret, opened) in current {
            // A secret's text never changes. One that was sealed anew with a key that this process
            // was not started with, because of a rotation in the wrong order, is still what it was.
            let key = opened.ok().or_else(|| {
                let key = before.key_of(&secret.app, secret.provider, &secret.id)?;
                read.remembered.insert(secret.id.clone());
                Some(key)
            });
            // One that cannot be decrypted must not disable the other endpoints.
            let Some(key) = key else {
                read.unreadable.push(Unreadable {
                    id: secret.id,
                    app: secret.app,
                    provider: secret.provider,
                    expires_at: secret.expires_at,
                });
                continue;
            };
            let of_app = read.endpoints.entry(secret.app).or_default();
            let known = KnownSecret {
                expires_at: secret.expires_at,
                secret: Secret {
                    id: Some(secret.id),
                    mode: secret.mode,
                    key,
                },
            };
            of_app.entry(secret.provider).or_default().push(known);
        }
        Ok(read)
    }
}

impl Read {
    fn tell_what_is_new(&self, before: &Table) {
        let is_new = |it: &&Unreadable| !before.unreadable.iter().any(|of| of.id == it.id);
        for secret in self.unreadable.iter().filter(is_new) {
            tracing::error!(
                app = %secret.app,
                provider = %secret.provider,
                secret.id = %secret.id,
                "a webhook secret does not open with the present TOLLGATE_SECRET_KEY: webhooks to \
                 its endpoint are refused until it does, or until it is deleted"
            );
        }
        for id in self.remembered.difference(&before.remembered) {
            tracing::error!(
                secret.id = %id,
                "a webhook secret was sealed anew with a key that is not in this process's \
                 TOLLGATE_SECRET_KEY: webhooks are still taken, but not after a restart without \
                 that key"
            );
        }
    }
}

impl Table {
    /// The text of a secret of the store that is known.
    fn key_of(&self, app: &AppSlug, provider: Provider, id: &SecretId) -> Option<SecretString> {
        let mut known = self.endpoints.get(app)?.get(&provider)?.iter();
        let known = known.find(|known| known.secret.id.as_ref() == Some(id))?;
        Some(known.secret.key.clone())
    }

    /// The current secrets of an endpoint. A secret expires on time, even while the store is away.
    fn current(
        &self,
        app: &AppSlug,
        provider: Provider,
        now: Timestamp,
    ) -> impl Iterator<Item = &Secret> {
        let known = self.endpoints.get(app).and_then(|it| it.get(&provider));
        let known = known.into_iter().flatten();
        known
            .filter(move |known| known.expires_at.is_none_or(|end| end > now))
            .map(|known| &known.secret)
    }

    fn exists(
        &self,
        app: &AppSlug,
        provider: Provider,
        now: Timestamp,
    ) -> Result<(), EndpointError> {
        if self.current(app, provider, now).next().is_some() {
            Ok(())
        } else if self.has_unreadable(app, provider, now) {
            Err(EndpointError::Unreadable)
        } else if self.fresh {
            Err(EndpointError::Unknown)
        } else {
            Err(EndpointError::Undetermined)
        }
    }

    fn has_unreadable(&self, app: &AppSlug, provider: Provider, now: Timestamp) -> bool {
        let mut unreadable = self.unreadable.iter();
        unreadable.any(|it| it.app == *app && it.provider == provider && it.is_current(now))
    }
}

impl Unreadable {
    fn is_current(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

fn by_endpoint(fixed: &[(Provider, Secret)]) -> Known {
    let mut endpoints = Known::new();
    for (provider, secret) in fixed {
        let of_app = endpoints.entry(AppSlug::default_app()).or_default();
        of_app.entry(*provider).or_default().push(KnownSecret {
            secret: secret.clone(),
            expires_at: None,
        });
    }
    endpoints
}
