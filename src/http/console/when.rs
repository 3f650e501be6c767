//! Times as people read them.

use std::fmt;
use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::http::ApiError;

/// A time, in UTC to the minute, with the exact one behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct When(pub(super) Timestamp);

/// Writes an element. It holds digits and letters of ours alone, so templates need not escape it.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.0.to_string();
        let (date, time) = exact.split_once('T').unwrap_or((&exact, ""));
        let minute = time.get(..5).unwrap_or_default();
        write!(
            f,
            r#"<time datetime="{exact}" title="{exact}">{date} {minute}</time>"#
        )
    }
}

impl askama::filters::HtmlSafe for When {}

/// The distance of a time from now, such as "in 3 days" or "2 hours ago".
pub(super) fn from_now(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.seconds() - now.seconds();
    let distance = seconds.unsigned_abs();
    let (count, unit) = match distance {
        0..60 => return "now".to_owned(),
        60..3_600 => (distance / 60, "minute"),
        3_600..86_400 => (distance / 3_600, "hour"),
        _ => (distance / 86_400, "day"),
    };
    let s = if count == 1 { "" } else { "s" };
    if seconds > 0 {
        format!("in {count} {unit}{s}")
    } else {
        format!("{count} {unit}{s} ago")
    }
}

/// A length of time in the unit that fits, such as "340 ms" or "3 minutes".
pub(super) fn span(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} minutes", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} hours", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Reads what a field for dates or instants holds: `2026-03-01`, `2026-03-01T12:30`, or RFC 3339. A day
/// means its beginning; without a zone it is in UTC.
///
/// # Errors
/// 422 with the field.
pub(super) fn parse(field: &str, text: &str) -> Result<Timestamp, ApiError> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    Timestamp::parse(&whole)
        .ok_or_else(|| ApiError::invalid_field(field, "must be a day such as 2026-03-01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_minute_and_told_from_now() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let now = at("2026-03-01T12:00:00Z");
        let shown = When(at("2026-03-04T15:30:59Z")).to_string();
        assert!(shown.ends_with(">2026-03-04 15:30</time>"), "{shown}");
        assert!(
            shown.contains(r#"datetime="2026-03-04T15:30:59.000Z""#),
            "{shown}"
        );
        for (text, told) in [
            ("2026-03-01T12:00:30Z", "now"),
            ("2026-03-01T12:01:00Z", "in 1 minute"),
            ("2026-03-01T10:00:00Z", "2 hours ago"),
            ("2026-03-04T13:00:00Z", "in 3 days"),
            ("2026-02-28T12:00:00Z", "1 day ago"),
        ] {
            assert_eq!(from_now(at(text), now), told, "{text}");
        }
    }
}
