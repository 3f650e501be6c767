//! The address of a server on the command line.

use reqwest::Url;

/// Reads the address of a server or of something on it. As with curl, `http://` may be left out.
pub(super) fn server_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    match Url::parse(&whole) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) => Ok(whole),
        _ => Err("must be an address such as http://127.0.0.1:8080".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_be_named_without_the_scheme() {
        for (given, expected) in [
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("localhost:8080", Some("http://localhost:8080")),
            ("[::1]:8080", Some("http://[::1]:8080")),
            (" https://h/hook ", Some("https://h/hook")),
            ("h/webhooks/stripe", Some("http://h/webhooks/stripe")),
            ("", None),
            ("::1", None),
            ("localhost:80800", None),
            ("ftp://h", None),
            ("amqp://h", None),
        ] {
            assert_eq!(server_url(given).ok().as_deref(), expected, "{given}");
        }
    }
}
