//! Validation of what people and scripts send: e-mail addresses, names, package names, metadata.
//!
//! The limits protect the store and everybody who reads it later. They are deliberately wide: an
//! address or a name that a billing provider accepted must not be refused when an admin types it.

use serde_json::Value;

use super::spelling;

/// An error in one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, as a path such as `packages[0].constraint` if it is nested.
    pub field: String,
    /// The error, as the end of a sentence about the field: `must be …`.
    pub message: String,
}

impl FieldError {
    /// Makes an error of this field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// Maximum number of bytes of a name, a reason, an address line or an external id.
pub const MAX_TEXT: usize = 255;
/// Maximum number of bytes of an e-mail address: what fits into SMTP's path of 256 (RFC 5321,
/// section 4.5.3.1.3).
pub const MAX_EMAIL: usize = 254;
/// Maximum number of bytes of metadata, as JSON.
pub const MAX_METADATA: usize = 16 * 1024;
/// Maximum nesting depth of metadata; its outer object is the first level.
pub const MAX_METADATA_DEPTH: usize = 8;

/// Checks a line of text: 1 to [`MAX_TEXT`] bytes, not blank, without control characters and without
/// invisible ones that no name needs.
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn line(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.len() > MAX_TEXT {
        return Err(format!("must be at most {MAX_TEXT} bytes long"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    match spelling::invisible_in_name(text) {
        Some(character) => Err(hidden(character)),
        None => Ok(text.to_owned()),
    }
}

fn hidden(character: char) -> String {
    format!(
        "must not contain the invisible character U+{:04X}",
        u32::from(character)
    )
}

/// Checks the length of a text whose form somebody else checks: at most [`MAX_TEXT`] bytes.
///
/// # Errors
/// When it is longer, with the end of a sentence about it.
pub fn short(text: &str) -> Result<&str, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("must be at most {MAX_TEXT} bytes long"));
    }
    Ok(text)
}

/// Checks an e-mail address: something without white space and invisible characters on both sides
/// of an `@`. No finer rule is tried, because only sending mail can tell whether it arrives.
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn email(text: &str) -> Result<String, String> {
    // Before `line`, which names a longer limit.
    if text.trim().len() > MAX_EMAIL {
        return Err(format!("must be at most {MAX_EMAIL} bytes long"));
    }
    let text = line(text)?;
    if let Some(character) = spelling::invisible(&text) {
        return Err(hidden(character));
    }
    let good = text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !local.contains('@')
            && !domain.is_empty()
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !domain.contains("..")
            && !text.contains(|c: char| c.is_whitespace() || "<>(),;:\\\"[]".contains(c))
    });
    if good {
        Ok(text)
    } else {
        Err("must be an e-mail address".to_owned())
    }
}

/// Checks a package name by Composer's rules: runs of lower-case letters and digits, with one `.`,
/// `_` or `-` between two runs; after the slash also `--`.
/// <https://getcomposer.org/doc/04-schema.md#name>
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn package(name: &str) -> Result<String, String> {
    if name.len() <= MAX_TEXT && is_package_name(name) {
        Ok(name.to_owned())
    } else {
        Err("must be of the form vendor/package in lower case".to_owned())
    }
}

