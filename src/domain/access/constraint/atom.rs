//! Converts one atom of a constraint (`^1.2`, `1.0 - 2.0`, `>=1.0@beta`, `dev-main` …) to bounds.
//!
//! A lower bound that is typed without a suffix, and every computed upper bound, gets `-dev`: a
//! range includes all pre-releases of its first version, and none of the first version beyond it.

use super::bound::{Bound, Op};
use super::normalise::{Refusal, checked, four_numbers};
use super::scan::{
    MAX_DIGITS, ends_name, is_blank, split_digits, split_flag, split_numbers,
    strip_prefix_any_case, strip_suffix_any_case, strip_v, without_alias,
};
use super::suffix::{Suffix, has_hyphen_suffix};
use super::version::{Stability, Version};

type Bounds = Result<Vec<Bound>, Refusal>;

/// Returns the bounds of one atom. An empty list allows everything. The forms are tried in
/// Composer's order.
pub(super) fn bounds(atom: &str) -> Bounds {
    if atom.contains(',') {
        // Composer's library would accept some of these and lose what follows the comma.
        return Err(Refusal::Unreadable);
    }
    let (text, flag) = undecorated(atom);
    if let Some(bounds) = wildcard_alone(text) {
        return Ok(bounds);
    }
    if let Some(typed) = text.strip_prefix('~')
        && let Some(shape) = Shape::read(typed)
    {
        return tilde(typed, &shape);
    }
    if let Some(typed) = text.strip_prefix('^')
        && let Some(shape) = Shape::read(typed)
    {
        return caret(typed, &shape);
    }
    if let Some(numbers) = wildcard_numbers(text) {
        return wildcard(&numbers);
    }
    if let Some((from, to)) = text.split_once(" - ")
        && let (Some(from_shape), Some(to_shape)) = (Shape::read(from), Shape::read(to))
    {
        return hyphen((from, &from_shape), (to, &to_shape));
    }
    comparison(text, flag).map(|bound| vec![bound])
}

/// Returns the atom without alias, stability flag and reference, and the flag as typed unless it is
/// exactly `stable`.
fn undecorated(atom: &str) -> (&str, Option<&str>) {
    let text = without_alias(atom);
    let (text, flag) = match split_flag(text) {
        Some((before, _)) if before.contains(ends_name) => (text, None),
        Some(("", flag)) => ("*", Some(flag)),
        Some((before, flag)) => (before, Some(flag)),
        None => (text, None),
    };
    (
        without_reference(text),
        flag.filter(|flag| *flag != "stable"),
    )
}

/// Drops `#commit` after a named branch or `….x-dev`. Elsewhere `#` stays, and so does a reference
/// with a blank in it, which would swallow what was meant to be another atom; the blank is refused
/// later.
fn without_reference(text: &str) -> &str {
    let name_start = if strip_prefix_any_case(text, "dev-").is_some() {
        4
    } else {
        0
    };
    // The name has at least one character, whatever it is.
    let Some(first) = text[name_start..].chars().next() else {
        return text;
    };
    let search_from = name_start + first.len_utf8();
    let Some(hash) = text[search_from..].find('#').map(|at| search_from + at) else {
        return text;
    };
    let (before, reference) = text.split_at(hash);
    let is_branch = name_start > 0
        || strip_suffix_any_case(before, ".x-dev").is_some_and(|series| !series.is_empty());
    let plain = !before.contains(|c| ends_name(c) || c == '@') && !reference.contains(is_blank);
    if is_branch && plain && reference.len() > 1 {
        before
    } else {
        text
    }
}

/// `*` allows everything; `v*`, `*.*` and the like every numbered version, but no named
/// branch.
fn wildcard_alone(text: &str) -> Option<Vec<Bound>> {
    let wildcards = strip_v(text);
    if !wildcards
        .split('.')
        .all(|part| matches!(part, "x" | "X" | "*"))
    {
        return None;
    }
    if text.len() == 1 {
        return Some(Vec::new());
    }
    Some(vec![Bound::new(
        Op::GreaterOrEqual,
        Version::numbered("0.0.0.0-dev".to_owned()),
    )])
}

/// The text after `~` and `^` and on both sides of a range: up to four numbers, then a suffix or a
/// branch ending, then build metadata.
struct Shape<'a> {
    numbers: Vec<&'a str>,
    suffix: Ending,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// No word and no `dev`: bounds may add to it.
    Bare,
    /// A word, `dev` or both.
    Suffix,
    /// `.x-dev`.
    Branch,
}

impl<'a> Shape<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let text = match text.split_once('+') {
            Some((_, build)) if build.is_empty() || build.contains(is_blank) => return None,
            Some((version, _)) => version,
            None => text,
        };
        let (numbers, rest) = split_numbers(strip_v(text))?;
        let suffix = match Suffix::read(rest) {
            Some(suffix) if suffix.word().is_none() && !suffix.is_dev() => Ending::Bare,
            Some(_) => Ending::Suffix,
            None => {
                let rest = rest.strip_prefix('.')?.strip_prefix(['x', 'X', '*'])?;
                let dev = rest.strip_prefix(['.', '-']).unwrap_or(rest);
                dev.eq_ignore_ascii_case("dev").then_some(Ending::Branch)?
            }
        };
        Some(Self { numbers, suffix })
    }
}

/// `~`: from the typed version up to the next one, a level above the last typed number.
fn tilde(typed: &str, shape: &Shape<'_>) -> Bounds {
    let position = shape.numbers.len() + usize::from(shape.suffix == Ending::Branch);
    let below = next_series(&shape.numbers, position.saturating_sub(1).max(1))?;
    Ok(range(suffixed_before_parsing(typed, shape)?, below))
}

