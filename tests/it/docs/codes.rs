//! `docs/codes.md` names each code that the program has, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use tollgate::domain::access::check::AccessCode;
use tollgate::domain::access::license::LicenseCode;
use tollgate::domain::apply::change::IgnoreCode;
use tollgate::domain::customer::flag::FlagKind;

use super::{named, root, text};

/// What code stands behind in the source. Mistakes in versions and constraints are told in sentences alone.
const BEFORE: [&str; 8] = [
    "not_found(",
    "conflict(",
    "Fault::new(",
    "EventError::new(",
    "event_error(",
    "code: ",
    "store, refetch, ",
    "const UNREADABLE: &str = ",
];

/// Words of codes that are written elsewhere, with where.
const ELSEWHERE: [&str; 3] = [
    "broker_away", // of a fault, in its own file
    "dismissed",   // `DISMISSED`, beside its filter
    "app_paused",  // made in several lines
];

fn is_word(text: &str) -> bool {
    let is_letter = |char: char| char.is_ascii_lowercase() || char == '_';
    !text.is_empty() && text.chars().all(is_letter)
}

/// The word in quotes that a text begins with.
fn word(text: &str) -> Option<&str> {
    let (word, _) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    is_word(word).then_some(word)
}

/// The words in quotes of the functions `code`.
fn told_by_functions(source: &str) -> Vec<&str> {
    let bodies = source.split("fn code(").skip(1);
    let bodies = bodies.map(|it| it.split("\n    }\n").next().unwrap());
    let quoted = bodies.flat_map(|it| it.split('"').skip(1).step_by(2));
    quoted.filter(|it| is_word(it)).collect()
}

fn codes_of(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_of(&path, codes);
            continue;
        }
        let source = text(&path);
        let source = source.split("#[cfg(test)]").next().unwrap();
        let is_test = path.to_str().unwrap().ends_with("tests.rs");
        if is_test || path.ends_with("versions/error.rs") || path.ends_with("constraint/error.rs") {
            continue;
        }
        for before in BEFORE {
            let found = source.split(before).skip(1).filter_map(word);
            codes.extend(found.map(str::to_owned));
        }
        codes.extend(told_by_functions(source).into_iter().map(str::to_owned));
    }
}

#[test]
fn the_page_of_codes_names_those_that_there_are() {
    let mut known = BTreeSet::from(ELSEWHERE.map(str::to_owned));
    codes_of(&root().join("src"), &mut known);
    for words in [
        &AccessCode::WORDS[..],
        &LicenseCode::WORDS[..],
        &IgnoreCode::WORDS[..],
    ] {
        known.extend(words.iter().map(|it| (*it).to_owned()));
    }
    // Nobody is told these: such an event is ignored without a code.
    known.remove("no_facts");
    known.remove("references_only");
    assert!(known.len() > 120, "{known:?}");

    let page = text(&root().join("docs/codes.md"));
    let rows = page.lines().filter(|it| it.starts_with("| "));
    let cells = rows.flat_map(|row| row.split('|').skip(1).take(2));
    let words = cells.flat_map(|it| it.split('`').skip(1).step_by(2));
    let described: BTreeSet<String> = words.filter(|it| is_word(it)).map(str::to_owned).collect();
    let missing: Vec<_> = known.difference(&described).collect();
    let unknown: Vec<_> = described.difference(&known).collect();
    assert!(missing.is_empty(), "docs/codes.md lacks {missing:?}");
    assert!(unknown.is_empty(), "docs/codes.md invents {unknown:?}");
}

#[test]
fn the_table_of_flags_names_those_that_there_are() {
    let described = named("docs/troubleshooting.md", "| kind | open while |");
    let known = BTreeSet::from(FlagKind::WORDS.map(str::to_owned));
    assert_eq!(described, known);
}
