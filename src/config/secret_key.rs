//! The key of what is encrypted at rest.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

/// The key that encrypts webhook secrets at rest: 32 bytes.
#[derive(Clone)]
pub struct SecretKey(Arc<SecretBox<[u8; 32]>>);

impl SecretKey {
    /// Takes the bytes of a key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(SecretBox::new(Box::new(bytes))))
    }

    /// Reads a key from standard base64, with or without `=` at its end; white space around it
    /// is ignored.
    ///
    /// # Errors
    ///
    /// When the text is not base64, or not of 32 bytes; the text is not repeated.
    pub fn from_base64(text: &str) -> Result<Self, SecretKeyError> {
        const ENGINE: GeneralPurpose = GeneralPurpose::new(
            &alphabet::STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let bytes = match ENGINE.decode(text.trim()) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(_) => return Err(SecretKeyError::NotBase64),
        };
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Self::new(key)),
            Err(_) => Err(SecretKeyError::WrongLength(bytes.len())),
        }
    }

    /// The bytes, for the cipher alone.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey([REDACTED])")
    }
}

/// Why a text is no [`SecretKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    /// Other characters than those of base64, or cut short.
    #[error("not base64")]
    NotBase64,
    /// Base64 of another number of bytes, which is given.
    #[error("{0} bytes long")]
    WrongLength(usize),
}
