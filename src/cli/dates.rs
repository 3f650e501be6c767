//! Times of the command line: RFC 3339, or a day alone.

use std::borrow::Cow;

use crate::domain::time::Timestamp;

/// A day as ISO 8601 writes it has as many characters.
const DAY: usize = "2026-01-31".len();

/// And a time with its minutes.
const MINUTE: usize = "2026-01-31T09:30".len();

/// A time without a zone means another instant at each desk.
const WRONG: &str =
    "must be a time with its zone, such as 2026-01-31T09:30:00Z, or a day such as 2026-01-31";

/// Reads a time from which on something counts. A day alone means its beginning, in UTC.
///
/// # Errors
/// When the text is no time.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    let parsed = if is_day(text) {
        format!("{text}T00:00:00Z").parse()
    } else {
        with_seconds(text).parse::<Timestamp>()
    };
    parsed.map_err(|_| WRONG.to_owned())
}

/// Reads a time before which something counts. A day alone means its end, in UTC: the day counts.
///
/// # Errors
/// When the text is no time.
pub(super) fn until(text: &str) -> Result<Timestamp, String> {
    let at = since(text)?;
    let day = std::time::Duration::from_hours(24);
    Ok(if is_day(text) { at.plus(day) } else { at })
}

/// Adds the seconds to a time that ends with its minutes, which ISO 8601 allows and RFC 3339 does not.
fn with_seconds(text: &str) -> Cow<'_, str> {
    match text.split_at_checked(MINUTE) {
        Some((minute, zone)) if zone.starts_with(['Z', 'z', '+', '-']) => {
            format!("{minute}:00{zone}").into()
        }
        _ => text.into(),
    }
}

fn is_day(text: &str) -> bool {
    text.len() == DAY
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_alone_is_its_beginning_or_its_end() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        for (text, from, to) in [
            ("2026-01-31", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
            (
                "2026-01-31T09:30:00Z",
                "2026-01-31T09:30:00Z",
                "2026-01-31T09:30:00Z",
            ),
            (
                "2026-01-31T09:30Z",
                "2026-01-31T09:30:00Z",
                "2026-01-31T09:30:00Z",
            ),
            (
                "2026-01-31T09:30+02:00",
                "2026-01-31T07:30:00Z",
                "2026-01-31T07:30:00Z",
            ),
        ] {
            assert_eq!(since(text).unwrap(), at(from), "{text}");
            assert_eq!(until(text).unwrap(), at(to), "{text}");
        }
        for wrong in [
            "yesterday",
            "2026-02-30",
            "2026-1-31",
            "20260131",
            "2026-01-31T09:30",
            "2026-01-31T09:30:00",
            "",
        ] {
            assert!(since(wrong).is_err() && until(wrong).is_err(), "{wrong}");
        }
    }
}
