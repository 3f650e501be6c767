//! The key for encryption at rest.

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
    /// Makes a key of its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(SecretBox::new(Box::new(bytes))))
    }

    /// Reads a key from standard base64, with or without `=` at its end; white space around it
    /// is ignored.
    ///
    /// # Errors
    ///
    /// When the text is not base64, not of 32 bytes, or of one byte again and again. The error does not repeat the text.
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
            // Anybody would try it: one that nobody has drawn, but typed or never filled in.
            Ok(key) if key.iter().all(|byte| *byte == key[0]) => Err(SecretKeyError::OneByte),
            Ok(key) => Ok(Self::new(key)),
            Err(_) => Err(SecretKeyError::WrongLength(bytes.len())),
        }
    }

    /// Returns the bytes. Only for the cipher.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey([REDACTED])")
    }
}

/// A text that is not a [`SecretKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    /// The text is not base64, or is cut short.
    #[error("not base64")]
    NotBase64,
    /// The text encodes this number of bytes instead of 32.
    #[error("{0} bytes long")]
    WrongLength(usize),
    /// The text encodes one byte, 32 times.
    #[error("the same byte 32 times")]
    OneByte,
}
