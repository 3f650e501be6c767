//! Documents that this engine refuses, though the embedded one keeps them as the texts that they are.

use serde::de::IgnoredAny;

use crate::domain::json_text::split_token;

/// Digits that a number may have before and behind the point:
/// <https://www.postgresql.org/docs/current/datatype-numeric.html>.
const WHOLE: i64 = 131_072;
const FRACTION: i64 = 16_383;

/// The largest exponent that is read at all, whatever stands before it.
const EXPONENT: i64 = i32::MAX as i64 / 2;

/// Says why a document cannot be kept, as the end of a sentence about it; `None` if it can.
pub(in crate::store) fn why_unfit(document: &str) -> Option<&'static str> {
    if serde_json::from_str::<IgnoredAny>(document).is_err() {
        return Some("is not JSON");
    }
    let mut rest = document;
    while let Some((token, behind)) = split_token(rest) {
        rest = behind;
        match token.as_bytes() {
            [b'"', ..] if has_half_a_letter(token) => {
                return Some("has half of a surrogate pair");
            }
            [b'-' | b'0'..=b'9', ..] if !is_kept(token) => {
                return Some("has a number that PostgreSQL's `numeric` has not");
            }
            _ => {}
        }
    }
    None
}

/// True of a number that is kept with every digit.
fn is_kept(number: &str) -> bool {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let Some(exponent) = exponent
        .parse::<i64>()
        .ok()
        .filter(|it| it.abs() < EXPONENT)
    else {
        return false;
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches(['-', '0']);
    let length = |digits: &str| i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let first = fraction.trim_start_matches('0');
    // Where the first digit that counts stands, seen from the point.
    let place = match (whole, first) {
        ("", "") => 0,
        ("", _) => length(first) - length(fraction) + exponent,
        _ => length(whole) + exponent,
    };
    place <= WHOLE && length(fraction) - exponent <= FRACTION
}

/// True of a text with an escaped surrogate that stands alone, which is no letter.
fn has_half_a_letter(token: &str) -> bool {
    let mut rest = token;
    let mut is_high = false;
    while let Some(at) = rest.find('\\') {
        if is_high && at > 0 {
            return true;
        }
        let escape = &rest[at..];
        let unit = escape.strip_prefix("\\u").and_then(|it| it.get(..4));
        let unit = unit.and_then(|it| u16::from_str_radix(it, 16).ok());
        let is_low = unit.is_some_and(|it| (0xdc00..0xe000).contains(&it));
        if is_low != is_high {
            return true;
        }
        is_high = unit.is_some_and(|it| (0xd800..0xdc00).contains(&it));
        let length = unit.map_or_else(
            || 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
            |_| "\\uffff".len(),
        );
        rest = &escape[length..];
    }
    is_high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_known_before() {
        let nines = |count: usize| "9".repeat(count);
        let long = [
            nines(131_072),
            format!("0.{}", nines(16_383)),
            nines(131_073),
            format!("0.{}", nines(16_384)),
        ];
        let kept = [
            r#"{"a": [1e400, -1.5e-16382, 1e131071, 0.0001e131075, 0e999999, -0, 1E+3]}"#,
            r#""\ud83d\ude00\\ud800 \u00e9\n""#,
            r#"["\\\ud83d\ude00", "1e-99999"]"#,
            &long[0],
            &long[1],
        ];
        for document in kept {
            assert_eq!(why_unfit(document), None, "{document:.99}");
        }
        let unfit = [
            "{not JSON",
            "1e131072",
            "[10e131071]",
            "1e-16384",
            "0e-16384",
            "1.5e-16383",
            "1e99999999999",
            "0e99999999999999999999",
            &long[2],
            &long[3],
            r#""\ud800""#,
            r#""\udc00""#,
            r#"["\ud800x\udc00"]"#,
            r#"{"\ud800\ud800\udc00": 1}"#,
            r#""\ud800\n""#,
        ];
        for document in unfit {
            assert!(why_unfit(document).is_some(), "{document:.99}");
        }
    }
}
