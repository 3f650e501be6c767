//! Texts of JSON, token by token, for what parsing would lose: names that are given twice, digits of
//! numbers that no double has. The text must be known to be JSON.

use std::borrow::Cow;

/// Splits off the token that begins here: a text, a number or a single character. `None` at the end.
pub(crate) fn split_token(rest: &str) -> Option<(&str, &str)> {
    let length = match rest.bytes().next()? {
        b'"' => text_length(rest),
        b'-' | b'0'..=b'9' => number_length(rest),
        _ => rest.chars().next().map_or(1, char::len_utf8),
    };
    Some(rest.split_at(length))
}

/// Returns the length of the text that begins here, quotes included.
fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    let ends = |(_, byte): &(usize, u8)| {
        let is_end = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_end
    };
    let end = rest.bytes().enumerate().skip(1).find(ends);
    end.map_or(rest.len(), |(at, _)| at + 1)
}

fn number_length(rest: &str) -> usize {
    let is_part = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    rest.bytes().take_while(|byte| is_part(*byte)).count()
}

/// The text between quotes: `"a"` and `"\u0061"` are the same name.
pub(crate) fn unquoted(token: &str) -> Cow<'_, str> {
    let inner = token.trim_matches('"');
    if !token.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str(token).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// The digits of a decimal number and the exponent of the last one, which are the same however the
/// number is written. `None` for an exponent beyond all numbers.
pub(crate) fn decimal(number: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    let shift = i64::try_from(digits.len() - significant.len()).ok()?;
    let fraction = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(fraction)?;
    Some((significant.to_owned(), exponent.checked_add(shift)?))
}
