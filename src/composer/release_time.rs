//! The times of releases, as metadata of Composer repositories write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::domain::time::Timestamp;

/// Composer writes times in RFC 3339; Satis and older tools without a zone, which means UTC; people a
/// date alone. All forms of <https://getcomposer.org/doc/04-schema.md#time> are read, and those that
/// PHP reads too and that tools are known to write.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let zoneless = || Timestamp::parse(&format!("{}Z", text.replacen(' ', "T", 1)));
    Timestamp::parse(text)
        .or_else(zoneless)
        .or_else(|| other_form(text))
}

fn other_form(text: &str) -> Option<Timestamp> {
    let at = |nanos: Option<i64>| nanos.map(Timestamp::from_nanos);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return at(text.parse::<i64>().ok()?.checked_mul(1_000_000_000));
    }
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z"];
    let zoned = zoned.map(|form| DateTime::parse_from_str(text, form).ok());
    let mail = DateTime::parse_from_rfc2822(text).ok();
    if let Some(time) = zoned.into_iter().flatten().chain(mail).next() {
        return at(time.timestamp_nanos_opt());
    }
    let minute = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").ok();
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let time = minute.or_else(|| day()?.and_hms_opt(0, 0, 0))?;
    at(time.and_utc().timestamp_nanos_opt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_documented_forms_are_read() {
        let day = Timestamp::parse("2020-05-01T00:00:00Z");
        assert!(day.is_some());
        for text in [
            "2020-05-01",
            " 2020-05-01 ",
            "2020-05-01 00:00",
            "2020-05-01 00:00:00",
            "2020-05-01 00:00:00 UTC",
            "2020-05-01T00:00:00",
            "2020-05-01T00:00:00Z",
            "2020-05-01T02:00:00+02:00",
            "2020-05-01T00:00:00+0000",
            "2020-05-01 02:00:00 +0200",
            "Fri, 01 May 2020 00:00:00 +0000",
            "1588291200",
        ] {
            assert_eq!(instant(text), day, "{text:?}");
        }
        for text in [
            "",
            " ",
            "yesterday",
            "2020-13-01",
            "99999999999999999999",
            "9223372036854775807",
        ] {
            assert_eq!(instant(text), None, "{text:?}");
        }
    }
}
