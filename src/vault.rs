//! Seals what must not be readable at rest, such as webhook secrets and the keys of licences, and
//! cursors of lists, which nobody may make up, with keys of 32 bytes.
//!
//! `XChaCha20-Poly1305`: its nonce of 24 bytes may be random for every sealing, without a counter
//! to keep. The purpose is authenticated along with it (a secret's app, provider and id), so that a
//! row copied to another place does not open. The key's id stands beside, so that a wrong key is told
//! from a damaged row, and an old key from the present one.
//!
//! A sealed text is: one byte for the form (1), 8 bytes key id, 24 bytes nonce, ciphertext and
//! tag.
//!
//! A vault has several keys while they are rotated: the first seals, all open. Keys of a file are
//! read again when the file has changed, so that a server takes part in a rotation without a restart.
//! Keys of the environment cannot change while a process runs.

mod error;
mod key;
mod key_file;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;

use crate::causes::chain;
use crate::domain::id::{AppSlug, HookSecretId, LicenseId, Provider, SecretId};
use crate::domain::words::words;

pub use error::{NotOpened, VaultError};
pub use key::KeyId;
use key::Keys;
use key_file::Stamp;
pub use key_file::{add_key, remove_old_keys};

/// The purpose of a sealed text, authenticated along with it.
#[derive(Clone, Copy, Debug)]
pub enum SealedFor<'a> {
    /// A webhook secret.
    Secret {
        /// Of which app.
        app: &'a AppSlug,
        /// Of which endpoint.
        provider: Provider,
        /// The secret.
        id: &'a SecretId,
    },
    /// A secret of a hook.
    HookSecret {
        /// Of which app.
        app: &'a AppSlug,
        /// The secret.
        id: &'a HookSecretId,
    },
    /// The key of a provider's API.
    ApiKey {
        /// Of which app.
        app: &'a AppSlug,
        /// Of which provider.
        provider: Provider,
    },
    /// The token of an app's Composer repository.
    Repository {
        /// Of which app.
        app: &'a AppSlug,
    },
    /// The key of a licence.
    License {
        /// Of which app.
        app: &'a AppSlug,
        /// The licence.
        id: &'a LicenseId,
    },
    /// The answer of a request with an `Idempotency-Key`.
    Answer {
        /// Names the request, without a blank.
        id: &'a str,
    },
    /// A session of the console.
    Session,
    /// A link to a customer's own page.
    PortalLink,
    /// The position at which a walk of a list goes on.
    Cursor {
        /// Names the list, without a blank.
        list: &'a str,
    },
}

impl SealedFor<'_> {
    /// No part can hold a blank, so no two things have the same text.
    fn text(self) -> String {
        match self {
            Self::Secret { app, provider, id } => format!("{app} {provider} {id}"),
            Self::HookSecret { app, id } => format!("hook {app} {id}"),
            Self::ApiKey { app, provider } => format!("api-key {app} {provider}"),
            Self::Repository { app } => format!("repository {app}"),
            Self::License { app, id } => format!("license {app} {id}"),
            Self::Answer { id } => format!("answer {id}"),
            Self::Session => "console session".to_owned(),
            Self::PortalLink => "portal link".to_owned(),
            Self::Cursor { list } => format!("cursor {list}"),
        }
    }
}

/// The place of a key among those of a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is the first, which seals.
    Current,
    /// It still opens, and can be removed when nothing is sealed with it any more.
    Old,
    /// The vault does not have it, or the text is damaged: nothing opens it.
    Unknown,
}

words!(KeyState, all {
    Current = "current",
    Old = "old",
    Unknown = "unknown",
});

/// Seals and opens what must not be read at rest. Cheap to clone; clones share their keys.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<RwLock<Loaded>>,
    file: Option<Arc<PathBuf>>,
}

struct Loaded {
    keys: Arc<Keys>,
    /// Of the file from which they were read.
    stamp: Stamp,
}

