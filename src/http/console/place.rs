//! Where the console is, and which version of it.

/// The path of all pages.
pub(in crate::http) const PLACE: &str = "/console";

/// The version in the addresses of the files.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Reports whether a path is that of a page here. What begins with two slashes is another host.
pub(super) fn is_ours(path: &str) -> bool {
    let below = path.strip_prefix(PLACE);
    let is_below = below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    is_below && path.chars().all(|c| c.is_ascii_graphic() && c != '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_ours() {
        for (path, expected) in [
            ("/console", true),
            ("/console/events?outcome=failed", true),
            ("/console?x=1", true),
            ("/consoles", false),
            ("//evil.example/console", false),
            ("https://evil.example/console", false),
            ("/console/\\evil", false),
            ("/console/\r\nx", false),
        ] {
            assert_eq!(is_ours(path), expected, "{path}");
        }
    }
}
