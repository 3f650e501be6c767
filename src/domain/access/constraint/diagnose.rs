//! Classifies the mistake in a text that cannot be parsed. Runs only after parsing has failed, so
//! it decides the words of a message and never what is allowed.

use super::error::{ConstraintProblem, VersionProblem};
use super::scan::{is_blank, split_digits, strip_prefix_any_case, strip_v};
use super::suffix::Suffix;

/// The characters that operators are made of.
const OPERATOR_CHARS: [char; 7] = ['=', '<', '>', '!', '~', '^', '&'];

/// Returns the reason why a text is not a version.
pub(super) fn version(text: &str) -> VersionProblem {
    let operators = ['<', '>', '=', '!', '~', '^', '|', ',', '*'];
    if matches!(text, "" | "v" | "V") || text.starts_with('@') {
        VersionProblem::Empty
    } else if text.starts_with(operators) || text.contains('|') || has_wildcard(text) {
        VersionProblem::Constraint
    } else {
        version_in_atom(text)
    }
}

/// Returns the reason why an atom is not a constraint. `more_follows` tells that a space and
/// another atom follow it.
pub(super) fn atom(atom: &str, more_follows: bool) -> ConstraintProblem {
    if atom.contains(',') {
        return ConstraintProblem::StrayComma;
    }
    if let Some(problem) = joining_word(atom) {
        return problem;
    }
    let (operator, rest) = split_operator(atom);
    if let Some(problem) = operator_problem(operator, rest, more_follows) {
        return problem;
    }
    if strip_prefix_any_case(rest, "dev-").is_some() {
        // A branch may have any name, but not with a blank in it.
        return VersionProblem::BlankInside.into();
    }
    if is_broken_range(rest) {
        return ConstraintProblem::HyphenForm;
    }
    if has_wildcard(rest) && !rest.contains(is_blank) {
        return if operator.is_empty() {
            ConstraintProblem::MisplacedWildcard
        } else {
            ConstraintProblem::OperatorWithWildcard
        };
    }
    version_in_atom(rest).into()
}

/// Recognises `and` and `or`, which are words of other constraint languages.
fn joining_word(atom: &str) -> Option<ConstraintProblem> {
    let instead = match atom.to_ascii_lowercase().as_str() {
        "and" | "&&" | "&" => "a space or a comma",
        "or" => "`||`",
        _ => return None,
    };
    Some(ConstraintProblem::UnknownOperator {
        written: atom.to_owned(),
        instead,
    })
}

/// Splits after the operator characters; blanks count only between two of them (`> =1`).
fn split_operator(atom: &str) -> (&str, &str) {
    let end = atom.find(|c: char| !is_blank(c) && !OPERATOR_CHARS.contains(&c));
    let operator = atom[..end.unwrap_or(atom.len())].trim_end_matches(is_blank);
    (
        operator,
        atom[operator.len()..].trim_start_matches(is_blank),
    )
}

fn operator_problem(operator: &str, rest: &str, more_follows: bool) -> Option<ConstraintProblem> {
    let written = operator.to_owned();
    let instead = match operator {
        "" => return None,
        "=" | "==" | "!=" | "<>" | ">" | ">=" | "<" | "<=" | "~" | "^" => {
            return match rest {
                "" if more_follows && matches!(operator, "~" | "^") => {
                    Some(ConstraintProblem::SpaceAfterOperator { operator: written })
                }
                "" => Some(ConstraintProblem::OperatorWithoutVersion { operator: written }),
                _ => None,
            };
        }
        "=>" | "> =" => "`>=`",
        "=<" | "< =" => "`<=`",
        "~>" | "=~" | "~=" | "~~" => "`~`",
        "=^" | "^=" | "^^" => "`^`",
        "!" | "!==" => "`!=`",
        "===" => "`=`",
        _ => "one of `=`, `!=`, `>`, `>=`, `<`, `<=`, `~`, `^`",
    };
    Some(ConstraintProblem::UnknownOperator { written, instead })
}

/// Reports whether the text looks like a mistyped `1.0 - 2.0`.
fn is_broken_range(text: &str) -> bool {
    let digit_follows = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    text.starts_with('-')
        || text.starts_with(['\u{2013}', '\u{2014}'])
        || text.contains(" - ")
        || text.ends_with(" -")
        || text.split(" -").skip(1).any(digit_follows)
        || text.split("- ").skip(1).any(digit_follows)
}

/// Reports whether a text that begins like a version contains a wildcard.
fn has_wildcard(text: &str) -> bool {
    let numbers = strip_v(text);
    numbers.starts_with(|c: char| c.is_ascii_digit() || c == '*')
        && (numbers.contains('*')
            || numbers
                .split(['.', '-'])
                .any(|part| matches!(part, "x" | "X")))
        || !numbers.is_empty()
            && numbers
                .split('.')
                .all(|part| matches!(part, "x" | "X" | "*"))
}

/// Returns the mistake in a text that should be a version and has no operator.
fn version_in_atom(text: &str) -> VersionProblem {
    if text.ends_with(" as") || text.starts_with("as ") || text.contains(" as ") {
        return VersionProblem::BadAlias;
    }
    if text.contains('@') {
        return VersionProblem::BadStabilityFlag;
    }
    if text.find('#').is_some_and(|at| at > 0) && !text.contains(is_blank) {
        return VersionProblem::ReferenceOnNonBranch;
    }
    if text.contains('+') {
        return VersionProblem::BadBuild;
    }
    if text.contains(is_blank) {
        return VersionProblem::BlankInside;
    }
    let numbers = strip_v(text);
    let (first, rest) = split_digits(numbers);
    if first.is_empty() {
        return without_number(text);
    }
    if first.len() >= 6 || first.len() == 4 && rest.starts_with('-') {
        return VersionProblem::BadDate;
    }
    let count = numbers
        .split('.')
        .take_while(|part| !split_digits(part).0.is_empty())
        .count();
    if count > 4 {
        VersionProblem::TooManyParts
    } else {
        VersionProblem::BadVersion
    }
}

/// Classifies a word: probably a branch, unless it is the suffix of a version.
fn without_number(text: &str) -> VersionProblem {
    let of_branch = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let branch = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(of_branch)
        && Suffix::read(text).is_none();
    if branch {
        VersionProblem::BadBranch
    } else {
        VersionProblem::BadVersion
    }
}