/// `^`: from the typed version up to the next one that differs in the first number that is not `0`.
/// The texts are compared, as Composer does: `00` is not `0`.
fn caret(typed: &str, shape: &Shape<'_>) -> Bounds {
    let position = match *shape.numbers {
        ["0", "0", _, ..] => 3,
        ["0", _, ..] => 2,
        _ => 1,
    };
    let below = next_series(&shape.numbers, position)?;
    Ok(range(suffixed_before_parsing(typed, shape)?, below))
}

/// Returns the lower bound of tilde and caret. `-dev` is appended to the text, so that build
/// metadata swallows it: `^1.2.3+build` starts at `1.2.3.0`, as in Composer.
fn suffixed_before_parsing(typed: &str, shape: &Shape<'_>) -> Result<Version, Refusal> {
    if shape.suffix == Ending::Bare {
        Version::read(&format!("{typed}-dev"))
    } else {
        Version::read(typed)
    }
}

fn range(from: Version, below: Version) -> Vec<Bound> {
    vec![
        Bound::new(Op::GreaterOrEqual, from),
        Bound::new(Op::Less, below),
    ]
}

/// Returns the first version (its `-dev`) after all that share the numbers up to `position`, which
/// counts from one. Missing numbers are zero.
fn next_series(numbers: &[&str], position: usize) -> Result<Version, Refusal> {
    let shared = numbers.iter().take(position - 1).copied();
    let last = numbers.get(position - 1).copied().unwrap_or("0");
    if last.len() > MAX_DIGITS {
        return Err(Refusal::NumberTooLong);
    }
    let next = last.parse::<u64>().map_err(|_| Refusal::Unreadable)? + 1;
    let next = next.to_string();
    let numbers: Vec<&str> = shared.chain([next.as_str()]).collect();
    Ok(Version::numbered(four_numbers(&numbers) + "-dev"))
}

/// Returns the one to three numbers before `.*` or `.x`, or several of these.
fn wildcard_numbers(text: &str) -> Option<Vec<&str>> {
    let mut numbers = Vec::new();
    let mut parts = text.strip_prefix('v').unwrap_or(text).split('.').peekable();
    while let Some(number) = parts.next_if(|part| {
        let (digits, rest) = split_digits(part);
        !digits.is_empty() && rest.is_empty()
    }) {
        numbers.push(number);
    }
    let wildcards = parts.peek().is_some() && parts.all(|part| matches!(part, "x" | "X" | "*"));
    (wildcards && (1..=3).contains(&numbers.len())).then_some(numbers)
}

/// Returns the bounds of all versions that share the numbers.
fn wildcard(numbers: &[&str]) -> Bounds {
    let from = Version::numbered(checked(four_numbers(numbers) + "-dev")?);
    let below = next_series(numbers, numbers.len())?;
    if from.as_str() == "0.0.0.0-dev" {
        return Ok(vec![Bound::new(Op::Less, below)]);
    }
    Ok(range(from, below))
}

/// `X - Y`: up to Y itself when it is complete, otherwise up to the end of its series.
fn hyphen((from, from_shape): (&str, &Shape<'_>), (to, to_shape): (&str, &Shape<'_>)) -> Bounds {
    let mut lower = Version::read(from)?;
    if from_shape.suffix == Ending::Bare {
        lower = lower.with_tail("dev");
    }
    let upper = Version::read(to)?;
    let typed = to_shape.numbers.len();
    if typed >= 3 || to_shape.suffix != Ending::Bare {
        return Ok(vec![
            Bound::new(Op::GreaterOrEqual, lower),
            Bound::new(Op::LessOrEqual, upper),
        ]);
    }
    Ok(range(lower, next_series(&to_shape.numbers, typed)?))
}

/// Operators as typed, longer ones before their prefixes. No operator means equality.
const OPERATORS: [(&str, Op); 8] = [
    ("<>", Op::NotEqual),
    ("!=", Op::NotEqual),
    (">=", Op::GreaterOrEqual),
    (">", Op::Greater),
    ("<=", Op::LessOrEqual),
    ("<", Op::Less),
    ("==", Op::Equal),
    ("=", Op::Equal),
];

fn comparison(text: &str, flag: Option<&str>) -> Result<Bound, Refusal> {
    let (op, typed) = OPERATORS
        .iter()
        .find_map(|(spelling, op)| {
            let rest = text.strip_prefix(spelling)?;
            Some((*op, rest.trim_start_matches(is_blank)))
        })
        .unwrap_or((Op::Equal, text));
    let name = without_alias(typed);
    if name.contains(is_blank) {
        // To Composer's library, `dev-canvas ^1.0` is the name of a single branch.
        return Err(Refusal::Unreadable);
    }
    let version = match Version::read(name) {
        Err(Refusal::Unreadable) => reversed_branch(typed).ok_or(Refusal::Unreadable)?,
        read => read?,
    };
    let flag = flag.filter(|_| op != Op::Equal && version.stability() == Stability::Stable);
    let lowered = matches!(op, Op::Less | Op::GreaterOrEqual)
        && !typed.starts_with("dev-")
        && !has_hyphen_suffix(typed);
    Ok(match flag {
        Some(flag) => Bound::new(op, version.with_tail(flag)),
        None if lowered => Bound::new(op, version.with_tail("dev")),
        None => Bound::new(op, version),
    })
}

/// `foo-dev` means the branch `dev-foo`, if the name is plain.
fn reversed_branch(text: &str) -> Option<Version> {
    let name = text.strip_suffix("-dev")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/');
    name.chars().all(plain).then(|| Version::named(name))
}
