//! Why a rotation of the secret key stopped.

use crate::store::StoreError;
use crate::vault::VaultError;

/// A rotation stopped; what it did so far stays.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Something could not be sealed.
    #[error("a secret could not be sealed anew")]
    Vault(#[from] VaultError),
}