fn is_package_name(name: &str) -> bool {
    let is_name = |text: &str| {
        text.split(['.', '_', '-']).all(|run| {
            !run.is_empty()
                && run
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    };
    // One `--` counts as one separator; a third hyphen leaves an empty run.
    name.split_once('/')
        .is_some_and(|(vendor, package)| is_name(vendor) && is_name(&package.replace("--", "-")))
}

/// Checks a package name of any kind: Composer's `vendor/name`, a `name`, or npm's `@scope/name`.
/// Names and scopes are of `a-z`, `0-9`, `.`, `_` and `-`, and begin with a letter or a digit.
/// <https://docs.npmjs.com/cli/configuring-npm/package-json#name>
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn any_package(name: &str) -> Result<String, String> {
    let is_name = |text: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        text.bytes().next().is_some_and(plain)
            && text.bytes().all(|b| plain(b) || b"._-".contains(&b))
    };
    let is_npms = match name.strip_prefix('@') {
        Some(scoped) => scoped
            .split_once('/')
            .is_some_and(|(scope, name)| is_name(scope) && is_name(name)),
        None => is_name(name),
    };
    if name.len() <= MAX_TEXT && (is_npms || is_package_name(name)) {
        Ok(name.to_owned())
    } else {
        Err("must be a package name in lower case: name, @scope/name or vendor/name".to_owned())
    }
}

/// Checks the address of a page, which people will follow: of `https` or `http`, on one line.
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn web_address(text: &str) -> Result<String, String> {
    const MAX: usize = 2_000;
    if text.len() > MAX {
        return Err(format!("must be at most {MAX} bytes long"));
    }
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_begun = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    // A backslash is a slash to some readers of addresses and a letter to others.
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if !is_begun || text.contains(is_odd) {
        Err(
            "must be an address that begins with https:// or http://, without blanks and backslashes"
                .to_owned(),
        )
    } else if text.is_ascii() {
        Ok(text.to_owned())
    } else {
        Err(
            "must be written in ASCII: names with other letters as xn--…, other characters as %…"
                .to_owned(),
        )
    }
}

/// Checks a pattern of package names, as tokens have them: `acme/*`, `@acme/*`, `*`.
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn package_pattern(pattern: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/*@".contains(&b);
    if (1..=MAX_TEXT).contains(&pattern.len()) && pattern.bytes().all(allowed) {
        Ok(pattern.to_owned())
    } else {
        Err("must be a package name in lower case, `*` standing for anything".to_owned())
    }
}

/// Checks a licence key: 1 to [`MAX_TEXT`] printable ASCII characters without blanks. Keys that
/// were sold elsewhere keep their form.
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn license_key(text: &str) -> Result<String, String> {
    if (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "must be 1 to {MAX_TEXT} printable ASCII characters without blanks"
        ))
    }
}

/// Checks a word such as a token's scope: 1 to 64 of `a-z`, `0-9`, `_`, `-`, `.` and `:`.
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn word(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.:".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 64 of a-z, 0-9, `_`, `-`, `.` and `:`".to_owned())
    }
}

/// Checks metadata: a JSON object within [`MAX_METADATA`] and [`MAX_METADATA_DEPTH`].
///
/// # Errors
/// When the value is wrong, with the end of a sentence about it.
pub fn metadata(value: &Value) -> Result<serde_json::Map<String, Value>, String> {
    let Value::Object(object) = value else {
        return Err("must be an object".to_owned());
    };
    if value.to_string().len() > MAX_METADATA {
        return Err(format!("must be at most {MAX_METADATA} bytes of JSON"));
    }
    if deeper_than(value, MAX_METADATA_DEPTH) {
        return Err(format!("must be nested at most {MAX_METADATA_DEPTH} deep"));
    }
    Ok(object.clone())
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let mut inner: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Object(object) => Box::new(object.values()),
        Value::Array(array) => Box::new(array.iter()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return false,
    };
    levels == 0 || inner.any(|value| deeper_than(value, levels - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_mail_addresses_are_recognised() {
        let cases = [
            ("dev@acme.com", true),
            ("first.last+tag@sub.acme.co.uk", true),
            ("o'brien@acme.com", true),
            ("post@müller.example", true),
            ("root@localhost", true),
            ("", false),
            ("acme.com", false),
            ("@acme.com", false),
            ("dev@", false),
            ("dev@@acme.com", false),
            ("dev@acme..com", false),
            ("dev@.acme.com", false),
            ("dev @acme.com", false),
            ("Dev <dev@acme.com>", false),
            ("dev@acme.com\n", false),
            ("dev@acme.com,ops@acme.com", false),
        ];
        for (text, expected) in cases {
            assert_eq!(email(text).is_ok(), expected, "`{text}`");
        }
        assert!(email(&format!("{}@acme.com", "a".repeat(300))).is_err());
    }

    #[test]
    fn invisible_characters_are_named() {
        let message = "must not contain the invisible character U+200B".to_owned();
        assert_eq!(line("Ada\u{200b}"), Err(message.clone()));
        assert_eq!(email("ada\u{200b}@x.com"), Err(message));
        // Good in a name, not in an address.
        let name = "فاطمه\u{200c}زهرا";
        assert_eq!(line(name).as_deref(), Ok(name));
        let message = "must not contain the invisible character U+200C".to_owned();
        assert_eq!(email(&format!("{name}@x.com")), Err(message));
        let message = "must not contain the invisible character U+E0001".to_owned();
        assert_eq!(email("ada@x\u{e0001}.com"), Err(message));
        assert!(email("user@münchen.de").is_ok());
    }

    #[test]
    fn package_names_are_composers() {
        let cases = [
            ("acme/tool", true),
            ("acme-inc/tool_box.two", true),
            ("a1/b--c", true),
            ("acme", false),
            ("Acme/tool", false),
            ("acme/", false),
            ("acme/tool/box", false),
            ("acme/b---c", false),
            ("acme/-tool", false),
            ("acme/*", false),
        ];
        for (name, expected) in cases {
            assert_eq!(package(name).is_ok(), expected, "`{name}`");
        }
    }

    #[test]
    fn other_package_names_are_npms_and_cargos() {
        let long = "a".repeat(MAX_TEXT);
        let cases = [
            ("left-pad", true),
            ("serde_json", true),
            ("socket.io", true),
            ("a", true),
            ("7zip", true),
            ("@acme/ui", true),
            ("@acme-inc/ui.kit_2", true),
            ("acme/tool", true),
            (long.as_str(), true),
            ("", false),
            ("@", false),
            ("@/ui", false),
            ("@acme", false),
            ("@acme/", false),
            ("@acme/ui/x", false),
            ("@acme/@ui", false),
            ("@@acme/ui", false),
            ("acme/@ui", false),
            ("acme/tool/box", false),
            (".", false),
            ("..", false),
            (".hidden", false),
            ("_private", false),
            ("Left-Pad", false),
            ("left pad", false),
            ("a%2Fb", false),
            ("ä", false),
            ("a\n", false),
        ];
        for (name, expected) in cases {
            assert_eq!(any_package(name).is_ok(), expected, "`{name}`");
        }
        assert!(any_package(&"a".repeat(MAX_TEXT + 1)).is_err());
        for pattern in ["@acme/*", "@acme/ui", "left-*"] {
            assert!(package_pattern(pattern).is_ok(), "`{pattern}`");
        }
    }

    #[test]
    fn lines_are_bounded_and_have_no_control_characters() {
        assert!(line("Acme Corporation").is_ok());
        assert!(line(&"a".repeat(MAX_TEXT)).is_ok());
        for text in ["", "  ", "a\u{0}b", "a\nb", &"a".repeat(MAX_TEXT + 1)] {
            assert!(line(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn metadata_is_an_object_of_bounded_size_and_depth() {
        let nested = |levels: usize| {
            serde_json::from_str::<Value>(&format!(
                "{}1{}",
                "{\"a\":".repeat(levels),
                "}".repeat(levels)
            ))
            .unwrap()
        };
        assert!(metadata(&serde_json::json!({"plan": ["gold", 1, null]})).is_ok());
        assert!(metadata(&nested(MAX_METADATA_DEPTH)).is_ok());
        assert!(metadata(&nested(MAX_METADATA_DEPTH + 1)).is_err());
        assert!(metadata(&serde_json::json!([1])).is_err());
        assert!(metadata(&serde_json::json!({"a": "x".repeat(MAX_METADATA)})).is_err());
    }
}
