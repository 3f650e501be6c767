//! The customer's token in a request.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::auth::credentials;
use crate::domain::access::token::{CUSTOMER_PREFIX, TokenHash};

/// The token of a request: a bearer token (RFC 6750), or one of HTTP Basic (RFC 7617). There it is
/// the password, and the user `token` by custom; some clients know only a user, so that may be the
/// token where there is no password, or where only it looks like one.
pub(super) fn presented(headers: &HeaderMap) -> Option<TokenHash> {
    if let Some(token) = credentials(headers, "bearer") {
        return Some(TokenHash::of(token));
    }
    // Bytes: a name in Latin-1 before the colon makes a token no less right.
    let pair = STANDARD.decode(credentials(headers, "basic")?).ok()?;
    let at = pair.iter().position(|&byte| byte == b':')?;
    let (user, password) = (&pair[..at], &pair[at + 1..]);
    let is_ours = |text: &[u8]| text.starts_with(CUSTOMER_PREFIX.as_bytes());
    let is_user = password.is_empty() || is_ours(user) && !is_ours(password);
    let token = if is_user { user } else { password };
    Some(TokenHash::of_bytes(token))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn a_token_is_the_password_or_else_the_user() {
        let cases: [(&str, &[u8], Option<&str>); 9] = [
            ("by custom", b"token:tok_a", Some("tok_a")),
            ("any user", b"ada:tok_a", Some("tok_a")),
            ("a user in Latin-1", b"J\xfcrgen:tok_a", Some("tok_a")),
            ("a password with a colon", b"token:a:b", Some("a:b")),
            ("no password", b"tok_a:", Some("tok_a")),
            (
                "a password of no use",
                b"tok_a:x-oauth-basic",
                Some("tok_a"),
            ),
            ("two tokens", b"tok_a:tok_b", Some("tok_b")),
            ("an imported token", b"token:0123", Some("0123")),
            ("no colon", b"tok_a", None),
        ];
        for (description, pair, expected) in cases {
            let mut headers = HeaderMap::new();
            let value = format!("Basic {}", STANDARD.encode(pair));
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
            assert_eq!(
                presented(&headers),
                expected.map(TokenHash::of),
                "{description}"
            );
        }
    }
}
