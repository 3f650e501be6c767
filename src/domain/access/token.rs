//! Bearer tokens: customers' tokens for registries, and admins' tokens for the API.
//!
//! A token is a prefix that tells people and secret scanners what it is, and 256 random bits. Only
//! the SHA-256 of the whole text is stored: a slow hash protects guessable passwords, and 256
//! random bits cannot be guessed. Tokens are looked up by that hash, so the time of a look-up
//! reveals nothing about the text.
//!
//! Customers who come from another system bring the tokens that their machines know. Those are
//! taken over as they are, if they are long enough that nobody guesses them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::id::{AdminTokenId, AppSlug, CustomerId, TokenId};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;

/// The prefix of customers' tokens.
pub const CUSTOMER_PREFIX: &str = "tok_";
/// The prefix of admins' tokens.
const ADMIN_PREFIX: &str = "tga_";
/// What the texts of all tokens begin with.
pub const PREFIXES: [&str; 2] = [CUSTOMER_PREFIX, ADMIN_PREFIX];
/// The number of characters stored in plain text, so that people can tell their tokens apart. Six
/// of them are random: 220 bits stay unknown.
const SHOWN_CHARACTERS: usize = 10;
/// The same of a text that was taken over, which may be made of few hexadecimal digits.
const SHOWN_OF_TAKEN: usize = 4;

/// The least number of characters of a text that is taken over: 128 bits as hexadecimal digits.
pub const MIN_TAKEN: usize = 32;
/// The most characters of such a text.
pub const MAX_TAKEN: usize = 255;

/// The text of a new token. It lives only until the one answer that shows it.
pub struct TokenText {
    text: String,
    shown: usize,
}

impl TokenText {
    /// Makes a customer's token of these random bytes.
    pub fn for_customer(random: [u8; 32]) -> Self {
        Self::new(CUSTOMER_PREFIX, random)
    }

    /// Makes an admin's token of these random bytes.
    pub fn for_admin(random: [u8; 32]) -> Self {
        Self::new(ADMIN_PREFIX, random)
    }

    fn new(prefix: &str, random: [u8; 32]) -> Self {
        Self {
            text: format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random)),
            shown: SHOWN_CHARACTERS,
        }
    }

    /// Takes over a text that a customer has already. It must be one that every client can send,
    /// as a bearer token and as either half of HTTP Basic.
    ///
    /// # Errors
    /// When the value is wrong, with the end of a sentence about it.
    pub fn taken_over(text: String) -> Result<Self, String> {
        let is_sendable = text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if is_sendable && (MIN_TAKEN..=MAX_TAKEN).contains(&text.len()) {
            let shown = SHOWN_OF_TAKEN;
            Ok(Self { text, shown })
        } else {
            Err(format!(
                "must be {MIN_TAKEN} to {MAX_TAKEN} printable ASCII characters without blanks and colons"
            ))
        }
    }

    /// Returns the text, for the answer that shows it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the hash, which is stored.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.text)
    }

    /// Returns the first characters, by which people tell their tokens apart.
    pub fn shown_prefix(&self) -> String {
        self.text.chars().take(self.shown).collect()
    }
}

/// Never shows the text.
impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText([REDACTED])")
    }
}

/// The SHA-256 of a token's text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes any presented text.
    pub fn of(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    /// Hashes what was presented as bytes, which need be no text.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads a hash as systems write it that keep no texts either: 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the value is wrong, with the end of a sentence about it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash)
            .map_err(|_| "must be a SHA-256, 64 hexadecimal digits".to_owned())?;
        // An export that hashes empty columns writes it; whoever asks without a token would have it.
        if hash[..] == Sha256::digest(b"")[..] {
            return Err("is the SHA-256 of an empty text, which is no token".to_owned());
        }
        Ok(Self(hash))
    }

    /// Returns the bytes, for the store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Never shows the hash: whoever has it can tell whether a guess is right.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash([REDACTED])")
    }
}

/// A token that comes from another system, where it is known by its text or only by its hash.
#[derive(Debug)]
pub enum TakenToken {
    /// Its text.
    Text(TokenText),
    /// Its hash. Nobody can tell how long the text is, or show its beginning.
    Hash(TokenHash),
}

impl TakenToken {
    /// Returns the hash, which is stored.
    pub fn hash(&self) -> TokenHash {
        match self {
            Self::Text(text) => text.hash(),
            Self::Hash(hash) => *hash,
        }
    }

    /// Returns the first characters of the text, none where it is not known: those of the hash
    /// would help only those who guess.
    pub fn prefix(&self) -> String {
        match self {
            Self::Text(text) => text.shown_prefix(),
            Self::Hash(_) => String::new(),
        }
    }
}

/// An access token of a customer, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerToken {
    /// The id in the API.
    pub id: TokenId,
    /// The row that the token was given to. It counts for the customer that this row belongs to
    /// now.
    pub customer: CustomerId,
    /// The name that people gave it.
    pub name: String,
    /// A word for the registry, repeated in each answer of the access check (default `read`).
    /// Tollgate itself does not interpret it.
    pub scope: String,
    /// Patterns of the packages that it opens, where `*` stands for any run of characters. Empty:
    /// all packages that the customer may have.
    pub packages: Vec<String>,
    /// The first characters of the token.
    pub prefix: String,
    /// The time of creation, by the local clock.
    pub created_at: Timestamp,
    /// The time from which it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// The approximate time of its last use; written lazily.
    pub last_used_at: Option<Timestamp>,
    /// The time until which the text before its last rotation opens it too; `None` if that text was
    /// given no time.
    pub previous_until: Option<Timestamp>,
}

