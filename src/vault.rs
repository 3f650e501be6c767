//! Seals webhook secrets and kept answers, which must not be readable at rest, with one key of 32
//! bytes.
//!
//! `XChaCha20-Poly1305`: its nonce of 24 bytes may be random for every sealing, without a counter
//! to keep. The purpose is authenticated along with it (a secret's app, provider and id), so that a
//! row copied to another place does not open. The key's id stands beside, so that a wrong key is told
//! from a damaged row.
//!
//! A sealed text is: one byte for the form (1), 8 bytes key id, 24 bytes nonce, ciphertext and
//! tag.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};

use crate::domain::id::{AppSlug, Provider, SecretId};
use crate::random::{self, RandomError};

const FORM: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;

/// The vault could not be opened, or could not seal.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key's file could not be read or made.
    #[error("the key file {path} could not be read or made")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file is there and holds something else.
    #[error("the key file {path} does not hold 32 bytes in base64")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// No nonce or key could be drawn.
    #[error("nothing can be sealed without randomness")]
    Random {
        /// The cause.
        #[source]
        source: RandomError,
    },
    /// The cipher refused, which it does only for texts of many gigabytes.
    #[error("the secret could not be sealed")]
    Cipher,
}

/// A sealed secret does not open: it was sealed with another key or for another secret, or is
/// damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret does not open with the present TOLLGATE_SECRET_KEY")]
pub struct NotOpened;

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
    /// The token of an app's Composer repository.
    Repository {
        /// Of which app.
        app: &'a AppSlug,
    },
    /// The answer of a request with an `Idempotency-Key`.
    Answer {
        /// Names the request, without a blank.
        id: &'a str,
    },
}

impl SealedFor<'_> {
    /// No part can hold a blank, so no two things have the same text.
    fn text(self) -> String {
        match self {
            Self::Secret { app, provider, id } => format!("{app} {provider} {id}"),
            Self::Repository { app } => format!("repository {app}"),
            Self::Answer { id } => format!("answer {id}"),
        }
    }
}

/// Seals and opens what must not be read at rest.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    key_id: [u8; KEY_ID],
}

impl Vault {
    /// The vault of this key.
    pub fn new(key: &[u8; 32]) -> Self {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut key_id = [0; KEY_ID];
        key_id.copy_from_slice(&digest[..KEY_ID]);
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
            key_id,
        }
    }

    /// The vault of the key in this file, which is made, readable by its owner alone, if it is
    /// missing. The file holds base64, as `TOLLGATE_SECRET_KEY` takes it.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn load_or_make(path: &Path) -> Result<Self, VaultError> {
        let file_error = |source| VaultError::File {
            path: path.to_owned(),
            source,
        };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                Self::from_base64(&Zeroizing::new(text)).ok_or_else(|| VaultError::Malformed {
                    path: path.to_owned(),
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Zeroizing::new(
                    random::bytes::<32>().map_err(|source| VaultError::Random { source })?,
                );
                write_new(path, &STANDARD.encode(*key)).map_err(file_error)?;
                Ok(Self::new(&key))
            }
            Err(error) => Err(file_error(error)),
        }
    }

    fn from_base64(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        let key: &[u8; 32] = bytes.as_slice().try_into().ok()?;
        Some(Self::new(key))
    }

    /// Seals a text.
    ///
    /// # Errors
    /// When there is no randomness for the nonce.
    pub fn seal(&self, what: SealedFor<'_>, secret: &str) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE] = random::bytes().map_err(|source| VaultError::Random { source })?;
        let place = what.text();
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| VaultError::Cipher)?;
        Ok([&[FORM][..], &self.key_id, &nonce, &sealed].concat())
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// [`NotOpened`] when it was sealed with another key, for another secret, or damaged.
    pub fn open(&self, what: SealedFor<'_>, sealed: &[u8]) -> Result<SecretString, NotOpened> {
        self.open_bytes(what, sealed).ok_or(NotOpened)
    }

    fn open_bytes(&self, what: SealedFor<'_>, sealed: &[u8]) -> Option<SecretString> {
        let (form, rest) = sealed.split_first()?;
        let (key_id, rest) = rest.split_first_chunk::<KEY_ID>()?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>()?;
        if *form != FORM || *key_id != self.key_id {
            return None;
        }
        let place = what.text();
        let payload = Payload {
            msg: ciphertext,
            aad: place.as_bytes(),
        };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        String::from_utf8(plain).ok().map(SecretString::from)
    }
}

