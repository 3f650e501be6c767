//! The keys of licences: how they are made, read and looked up.
//!
//! A key that was made here is typed from letters and screens, so it is read as people type it:
//! case, blanks and hyphens do not count, `O` is `0`, and `I` and `L` are `1`. A key from elsewhere
//! has rules of its own and is taken to the byte.
//!
//! The store finds a key by its hash and keeps the key itself sealed: it is shown again to whoever
//! lost it, but a copy of the database gives nobody a licence. The hash of a made key cannot be
//! guessed; that of a short one from elsewhere can.

use std::fmt;

use sha2::{Digest, Sha256};

/// The number of random bytes in a generated key.
pub const KEY_BYTES: usize = 25;
/// The number of characters between two hyphens of a generated key.
const GROUP: usize = 5;
/// The characters of generated keys: digits and capitals without I, L, O and U, which are misread
/// or form words. <https://www.crockford.com/base32.html>
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The key of a licence, as it is issued.
#[derive(Clone, PartialEq, Eq)]
pub struct LicenseKey {
    text: String,
    is_made: bool,
}

impl LicenseKey {
    /// Generates the key of these random bytes: five groups of five characters, 125 random bits.
    pub fn made(random: [u8; KEY_BYTES]) -> Self {
        // 32 divides 256, so all characters are equally likely.
        let characters = random.map(|byte| ALPHABET[usize::from(byte % 32)]);
        Self {
            text: grouped(&characters),
            is_made: true,
        }
    }

    /// A key that was sold elsewhere.
    pub fn foreign(text: String) -> Self {
        Self {
            text,
            is_made: false,
        }
    }

    /// Returns the text that the customer enters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether it was made here.
    pub fn is_made(&self) -> bool {
        self.is_made
    }

    /// Returns the hash by which it is found.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.text)
    }
}

/// Never shows the text.
impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LicenseKey([REDACTED])")
    }
}

/// The SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Returns the hash of these bytes, which the store has.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for the store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Never shows the hash: whoever has it can tell whether a guess is right.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash([REDACTED])")
    }
}

/// A key as somebody typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypedKey {
    /// What finds it to the byte, but for blanks around it, which copying leaves there.
    pub exact: KeyHash,
    /// What finds it among the keys that were made here; that of `exact` if it reads as none.
    pub made: KeyHash,
}

impl TypedKey {
    /// Reports whether a text reads as a key that was made here.
    pub fn is_made(text: &str) -> bool {
        as_made(text).is_some()
    }

    /// Reads a text.
    pub fn read(text: &str) -> Self {
        let exact = KeyHash::of(text.trim());
        let made = as_made(text).map(|key| KeyHash::of(&key));
        Self {
            exact,
            made: made.unwrap_or(exact),
        }
    }
}

/// The made key that a text is meant as; `None` if it cannot be one.
fn as_made(text: &str) -> Option<String> {
    let mut characters = Vec::with_capacity(KEY_BYTES);
    for character in text.chars().filter(|it| !separates(*it)) {
        let character = match character.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let character = u8::try_from(character).ok()?;
        if characters.len() == KEY_BYTES || !ALPHABET.contains(&character) {
            return None;
        }
        characters.push(character);
    }
    (characters.len() == KEY_BYTES).then(|| grouped(&characters))
}

/// Blanks, what looks like a hyphen, and what word processors and chats put in unseen.
fn separates(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '-' | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2010}'..='\u{2015}')
        || matches!(character, '\u{2060}' | '\u{2212}' | '\u{feff}')
}

fn grouped(characters: &[u8]) -> String {
    let groups = characters.chunks(GROUP).map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_five_groups_of_unmistakable_characters() {
        let mut random = [0; KEY_BYTES];
        for (index, byte) in (0_u8..).zip(random.iter_mut()) {
            *byte = index.wrapping_mul(11);
        }
        let text = |random| LicenseKey::made(random).text().to_owned();
        assert_eq!(text(random), "0BP1C-Q2DR3-ES4FT-5GV6H-W7JX8");
        assert_eq!(text([255; KEY_BYTES]), "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ");
    }

    #[test]
    fn a_made_key_is_read_as_people_type_it() {
        let key = "0BP1C-Q2DR3-ES4FT-5GV6H-W7JX8";
        for typed in [
            key,
            " 0BP1C-Q2DR3-ES4FT-5GV6H-W7JX8\r\n",
            "0bp1c-q2dr3-es4ft-5gv6h-w7jx8",
            "0BP1CQ2DR3ES4FT5GV6HW7JX8",
            "OBPIC Q2DR3 ES4FT 5GV6H W7JX8",
            "obplc\u{2011}q2dr3\u{2013}es4ft\u{2014}5gv6h\u{a0}-\u{200b}w7jx8",
            "0BP1C-Q2DR3-ES4FT-\n5GV6H-W7JX8",
        ] {
            assert_eq!(as_made(typed).as_deref(), Some(key), "{typed:?}");
        }
        for other in [
            "",
            "K",
            "0BP1C-Q2DR3-ES4FT-5GV6H-W7JX",
            "0BP1C-Q2DR3-ES4FT-5GV6H-W7JX88",
            "0BP1C-Q2DR3-ES4FT-5GV6H-W7JXU",
            "0BP1C_Q2DR3_ES4FT_5GV6H_W7JX8",
            "0BP1C-Q2DR3-ES4FT-5GV6H-W7JXé",
        ] {
            assert_eq!(as_made(other), None, "{other:?}");
        }
    }

    #[test]
    fn debug_output_shows_neither_text_nor_hash() {
        let key = LicenseKey::made([7; KEY_BYTES]);
        assert_eq!(format!("{key:?}"), "LicenseKey([REDACTED])");
        assert_eq!(format!("{:?}", key.hash()), "KeyHash([REDACTED])");
    }
}
