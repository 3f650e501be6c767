//! URLs that may have a password in them.

use percent_encoding::percent_decode_str;
use reqwest::Url;

/// How the characters are written that end the part of a URL in which a password stands.
const HINT: &str =
    "in a password write `/` as %2F, `?` as %3F, `#` as %23, `@` as %40 and `%` as %25";

/// Parses a URL.
///
/// # Errors
/// What is wrong with it, without the text. A password with one of the characters that end the part of
/// a URL where it stands moves everything behind it, and what the parser says then names the wrong
/// part. With digits before a `#` it even says nothing: they are a port.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let authority = text.split_once("://").map_or(text, |(_, behind)| behind);
    let end = authority.find(['/', '?', '#']);
    let is_moved = end.is_some_and(|at| authority[at..].contains('@'));
    match Url::parse(text) {
        Ok(url) if url.fragment().is_some() => Err(format!("has a part behind a `#`; {HINT}")),
        Ok(url) => has_texts(&url).map(|()| url),
        Err(error) if is_moved => Err(format!("not a URL ({error}); {HINT}")),
        Err(error) => Err(format!("not a URL ({error})")),
    }
}

/// Refuses what stands for bytes that are no text: most likely a `%` of a password that was not written as %25.
fn has_texts(url: &Url) -> Result<(), String> {
    let parts = [
        ("user", url.username()),
        ("password", url.password().unwrap_or_default()),
        ("part behind the host", url.path()),
    ];
    for (name, part) in parts {
        if percent_decode_str(part).decode_utf8().is_err() {
            return Err(format!(
                "the {name} has a `%` that begins no letter; {HINT}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_ends_the_part_of_the_url_is_named_and_not_shown() {
        for text in [
            "postgres://u:pa#ss@h/db",
            "amqp://u:pa/ss@h/v",
            "postgres://u:pa?ss@h/db",
            "postgres://u:12#ss@h/db",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("%23") && !error.contains("ss@"), "{error}");
        }
        for (text, part) in [
            ("postgres://u:pa%ffss@h/db", "password"),
            ("amqp://u:pa%ffss@h/v", "password"),
            ("postgres://u%c3:pass@h/db", "user"),
            ("amqp://u:pass@h/%ff", "part behind the host"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part) && error.contains("%25"), "{error}");
            assert!(!error.contains("ss@"), "{error}");
        }
        assert!(parse("postgres://u:100%pure@h/db").is_ok());
        assert_eq!(
            parse("postgres://u:p@h:x/db").unwrap_err(),
            "not a URL (invalid port number)"
        );
        assert!(parse("postgres://u:pa%23ss@h/db?application_name=a@b").is_ok());
    }
}
