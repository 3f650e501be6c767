//! Reasons why nothing can be sealed or opened.

use std::io;
use std::path::PathBuf;

use crate::random::RandomError;

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
