//! What the store makes licences with: it has neither randomness nor a vault.

use std::error::Error;

use crate::domain::access::license_key::KeyHash;
use crate::domain::id::{AppSlug, LicenseId};
use crate::domain::time::Timestamp;

/// The key of a licence, as the store takes it.
#[derive(Clone, Debug)]
pub struct SealedKey {
    /// What it is found by.
    pub hash: KeyHash,
    /// It was made here.
    pub is_made: bool,
    /// The key itself, as the vault sealed it.
    pub sealed: Vec<u8>,
}

/// Makes ids and sealed keys of licences.
pub trait LicenseMaker: Send + Sync {
    /// Makes the id and the key of a licence.
    ///
    /// # Errors
    /// When there is no randomness, or the key cannot be sealed.
    fn make(
        &self,
        app: &AppSlug,
        now: Timestamp,
    ) -> Result<(LicenseId, SealedKey), Box<dyn Error + Send + Sync>>;
}
