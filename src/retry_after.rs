//! The header `Retry-After`, in both of its forms: <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Returns how long the sender of an answer asks to be left alone. A date is measured from the answer's
/// own `Date`, since both come from the same clock; without one it says nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
        // More than fits is a long time too.
        let seconds = text.parse().unwrap_or(u32::MAX);
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    let sent = headers.get(DATE)?.to_str().ok()?;
    let sent = DateTime::parse_from_rfc2822(sent).ok()?;
    let wait = until.timestamp() - sent.timestamp();
    Some(Duration::from_secs(wait.try_into().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        const NOW: &str = "Sat, 28 Nov 2026 12:00:00 GMT";
        for (text, date, seconds) in [
            ("120", None, Some(120)),
            (" 120 ", Some(NOW), Some(120)),
            ("Sat, 28 Nov 2026 12:02:00 GMT", Some(NOW), Some(120)),
            ("Sat, 28 Nov 2026 11:00:00 GMT", Some(NOW), Some(0)),
            ("Sat, 28 Nov 2026 12:02:00 GMT", None, None),
            ("Sat, 28 Nov 2026 12:02:00 GMT", Some("today"), None),
            ("-1", Some(NOW), None),
            ("", Some(NOW), None),
            ("99999999999999999999", None, Some(u64::from(u32::MAX))),
            ("1.5", Some(NOW), None),
            ("soon", Some(NOW), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            let wait = retry_after(&headers);
            assert_eq!(wait, seconds.map(Duration::from_secs), "{text} at {date:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
