//! The Composer repositories of a server: that of its settings, and reading all of them regularly.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::composer::location::Repository;
use crate::composer::upstream::Upstream;
use crate::config::Config;
use crate::pipeline::composer;
use crate::pipeline::registries::Repositories;
use crate::store::Store;
use crate::vault::Vault;

/// The time between two reads of all Composer repositories. Releases that say when they came out are
/// recorded with that time whenever they are seen; of one that does not, this is how late its time
/// can be.
const REFRESH_EVERY: Duration = Duration::from_mins(10);

/// Makes what reads Composer repositories.
pub(super) fn of(config: &Config, vault: &Vault) -> Repositories {
    let named = config.registry.repository.clone();
    let fixed = named.map(|location| Repository {
        location,
        token: config.registry.token.clone(),
    });
    Repositories::new(Upstream::default(), vault.clone(), fixed)
}

/// Reads all Composer repositories every ten minutes, the first time at once.
pub(super) struct Reader {
    store: Store,
    repositories: Repositories,
    clock: Arc<dyn Clock>,
}

impl Reader {
    pub(super) fn new(store: &Store, repositories: &Repositories, clock: &Arc<dyn Clock>) -> Self {
        Self {
            store: store.clone(),
            repositories: repositories.clone(),
            clock: Arc::clone(clock),
        }
    }

    /// Reads until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        loop {
            let now = self.clock.now();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = composer::refresh_all(&self.store, &self.repositories, now) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(REFRESH_EVERY) => {}
            }
        }
    }
}
