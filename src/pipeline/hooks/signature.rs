//! Signatures after Standard Webhooks, version 1:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//!
//! Refused: the reference library for Rust, which brings older versions of the crates that everything
//! else here is signed and verified with. Tests verify with the one for Python.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::random::{self, RandomError};

/// What secrets begin with, so that they are known for what they are.
const PREFIX: &str = "whsec_";

/// Bytes of a secret: as many as the specification proposes.
const BYTES: usize = 32;

/// Makes a secret.
///
/// # Errors
/// When there is no randomness.
pub(super) fn secret() -> Result<SecretString, RandomError> {
    let bytes: [u8; BYTES] = random::bytes()?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)).into())
}

/// Signs a delivery: one signature for each secret, newest first. A text that is no secret signs
/// nothing.
pub(super) fn sign(secrets: &[SecretString], id: &str, seconds: i64, body: &str) -> String {
    let signed = secrets.iter().filter_map(|secret| {
        let key = secret.expose_secret().strip_prefix(PREFIX)?;
        let key = STANDARD.decode(key).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        let digest = mac.finalize().into_bytes();
        Some(format!("v1,{}", STANDARD.encode(digest)))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn a_delivery_is_signed_as_the_specification_says() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = r#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let one = sign(std::slice::from_ref(&secret), id, 1_614_265_330, body);
        assert_eq!(one, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = sign(&[secret.clone(), secret], id, 1_614_265_330, body);
        assert_eq!(two, format!("{one} {one}"));
    }

    #[test]
    fn a_secret_is_known_by_its_beginning_and_holds_32_bytes() {
        let secret = secret().unwrap();
        let text = secret
            .expose_secret()
            .strip_prefix(PREFIX)
            .unwrap()
            .to_owned();
        assert_eq!(STANDARD.decode(text).unwrap().len(), 32);
    }
}
