//! What a key says of itself.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::domain::mode::Mode;

/// Tells the mode of a key by how it begins; `Any` if it does not say, as Paddle's older keys.
/// <https://docs.stripe.com/keys>, <https://developer.paddle.com/api-reference/about/api-keys>
pub fn mode_of(key: &SecretString) -> Mode {
    let key = key.expose_secret();
    let begins = |prefixes: &[&str]| prefixes.iter().any(|it| key.starts_with(it));
    if begins(&["sk_live_", "rk_live_", "pdl_live_"]) {
        Mode::Live
    } else if begins(&["sk_test_", "rk_test_", "pdl_sdbx_"]) {
        Mode::Test
    } else {
        Mode::Any
    }
}

/// Tells keys apart without keeping them.
pub(super) fn digest_of(key: &SecretString) -> [u8; 32] {
    Sha256::digest(key.expose_secret()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_mode_by_its_beginning() {
        for (key, mode) in [
            ("sk_live_1", Mode::Live),
            ("rk_live_1", Mode::Live),
            ("sk_test_1", Mode::Test),
            ("rk_test_1", Mode::Test),
            ("pdl_live_apikey_1", Mode::Live),
            ("pdl_sdbx_apikey_1", Mode::Test),
            ("0123456789", Mode::Any),
        ] {
            assert_eq!(mode_of(&key.to_owned().into()), mode, "{key}");
        }
    }
}
