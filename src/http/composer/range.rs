//! Parts of archives: which ranges are honoured.
//!
//! One range of bytes is. Whatever else a `Range` says is ignored, as HTTP allows, and the whole is sent:
//! another unit, several ranges, what is no range (RFC 9110, 14.2). With `If-Range` it counts only if the
//! file is still the one that the client has a part of (RFC 9110, 13.1.5).

use axum::http::HeaderMap;
use axum::http::header::{ETAG, IF_RANGE, LAST_MODIFIED, RANGE};

/// Takes away a `Range` that is not honoured, and an `If-Range` without one.
pub(super) fn tidy(headers: &mut HeaderMap) {
    let mut ranges = headers.get_all(RANGE).iter();
    let only = ranges.next().filter(|_| ranges.next().is_none());
    let is_honoured = only.is_some_and(|it| it.to_str().is_ok_and(is_one_range));
    if !is_honoured {
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
    }
}

/// True for `bytes=0-99`, `bytes=100-` and `bytes=-100`.
fn is_one_range(text: &str) -> bool {
    let Some((unit, range)) = text.split_once('=') else {
        return false;
    };
    let Some((first, last)) = range.trim().split_once('-') else {
        return false;
    };
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    let is_in_order = || match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => first <= last,
        _ => true,
    };
    unit.eq_ignore_ascii_case("bytes")
        && (first.is_empty() || is_number(first))
        && (last.is_empty() || is_number(last))
        && !(first.is_empty() && last.is_empty())
        && is_in_order()
}

/// True if the file with these headers is the one that `If-Range` is about. Weak tags never are, and a
/// date only if it is the very one that was sent with the file.
pub(super) fn is_still(asked: &HeaderMap, file: &HeaderMap) -> bool {
    let Some(known) = asked.get(IF_RANGE) else {
        return true;
    };
    let is_tag = known.as_bytes().contains(&b'"');
    let is_weak = known.as_bytes().starts_with(b"W/");
    let now = file.get(if is_tag { ETAG } else { LAST_MODIFIED });
    !is_weak && now == Some(known)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn one_range_of_bytes_is_honoured() {
        for (lines, is_honoured) in [
            (vec!["bytes=0-99"], true),
            (vec!["bytes=100-"], true),
            (vec!["Bytes=-100"], true),
            (vec!["bytes=99-0"], false),
            (vec!["bytes=0-9,20-29"], false),
            (vec!["bytes=0-9", "bytes=20-29"], false),
            (vec!["lines=0-9"], false),
            (vec!["bytes=-"], false),
            (vec!["bytes=a-b"], false),
            (vec!["bytes"], false),
            (vec![""], false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_RANGE, HeaderValue::from_static("\"x\""));
            for line in &lines {
                headers.append(RANGE, HeaderValue::from_static(line));
            }
            tidy(&mut headers);
            assert_eq!(headers.contains_key(RANGE), is_honoured, "{lines:?}");
            assert_eq!(headers.contains_key(IF_RANGE), is_honoured, "{lines:?}");
        }
    }

    #[test]
    fn a_part_is_of_the_file_that_the_client_knows() {
        let day = "Fri, 02 Jan 2026 00:00:00 GMT";
        let mut file = HeaderMap::new();
        file.insert(ETAG, HeaderValue::from_static("\"1\""));
        file.insert(LAST_MODIFIED, HeaderValue::from_static(day));
        for (known, is_one) in [
            ("\"1\"", true),
            ("\"2\"", false),
            ("W/\"1\"", false),
            (day, true),
            ("Fri, 02 Jan 2026 00:00:01 GMT", false),
            ("x", false),
        ] {
            let asked = HeaderMap::from_iter([(IF_RANGE, HeaderValue::from_static(known))]);
            assert_eq!(is_still(&asked, &file), is_one, "{known}");
        }
        assert!(is_still(&HeaderMap::new(), &file));
    }
}