/// Shows which key, not the key.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", hex::encode(self.key_id))
    }
}

/// Writes a file that must not be there yet: two processes that start at once must not both
/// believe in their own key.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use uuid::Uuid;

    use super::*;

    fn default_app() -> AppSlug {
        AppSlug::default_app()
    }

    #[test]
    fn what_is_sealed_opens_again_and_is_not_readable() {
        let (vault, app) = (Vault::new(&[7; 32]), default_app());
        let id = SecretId::from_uuid(Uuid::nil());
        let what = SealedFor::Secret {
            app: &app,
            provider: Provider::named("stripe"),
            id: &id,
        };
        let sealed = vault.seal(what, "whsec_abc").unwrap();
        assert!(!sealed.windows(9).any(|window| window == b"whsec_abc"));
        assert_ne!(
            sealed,
            vault.seal(what, "whsec_abc").unwrap(),
            "the nonce is random"
        );
        assert_eq!(
            vault.open(what, &sealed).unwrap().expose_secret(),
            "whsec_abc"
        );
    }

    #[test]
    fn another_key_place_or_text_does_not_open() {
        let (vault, app) = (Vault::new(&[7; 32]), default_app());
        let id = SecretId::from_uuid(Uuid::nil());
        let what = SealedFor::Secret {
            app: &app,
            provider: Provider::named("stripe"),
            id: &id,
        };
        let sealed = vault.seal(what, "whsec_abc").unwrap();
        let refused = |vault: &Vault, what, sealed: &[u8], why: &str| {
            assert!(matches!(vault.open(what, sealed), Err(NotOpened)), "{why}");
        };
        refused(&Vault::new(&[8; 32]), what, &sealed, "another key");
        let paddle = SealedFor::Secret {
            app: &app,
            provider: Provider::named("paddle"),
            id: &id,
        };
        refused(&vault, paddle, &sealed, "another provider");
        let other_id = SecretId::from_uuid(Uuid::max());
        refused(
            &vault,
            SealedFor::Secret {
                app: &app,
                provider: Provider::named("stripe"),
                id: &other_id,
            },
            &sealed,
            "another id",
        );
        let other_app: AppSlug = "other".parse().unwrap();
        refused(
            &vault,
            SealedFor::Secret {
                app: &other_app,
                provider: Provider::named("stripe"),
                id: &id,
            },
            &sealed,
            "another app",
        );
        let answer = SealedFor::Answer { id: id.as_str() };
        refused(&vault, answer, &sealed, "an answer");
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            refused(&vault, what, &damaged, &format!("byte {index} changed"));
            refused(
                &vault,
                what,
                &sealed[..index],
                &format!("cut to {index} bytes"),
            );
        }
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let (app, id) = (default_app(), SecretId::from_uuid(Uuid::nil()));
        let what = SealedFor::Secret {
            app: &app,
            provider: Provider::named("paddle"),
            id: &id,
        };
        let sealed = Vault::load_or_make(&path)
            .unwrap()
            .seal(what, "pdl_x")
            .unwrap();
        let again = Vault::load_or_make(&path).unwrap();
        assert_eq!(again.open(what, &sealed).unwrap().expose_secret(), "pdl_x");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_file_with_something_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        for text in ["", "AAAA", "not base64 at all"] {
            std::fs::write(&path, text).unwrap();
            let error = Vault::load_or_make(&path).unwrap_err();
            assert!(
                matches!(error, VaultError::Malformed { .. }),
                "{text:?}: {error}"
            );
        }
    }
}
