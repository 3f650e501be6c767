//! The suffix of a version: `-beta2`, `.RC.1-dev`, `_p3` …
//!
//! ```text
//! suffix  = [ "." | "_" | "-" ] [ word [ numbers ] ] [ [ "." | "-" ] "dev" ]
//! word    = stable | beta | b | RC | alpha | a | patch | pl | p      (any case)
//! numbers = one or more of: [ "." | "-" ] digits
//! ```
//!
//! A suffix extends to the end of the text. The grammar is unambiguous, so one pass from the left
//! with the longest word first is enough.

use super::scan::{split_digits, strip_prefix_any_case};

/// The meaning of the word in a suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Stable,
    Beta,
    Rc,
    Alpha,
    Patch,
}

/// Spellings, longer ones before their prefixes.
const WORDS: [(&str, Word); 9] = [
    ("stable", Word::Stable),
    ("beta", Word::Beta),
    ("b", Word::Beta),
    ("rc", Word::Rc),
    ("alpha", Word::Alpha),
    ("a", Word::Alpha),
    ("patch", Word::Patch),
    ("pl", Word::Patch),
    ("p", Word::Patch),
];

/// A suffix as typed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suffix<'a> {
    /// The word and its spelling.
    word: Option<(Word, &'a str)>,
    /// The numbers after the word with their separators; may be empty.
    numbers: &'a str,
    /// True if it ends in `dev`.
    dev: bool,
}

impl<'a> Suffix<'a> {
    /// Parses the whole text as a suffix. The empty text is one.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(['.', '_', '-']).unwrap_or(text);
        let (word, rest) = split_word(rest);
        let (numbers, rest) = match word {
            Some(_) => split_suffix_numbers(rest),
            None => ("", rest),
        };
        let end = rest.strip_prefix(['.', '-']).unwrap_or(rest);
        let dev = end.eq_ignore_ascii_case("dev");
        (dev || rest.is_empty()).then_some(Self { word, numbers, dev })
    }

    /// Parses the longest ending of the text that is a suffix; it may be empty.
    ///
    /// Linear: a run of numbers is only scanned from the one word before it, from that word's
    /// separator, or from the last letter of `alpha`.
    pub(super) fn at_end_of(text: &'a str) -> Self {
        text.bytes()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'_' | b'-'))
            .find_map(|(start, _)| Self::read(&text[start..]))
            .unwrap_or(Self {
                word: None,
                numbers: "",
                dev: false,
            })
    }

    pub(super) fn word(&self) -> Option<Word> {
        self.word.map(|(word, _)| word)
    }

    pub(super) fn is_dev(&self) -> bool {
        self.dev
    }

    /// Appends the canonical form to a normalised version.
    pub(super) fn write_to(&self, version: &mut String) {
        let Some((word, typed)) = self.word else {
            if self.dev {
                version.push_str("-dev");
            }
            return;
        };
        if typed == "stable" {
            // Numbers and `dev` are dropped too. Only for this spelling: `Stable` stays a word.
            return;
        }
        version.push_str(match word {
            Word::Stable => "-stable",
            Word::Beta => "-beta",
            Word::Rc => "-RC",
            Word::Alpha => "-alpha",
            Word::Patch => "-patch",
        });
        version.push_str(
            self.numbers
                .strip_prefix(['.', '-'])
                .unwrap_or(self.numbers),
        );
        if self.dev {
            version.push_str("-dev");
        }
    }
}

fn split_word(text: &str) -> (Option<(Word, &str)>, &str) {
    for (spelling, word) in WORDS {
        if let Some(rest) = strip_prefix_any_case(text, spelling) {
            return (Some((word, &text[..spelling.len()])), rest);
        }
    }
    (None, text)
}

/// Splits the text after its leading numbers, each with at most one `.` or `-` before it.
fn split_suffix_numbers(text: &str) -> (&str, &str) {
    let mut rest = text;
    loop {
        let (digits, after) = split_digits(rest.strip_prefix(['.', '-']).unwrap_or(rest));
        if digits.is_empty() {
            return text.split_at(text.len() - rest.len());
        }
        rest = after;
    }
}

/// Reports whether some `-` in the text is followed by a suffix that is not a release candidate.
///
/// Such a comparison keeps its suffix as its bound instead of getting `-dev`. That RC does not
/// count is an accident in Composer's library, but it changes which versions match.
pub(super) fn has_hyphen_suffix(text: &str) -> bool {
    text.match_indices('-')
        .filter_map(|(at, _)| Suffix::read(&text[at + 1..]))
        .any(|suffix| suffix.word() != Some(Word::Rc))
}
