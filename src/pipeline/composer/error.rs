//! Why a repository gave no answer.

use crate::composer::location::Repository;
use crate::composer::upstream::UpstreamError;
use crate::domain::id::AppSlug;
use crate::pipeline::registries::{Repositories, RepositoryError};
use crate::store::{Registry, StoreError};

/// Why a question of a customer's Composer got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ComposerError {
    /// The app has no repository.
    #[error("the app has no Composer repository")]
    NoRepository,
    /// The repository cannot be used.
    #[error("the Composer repository of the app {app} cannot be used")]
    Repository {
        /// The app.
        app: AppSlug,
        /// The cause.
        #[source]
        source: RepositoryError,
    },
    /// The repository did not answer.
    #[error("the Composer repository of the app {app} did not give what was asked for")]
    Upstream {
        /// The app.
        app: AppSlug,
        /// The cause.
        #[source]
        source: UpstreamError,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// A repository did not give what was asked for.
pub(super) fn failed(app: &AppSlug, source: UpstreamError) -> ComposerError {
    ComposerError::Upstream {
        app: app.clone(),
        source,
    }
}

/// Returns the repository of an app.
pub(super) fn repository_of(
    repositories: &Repositories,
    app: &AppSlug,
    registry: &Registry,
) -> Result<Repository, ComposerError> {
    let repository = repositories.of(app, registry);
    let repository = repository.map_err(|source| ComposerError::Repository {
        app: app.clone(),
        source,
    })?;
    repository.ok_or(ComposerError::NoRepository)
}
