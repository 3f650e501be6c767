//! Keys: one that seals, and older ones that still open.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use super::error::VaultError;
use crate::random;

const FORM: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;

/// The short name of a key, which stands in everything that the key sealed: the first 8 bytes of
/// its SHA-256. It says nothing about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID]);

impl KeyId {
    /// Returns the id of the key that sealed this; `None` if it is damaged.
    pub fn of_sealed(sealed: &[u8]) -> Option<Self> {
        let (form, rest) = sealed.split_first()?;
        let (id, _) = rest.split_first_chunk::<KEY_ID>()?;
        (*form == FORM).then_some(Self(*id))
    }

    /// Makes an id of its bytes; `None` if there are too few or too many.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns its bytes, as they stand from the second byte on in what the key sealed.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Writes it in hexadecimal.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A key, ready for use.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: KeyId,
    cipher: XChaCha20Poly1305,
}

impl Key {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest[..KEY_ID]);
        Self {
            id: KeyId(id),
            cipher: XChaCha20Poly1305::new(key.into()),
        }
    }

    pub(super) fn seal(&self, place: &str, text: &str) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE] = random::bytes().map_err(|source| VaultError::Random { source })?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| VaultError::Cipher)?;
        Ok([&[FORM][..], &self.id.0, &nonce, &sealed].concat())
    }

    /// Opens what this key sealed for this place.
    pub(super) fn open(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let rest = sealed.get(1 + KEY_ID..)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: ciphertext,
            aad: place.as_bytes(),
        };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

/// The keys of a vault, at least one.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) first: Key,
    pub(super) old: Vec<Key>,
}

impl Keys {
    /// Orders keys, the sealing one first; one that is there twice counts once.
    pub(super) fn new<'a>(first: &[u8; 32], old: impl IntoIterator<Item = &'a [u8; 32]>) -> Self {
        let first = Key::new(first);
        let mut kept: Vec<Key> = Vec::new();
        for key in old.into_iter().map(Key::new) {
            if key.id != first.id && kept.iter().all(|it| it.id != key.id) {
                kept.push(key);
            }
        }
        Self { first, old: kept }
    }

    pub(super) fn find(&self, id: KeyId) -> Option<&Key> {
        let mut all = std::iter::once(&self.first).chain(&self.old);
        all.find(|key| key.id == id)
    }
}