impl CustomerToken {
    /// The token as it is for whoever presents a text that ends at `until`.
    #[must_use]
    pub fn until(mut self, until: Option<Timestamp>) -> Self {
        self.expires_at = match (self.expires_at, until) {
            (Some(end), Some(until)) => Some(end.min(until)),
            (end, until) => end.or(until),
        };
        self
    }

    /// Reports whether the token has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Reports whether its patterns open this package.
    pub fn opens(&self, package: &str) -> bool {
        self.packages.is_empty()
            || self
                .packages
                .iter()
                .any(|pattern| matches(pattern, package))
    }
}

/// An admin token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    /// The id in the API and in the audit log.
    pub id: AdminTokenId,
    /// The only app that it is valid for; `None` for all apps.
    pub app: Option<AppSlug>,
    /// The name that people gave it.
    pub name: String,
    /// The role, which decides what the token allows.
    pub role: Role,
    /// The first characters of the token.
    pub prefix: String,
    /// The time of creation, by the local clock.
    pub created_at: Timestamp,
    /// The time from which it is refused.
    pub expires_at: Option<Timestamp>,
    /// The approximate time of its last use; written lazily.
    pub last_used_at: Option<Timestamp>,
}

impl AdminToken {
    /// Reports whether the token has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// Reports whether the pattern, in which `*` stands for any run of characters, matches the whole
/// text. Backtracks only to the last `*`, so it takes at most pattern × text steps.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == text.get(t) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((star_p, star_t)) = star {
            (p, t) = (star_p + 1, star_t + 1);
            star = Some((star_p, star_t + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_prefix_and_256_bits() {
        let text = TokenText::for_customer([0xff; 32]);
        assert_eq!(
            text.expose(),
            "tok___________________________________________8"
        );
        assert_eq!(text.shown_prefix(), "tok_______");
        assert!(
            TokenText::for_admin([0; 32])
                .expose()
                .starts_with("tga_AAAA")
        );
    }

    #[test]
    fn a_text_is_taken_over_that_is_long_and_can_be_sent() {
        let hex = "0123456789abcdef0123456789ABCDEF";
        let cases = [
            ("32 digits", hex.to_owned(), true),
            (
                "signs",
                "a!\"#$%&'()*+,-./;<=>?@[\\]^_`{|}~".to_owned(),
                true,
            ),
            ("the longest", "x".repeat(255), true),
            ("31 digits", hex[1..].to_owned(), false),
            ("too long", "x".repeat(256), false),
            ("a blank", format!("{hex} "), false),
            ("a line break", format!("{hex}\n"), false),
            ("a colon", format!("user:{hex}"), false),
            ("beyond ASCII", format!("{hex}é"), false),
            ("many bytes of few characters", "é".repeat(16), false),
        ];
        for (description, text, expected) in cases {
            let taken = TokenText::taken_over(text.clone());
            assert_eq!(taken.is_ok(), expected, "{description}");
            if let Ok(taken) = taken {
                assert_eq!(taken.expose(), text, "{description}");
                assert_eq!(taken.shown_prefix(), text[..4], "{description}");
            }
        }
    }

    #[test]
    fn debug_output_shows_neither_text_nor_hash() {
        let text = TokenText::for_customer([7; 32]);
        assert_eq!(format!("{text:?}"), "TokenText([REDACTED])");
        assert_eq!(format!("{:?}", text.hash()), "TokenHash([REDACTED])");
    }

    #[test]
    fn the_hash_is_sha_256_of_the_whole_text() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(TokenHash::of("abc").as_bytes()), known);
    }

    #[test]
    fn a_token_known_by_its_hash_is_that_of_the_text_and_shows_nothing() {
        let known = "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let taken = TakenToken::Hash(TokenHash::parse(known).unwrap());
        assert_eq!(taken.hash(), TokenHash::of("abc"));
        assert_eq!(taken.prefix(), "");
        assert!(!format!("{taken:?}").contains("7816"));
        for wrong in ["", "abc", &known[1..], &known.replace('B', "x")] {
            assert!(TokenHash::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        let cases = [
            ("*", "acme/tool", true),
            ("acme/*", "acme/tool", true),
            ("acme/*", "acme/", true),
            ("acme/*", "other/tool", false),
            ("acme/tool", "acme/tool", true),
            ("acme/tool", "acme/toolbox", false),
            ("*/tool", "acme/tool", true),
            ("acme/*-pro", "acme/tool-pro-pro", true),
            ("acme/*-pro", "acme/tool-prof", false),
            ("a*b*c", "aXbXbc", true),
            ("", "acme/tool", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "`{pattern}` on `{text}`");
        }
    }

    #[test]
    fn a_token_ends_at_its_last_instant() {
        let token = |expires_at| AdminToken {
            id: AdminTokenId::from_uuid(uuid::Uuid::nil()),
            app: None,
            name: "t".to_owned(),
            role: Role::Viewer,
            prefix: String::new(),
            created_at: Timestamp::from_nanos(0),
            expires_at,
            last_used_at: None,
        };
        let at = Timestamp::from_nanos;
        assert!(!token(None).is_expired(at(i64::MAX)));
        assert!(!token(Some(at(10))).is_expired(at(9)));
        assert!(token(Some(at(10))).is_expired(at(10)));
    }
}
