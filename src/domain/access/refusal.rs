//! The sentences with which a registry refuses. Composer prints them to whoever installs.

use std::fmt::Write;

use super::check::AccessCode;

/// Where a quoted text is cut, in bytes. What an app says in plain words is shorter.
const MOST_QUOTED: usize = 3_000;

/// What an app tells customers who are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldMessage<'a> {
    /// The app's own words, in place of ours.
    pub text: Option<&'a str>,
    /// Where they find more.
    pub url: Option<&'a str>,
}

/// Says why a version of a package cannot be had, or, without a package, why none can. Only what a customer may know: the reason that an
/// admin gave for a suspension is the admin's.
pub fn sentence(
    code: AccessCode,
    held: HeldMessage<'_>,
    package: Option<&str>,
    version: Option<&str>,
) -> String {
    let named = package;
    let package = package.unwrap_or("this package");
    let wanted = version.map_or_else(|| package.to_owned(), |it| format!("{package} {it}"));
    match code {
        AccessCode::TokenScope if named.is_none() => {
            "This access token is for no package of your subscription.".into()
        }
        AccessCode::PackageNotGranted if named.is_none() => {
            "Your subscription includes no package.".into()
        }
        AccessCode::VersionNotAllowed | AccessCode::VersionNotFrozen if named.is_none() => {
            "Your subscription has left you no version of any package.".into()
        }
        AccessCode::Ok => String::new(),
        AccessCode::TokenUnknown => {
            "This access token is not known here: check the credentials of this repository.".into()
        }
        AccessCode::TokenExpired => "This access token has expired: it needs a new one.".into(),
        AccessCode::TokenScope => format!("This access token is not for {package}."),
        AccessCode::PackageNotGranted => format!("Your subscription does not include {package}."),
        AccessCode::VersionNotAllowed => format!("Your subscription does not cover {wanted}."),
        AccessCode::VersionNotFrozen => {
            format!("{wanted} is not among the versions that your subscription has left you.")
        }
        AccessCode::CustomerSuspended => told(
            "Your subscription is suspended",
            "its packages can be installed again when that is settled.",
            held,
        ),
        AccessCode::CustomerExpired => told(
            "Your subscription has ended",
            "its packages can be installed again when it is renewed.",
            held,
        ),
    }
}

fn told(state: &str, otherwise: &str, held: HeldMessage<'_>) -> String {
    let text = held.text.unwrap_or(otherwise);
    let url = held.url.map(|url| format!(" {url}"));
    format!("{state}: {text}{}", url.unwrap_or_default())
}

/// A text as it stands between the quotes of a JSON string, in ASCII: a proxy can put it into the
/// answer that Composer prints. A long one is cut, because proxies take headers of some thousand bytes.
pub fn quotable(text: &str) -> String {
    let mut quotable = String::new();
    for char in text.chars() {
        if quotable.len() > MOST_QUOTED {
            break;
        }
        if matches!(char, ' '..='~') && !matches!(char, '"' | '\\') {
            quotable.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(quotable, "\\u{unit:04x}");
        }
    }
    quotable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_speaks_to_held_customers_in_its_own_words() {
        let own = HeldMessage {
            text: Some("please pay."),
            url: Some("https://acme.example/pay"),
        };
        for (code, held, expected) in [
            (
                AccessCode::CustomerSuspended,
                own,
                "Your subscription is suspended: please pay. https://acme.example/pay",
            ),
            (
                AccessCode::CustomerExpired,
                HeldMessage::default(),
                "Your subscription has ended: its packages can be installed again when it is \
                 renewed.",
            ),
            (
                AccessCode::VersionNotAllowed,
                own,
                "Your subscription does not cover acme/tool 2.0.0.",
            ),
        ] {
            let said = sentence(code, held, Some("acme/tool"), Some("2.0.0"));
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn what_is_quotable_is_the_inside_of_a_json_string() {
        for text in ["plain: a/b 1.0", "quo\"te \\ back", "Zürich €\n🙂", ""] {
            let quoted = quotable(text);
            assert!(
                quoted
                    .bytes()
                    .all(|byte| byte == b' ' || byte.is_ascii_graphic())
            );
            let read: String = serde_json::from_str(&format!("\"{quoted}\"")).unwrap();
            assert_eq!(read, text);
        }
        assert!(quotable(&"\u{1f642}".repeat(5_000)).len() < 3_100);
    }
}
