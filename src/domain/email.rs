//! Comparison of e-mail addresses.
//!
//! An address is kept and shown as it was given; two are the same if their folded forms are. No
//! address fails to fold: those that providers send may be anything.

use std::borrow::Cow;

use idna::AsciiDenyList;
use idna::uts46::{Hyphens, Uts46};

use super::spelling::{self, is_invisible};

/// Characters whose canonical form is one of ASCII: the Greek question mark, the Greek varia and
/// the Kelvin sign, whose lower case is the letter k.
const LOOK_ALIKES: [char; 3] = ['\u{37e}', '\u{1fef}', '\u{212a}'];

/// Maximum number of bytes of a domain that IDNA is asked about; none that DNS can hold is longer.
const MAX_DOMAIN: usize = 1024;

/// Folds an address to the form in which addresses are compared; `None` for an empty one.
///
/// That is: without invisible characters, NFC, lower case, and the domain in the characters that
/// IDNA reads in it, without a dot at its end. A domain that IDNA refuses is folded like any text.
/// In front of the `@` look-alikes of ASCII characters stay as they are: they make a different
/// address, which must not be taken for somebody else's.
pub fn fold_email(address: &str) -> Option<String> {
    let folded = match address.rsplit_once('@') {
        Some((local, domain)) => {
            let local = fold_local(local);
            format!("{}@{}", local.trim_start(), fold_domain(domain))
        }
        None => fold_local(address).trim().to_owned(),
    };
    (!folded.is_empty()).then_some(folded)
}

/// Folds a part of an address that is searched for; `None` for an empty one. Without an `@` it can
/// be from either side of it.
pub fn fold_email_part(part: &str) -> Option<String> {
    if part.contains('@') {
        return fold_email(part);
    }
    let folded = fold_local(part);
    let labels = folded.trim().split('.').map(|label| match label {
        // In a domain these letters say that the rest is coded.
        coded if coded.starts_with("xn--") => fold_domain(coded),
        label => label.to_owned(),
    });
    let folded = labels.collect::<Vec<_>>().join(".");
    (!folded.is_empty()).then_some(folded)
}

fn fold_local(local: &str) -> String {
    let mut folded = String::with_capacity(local.len());
    for part in local.split_inclusive(LOOK_ALIKES) {
        let rest = part.trim_end_matches(LOOK_ALIKES);
        folded.push_str(&spelling::fold(rest));
        folded.push_str(&part[rest.len()..]);
    }
    folded
}

fn fold_domain(domain: &str) -> String {
    // IDNA knows where a joiner belongs to a name; elsewhere it shows nothing, like the others.
    let is_joiner = |it: char| matches!(it, '\u{200c}' | '\u{200d}');
    let joined: String = domain
        .chars()
        .filter(|it| is_joiner(*it) || !is_invisible(*it))
        .collect();
    let bare = || joined.replace(is_joiner, "");
    let folded = unicode_domain(strip_end(&joined))
        .map(Cow::into_owned)
        .or_else(|| unicode_domain(strip_end(&bare())).map(Cow::into_owned))
        .unwrap_or_else(|| spelling::fold(domain));
    strip_end(&folded).to_owned()
}

/// Returns a domain in the characters that it stands for; `None` if it is none.
fn unicode_domain(domain: &str) -> Option<Cow<'_, str>> {
    if domain.len() > MAX_DOMAIN {
        return None;
    }
    let (unicode, result) =
        Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::URL, Hyphens::Allow);
    result.ok().map(|()| unicode)
}

/// Cuts off the dot that may stand at the end of a domain.
fn strip_end(domain: &str) -> &str {
    domain.trim_end_matches(|it: char| it == '.' || it.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_equal() {
        let cases = [
            ("Mike@Acme.com", Some("mike@acme.com")),
            (" post@MÜLLER.example ", Some("post@müller.example")),
            ("post@xn--mller-kva.example", Some("post@müller.example")),
            ("post@XN--MLLER-KVA.Example.", Some("post@müller.example")),
            ("post@mu\u{308}ller.example", Some("post@müller.example")),
            ("post@müller。example", Some("post@müller.example")),
            ("JOSÉ@x.com", Some("josé@x.com")),
            ("jose\u{301}@x.com", Some("josé@x.com")),
            ("JOSE\u{301}@x.com", Some("josé@x.com")),
            ("mike@acme.com.", Some("mike@acme.com")),
            ("mi\u{200b}ke@ac\u{ad}me.com", Some("mike@acme.com")),
            ("\u{feff} mike@acme.com \u{200e}", Some("mike@acme.com")),
            ("mi\u{200d}ke@ac\u{200d}me.com", Some("mike@acme.com")),
            ("mike\u{3164}@acme.com", Some("mike@acme.com")),
            // Every domain of these letters is that of the other.
            ("mike@\u{212a}elvin.com", Some("mike@kelvin.com")),
            ("mike@faß.de", Some("mike@faß.de")),
            ("mike@xn--fa-hia.de", Some("mike@faß.de")),
            ("ali@نامه\u{200c}ای.com", Some("ali@نامه\u{200c}ای.com")),
            (
                "ali@xn--mgba3gch31f060k.com",
                Some("ali@نامه\u{200c}ای.com"),
            ),
            ("  ", None),
            ("\u{200b}", None),
        ];
        for (address, expected) in cases {
            assert_eq!(fold_email(address).as_deref(), expected, "{address:?}");
        }
    }

    #[test]
    fn different_addresses_stay_apart_and_odd_ones_stay_as_they_are() {
        let cases = [
            ("mi\u{212a}e@acme.com", "mi\u{212a}e@acme.com"),
            ("MI\u{212a}E\u{301}@acme.com", "mi\u{212a}é@acme.com"),
            ("a\u{1fef}b\u{37e}@acme.com", "a\u{1fef}b\u{37e}@acme.com"),
            ("mike@fass.de", "mike@fass.de"),
            ("mike@xn--zz--.de", "mike@xn--zz--.de"),
            ("Mike@[192.0.2.1]", "mike@[192.0.2.1]"),
            ("mike@ac me.com", "mike@ac me.com"),
            ("mike@\u{ff20}cme.com", "mike@\u{ff20}cme.com"),
            ("Nobody", "nobody"),
            ("@", "@"),
        ];
        for (address, expected) in cases {
            assert_eq!(
                fold_email(address).as_deref(),
                Some(expected),
                "{address:?}"
            );
        }
        let long = format!("a@{}.com", "ü".repeat(100_000));
        assert_eq!(fold_email(&long), Some(long));
    }

    #[test]
    fn parts_are_folded_as_the_whole_is() {
        let cases = [
            ("ADA", Some("ada")),
            ("Ada@xn--mnchen-3ya.de", Some("ada@münchen.de")),
            ("xn--mnchen-3ya.de", Some("münchen.de")),
            (".XN--mnchen-3ya.", Some(".münchen.")),
            ("mu\u{308}nch", Some("münch")),
            ("acme.", Some("acme.")),
            ("@acme.com.", Some("@acme.com")),
            ("xn--", Some("xn--")),
            (" ", None),
        ];
        for (part, expected) in cases {
            assert_eq!(fold_email_part(part).as_deref(), expected, "{part:?}");
        }
    }

    #[test]
    fn addresses_are_folded_once() {
        for character in ('\u{0}'..='\u{ffff}').chain('\u{e0000}'..='\u{e0fff}') {
            let address = format!("a{character}\u{301}@b{character}c.d{character}");
            let folded = fold_email(&address).unwrap();
            assert_eq!(fold_email(&folded), Some(folded.clone()), "{address:?}");
        }
    }
}
