//! Splits a constraint into alternatives (OR) and atoms (AND). There are no parentheses.

use super::scan::is_blank;

/// A piece of the constraint and the byte position at which it starts in the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl Piece<'_> {
    pub(super) fn slice(self, start: usize, end: usize) -> Self {
        Piece {
            text: &self.text[start..end],
            at: self.at + start,
        }
    }

    fn trim_blanks(self) -> Self {
        let start = self.text.len() - self.text.trim_start_matches(is_blank).len();
        let end = self.text.trim_end_matches(is_blank).len();
        // A text of blanks only is trimmed from both ends, past each other.
        self.slice(start, end.max(start))
    }
}

/// Splits at every `|` or `||`. Alternatives may be empty.
pub(super) fn alternatives(whole: Piece<'_>) -> impl Iterator<Item = Piece<'_>> {
    let mut next_start = Some(0);
    std::iter::from_fn(move || {
        let start = next_start?;
        let rest = &whole.text[start..];
        let end = if let Some(bar) = rest.find('|') {
            let width = if rest[bar..].starts_with("||") { 2 } else { 1 };
            next_start = Some(start + bar + width);
            start + bar
        } else {
            next_start = None;
            whole.text.len()
        };
        Some(whole.slice(start, end).trim_blanks())
    })
}

/// Splits an alternative at spaces and commas.
///
/// In practice one run of spaces with at most one comma separates two atoms, and `>= 1.0`, `1.0 -
/// 2.0` and `a as b` stay in one piece. The exact rule (which cut is tried first, and what may be
/// next to it) decides which typing mistakes become errors, so it follows Composer to the letter:
/// `~ 1.0` is split, `1.0 -2.0` is not. Atoms are never empty, but one may begin with a space or
/// contain a comma; both are refused when the atom is parsed.
pub(super) fn atoms(alternative: Piece<'_>) -> Vec<Piece<'_>> {
    let bytes = alternative.text.as_bytes();
    let mut atoms = Vec::new();
    let mut start = 0;
    let mut at = 1;
    while at < bytes.len() {
        match separator(bytes, at) {
            Some(next) => {
                atoms.push(alternative.slice(start, at));
                start = next;
                at = next + 1;
            }
            None => at += 1,
        }
    }
    atoms.push(alternative.slice(start, bytes.len()));
    atoms
}

/// Returns the position at which the next atom starts, if a separator starts at `at`.
///
/// Linear over the whole text: a separator starts only at the first of a run of spaces,
/// and from the third cut on there is always an answer.
fn separator(bytes: &[u8], at: usize) -> Option<usize> {
    let after_as = at >= 2 && &bytes[at - 2..at] == b"as";
    if !matches!(bytes[at], b' ' | b',')
        || matches!(bytes[at - 1], b'=' | b'>' | b'<' | b' ' | b',')
        || after_as
    {
        return None;
    }
    let spaces_end = skip_spaces(bytes, at);
    let comma = (bytes.get(spaces_end) == Some(&b',')).then_some(spaces_end);
    comma
        .into_iter()
        .chain((at..spaces_end).rev())
        .filter(|cut| bytes[cut - 1] != b'-' && bytes.get(cut + 1) != Some(&b'-'))
        .find_map(|cut| atom_start(bytes, cut + 1))
}

/// Skips as many spaces as possible from `from`, up to a position where an atom may start.
fn atom_start(bytes: &[u8], from: usize) -> Option<usize> {
    let start = skip_spaces(bytes, from);
    let rest = &bytes[start..];
    let blocked = matches!(rest, [] | [b',', ..] | [b'a', b's', ..]);
    if !blocked {
        Some(start)
    } else if start > from {
        // One space fewer, and the atom starts with that space.
        Some(start - 1)
    } else {
        None
    }
}

fn skip_spaces(bytes: &[u8], from: usize) -> usize {
    from + bytes[from..]
        .iter()
        .take_while(|byte| **byte == b' ')
        .count()
}