impl Vault {
    /// The vault of this key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self::with_old_keys(key, [])
    }

    /// The vault of a key that seals and opens, and of old ones that only open.
    pub fn with_old_keys<'a>(
        first: &[u8; 32],
        old: impl IntoIterator<Item = &'a [u8; 32]>,
    ) -> Self {
        Self::over(Keys::new(first, old), None, None)
    }

    fn over(keys: Keys, stamp: Stamp, file: Option<&Path>) -> Self {
        Self {
            keys: Arc::new(RwLock::new(Loaded {
                keys: Arc::new(keys),
                stamp,
            })),
            file: file.map(|path| Arc::new(path.to_owned())),
        }
    }

    /// The vault of the keys in this file; `None` if there is no such file. The file holds base64,
    /// as `TOLLGATE_SECRET_KEY` takes it.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn load(path: &Path) -> Result<Option<Self>, VaultError> {
        // Asked for first: a file that is replaced in between is then read once more.
        let stamp = key_file::stamp(path);
        let keys = key_file::read(path)?;
        Ok(keys.map(|keys| Self::over(keys, stamp, Some(path))))
    }

    /// The vault of the keys in this file, which is made, readable by its owner alone, if it is
    /// missing.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn load_or_make(path: &Path) -> Result<Self, VaultError> {
        match Self::load(path)? {
            Some(vault) => Ok(vault),
            None => Ok(Self::over(key_file::make(path)?, None, Some(path))),
        }
    }

    /// Seals a text.
    ///
    /// # Errors
    /// When there is no randomness for the nonce.
    pub fn seal(&self, what: SealedFor<'_>, secret: &str) -> Result<Vec<u8>, VaultError> {
        // What is sealed with a key that has been removed meanwhile could never be opened.
        self.reload();
        self.keys().first.seal(&what.text(), secret)
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// [`NotOpened`] when it was sealed with another key, for another secret, or damaged.
    pub fn open(&self, what: SealedFor<'_>, sealed: &[u8]) -> Result<SecretString, NotOpened> {
        let id = KeyId::of_sealed(sealed).ok_or(NotOpened)?;
        let keys = self.keys_for(id);
        let key = keys.find(id).ok_or(NotOpened)?;
        let plain = key.open(&what.text(), sealed).ok_or(NotOpened)?;
        let text = String::from_utf8(plain).map_err(|_| NotOpened)?;
        Ok(SecretString::from(text))
    }

    /// Returns the key that seals.
    pub fn key_id(&self) -> KeyId {
        self.keys().first.id
    }

    /// Returns the keys that only open.
    pub fn old_key_ids(&self) -> Vec<KeyId> {
        self.keys().old.iter().map(|key| key.id).collect()
    }

    /// Returns the state of a key by its id; `None` stands for that of a damaged text.
    pub fn state(&self, id: Option<KeyId>) -> KeyState {
        let Some(id) = id else {
            return KeyState::Unknown;
        };
        let keys = self.keys_for(id);
        match keys.find(id) {
            Some(_) if id == keys.first.id => KeyState::Current,
            Some(_) => KeyState::Old,
            None => KeyState::Unknown,
        }
    }

    /// Returns the keys, read again from the file if this one is not among those that are known.
    fn keys_for(&self, id: KeyId) -> Arc<Keys> {
        let keys = self.keys();
        if keys.find(id).is_some() {
            return keys;
        }
        self.reload();
        self.keys()
    }

    fn keys(&self) -> Arc<Keys> {
        let loaded = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&loaded.keys)
    }

    /// Reads the file again if it was replaced. One that cannot be read changes nothing, but is told
    /// of once: what is sealed meanwhile may be sealed with a key that is gone.
    fn reload(&self) {
        let Some(path) = self.file.as_deref() else {
            return;
        };
        let stamp = key_file::stamp(path);
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if stamp.is_none() || stamp == known.stamp {
            return;
        }
        drop(known);
        let read = key_file::read(path);
        let mut loaded = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(Some(keys)) => {
                let keys = Arc::new(keys);
                *loaded = Loaded { keys, stamp };
            }
            Ok(None) => {}
            Err(error) => {
                if loaded.stamp != stamp {
                    tracing::error!(
                        error = chain(&error),
                        "the key file was replaced and cannot be read; the keys from before stay in use"
                    );
                    loaded.stamp = stamp;
                }
            }
        }
    }
}

/// Shows which key, not the key.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.key_id())
    }
}
