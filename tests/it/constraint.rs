//! Composer versions and constraints against what Composer's library answers.
//!
//! The tables are `fixtures/composer-constraints.json` and, where a checkout has them,
//! the cases of the library's own tests in the folder `TOLLGATE_RECORDED_FIXTURES`.

use std::cmp::Ordering;
use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::Value;
use tollgate::domain::access::constraint::{
    Bound, Constraint, ConstraintProblem, MAX_ALTERNATIVES, MAX_BYTES, Op, Stability, Version,
    VersionProblem,
};

use crate::support::fixtures::recorded;

/// A list of the tables and the check of one of its records, which says what differs.
type Check = (&'static str, fn(&Value) -> Result<(), String>);

const CHECKS: [Check; 10] = [
    ("match", check_match),
    ("parsed", check_parsed),
    ("invalid_constraints", check_invalid_constraint),
    ("strict_rejects", check_strict_reject),
    ("normalized", check_normalized),
    ("invalid_versions", check_invalid_version),
    ("branches", check_branch),
    ("stabilities", check_stability),
    ("compare", check_compare),
    ("sorted", check_sorted),
];

fn own_table() -> Value {
    let text = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/composer-constraints.json"
    ));
    serde_json::from_str(text).expect("the table is JSON")
}

/// Runs the checks of one list and fails with all records that differ.
fn run(table: &Value, list: &str) {
    let (_, check) = CHECKS
        .iter()
        .find(|(name, _)| *name == list)
        .expect("a check for the list");
    let records = table[list].as_array().expect("a list of records");
    let counted = table["meta"]["counts"][list].as_u64();
    assert_eq!(counted, Some(records.len() as u64), "records of {list}");
    let failed: Vec<String> = records
        .iter()
        .filter_map(|record| check(record).err().map(|why| format!("{record}\n  {why}")))
        .collect();
    assert!(
        failed.is_empty(),
        "{list}: {} of {} records differ\n{}",
        failed.len(),
        records.len(),
        failed.join("\n")
    );
}

#[test]
fn every_version_is_allowed_or_refused_as_in_composer() {
    run(&own_table(), "match");
}

#[test]
fn every_constraint_has_the_bounds_that_composer_gives_it() {
    run(&own_table(), "parsed");
}

#[test]
fn what_is_no_constraint_to_composer_is_refused() {
    run(&own_table(), "invalid_constraints");
}

#[test]
fn what_composer_reads_only_in_part_is_refused() {
    run(&own_table(), "strict_rejects");
}

#[test]
fn versions_are_normalised_as_in_composer() {
    run(&own_table(), "normalized");
}

#[test]
fn what_is_no_version_to_composer_is_refused() {
    run(&own_table(), "invalid_versions");
}

#[test]
fn branch_names_become_versions_as_in_composer() {
    run(&own_table(), "branches");
}

#[test]
fn stabilities_are_read_as_in_composer() {
    run(&own_table(), "stabilities");
}

#[test]
fn versions_compare_as_in_composer() {
    run(&own_table(), "compare");
}

#[test]
fn versions_sort_as_in_composer() {
    run(&own_table(), "sorted");
}

#[test]
fn no_list_of_the_table_is_left_out() {
    let table = own_table();
    let counts = table["meta"]["counts"].as_object().expect("counts");
    let lists: HashSet<&str> = counts.keys().map(String::as_str).collect();
    let checked: HashSet<&str> = CHECKS.iter().map(|(list, _)| *list).collect();
    assert_eq!(lists, checked);
}

#[test]
fn the_recorded_cases_of_composers_own_tests_agree() {
    let Some(folder) = recorded("the_recorded_cases_of_composers_own_tests_agree") else {
        return;
    };
    let path = folder.join("composer-upstream.json");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    let table: Value = serde_json::from_str(&text).expect("the recorded table is JSON");
    for (list, _) in CHECKS {
        run(&table, list);
    }
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} of {record}"))
}

fn same<T: PartialEq + std::fmt::Debug>(ours: &T, wanted: &T) -> Result<(), String> {
    if ours == wanted {
        Ok(())
    } else {
        Err(format!("ours: {ours:?}, wanted: {wanted:?}"))
    }
}

fn constraint(text: &str) -> Result<Constraint, String> {
    Constraint::parse(text).map_err(|error| error.to_string())
}

fn version(text: &str) -> Result<Version, String> {
    Version::parse(text).map_err(|error| error.to_string())
}

fn refused<T: std::fmt::Debug, E>(read: Result<T, E>) -> Result<(), String> {
    match read {
        Ok(read) => Err(format!("was accepted as {read:?}")),
        Err(_) => Ok(()),
    }
}

fn check_match(record: &Value) -> Result<(), String> {
    let version = version(text(record, "version"))?;
    let allowed = constraint(text(record, "constraint"))?.allows(&version);
    same(&Some(allowed), &record["allowed"].as_bool())
}

fn check_parsed(record: &Value) -> Result<(), String> {
    let constraint = constraint(text(record, "constraint"))?;
    let bound = |bound: &Bound| serde_json::json!([bound.op().as_str(), bound.version().as_str()]);
    let ours: Vec<Vec<Value>> = constraint
        .any_of()
        .iter()
        .map(|all_of| all_of.iter().map(bound).collect())
        .collect();
    same(&serde_json::json!(ours), &record["any_of"])
}

fn check_invalid_constraint(record: &Value) -> Result<(), String> {
    refused(Constraint::parse(text(record, "constraint")))
}

fn check_strict_reject(record: &Value) -> Result<(), String> {
    match text(record, "kind") {
        "constraint" => refused(Constraint::parse(text(record, "text"))),
        "version" => refused(Version::parse(text(record, "text"))),
        kind => Err(format!("unknown kind {kind}")),
    }
}

fn check_normalized(record: &Value) -> Result<(), String> {
    let version = version(text(record, "version"))?;
    let ours = (version.as_str(), version.stability().as_str());
    same(
        &ours,
        &(text(record, "normalized"), text(record, "stability")),
    )
}

fn check_invalid_version(record: &Value) -> Result<(), String> {
    refused(Version::parse(text(record, "version")))
}

fn check_branch(record: &Value) -> Result<(), String> {
    let version =
        Version::from_branch(text(record, "branch")).map_err(|error| error.to_string())?;
    same(&version.as_str(), &text(record, "normalized"))
}

fn check_stability(record: &Value) -> Result<(), String> {
    let stability = Stability::of_text(text(record, "version"));
    same(&stability.as_str(), &text(record, "stability"))
}

fn check_compare(record: &Value) -> Result<(), String> {
    let (a, b) = (version(text(record, "a"))?, version(text(record, "b"))?);
    // The library has no order for two different named branches, whatever is asked.
    let unordered = a.is_named_branch() && b.is_named_branch() && a != b;
    let order = (!unordered).then(|| a.cmp(&b));
    let ours = match text(record, "op") {
        "=" | "==" => order.is_some_and(Ordering::is_eq),
        "!=" | "<>" => !order.is_some_and(Ordering::is_eq),
        "<" => order.is_some_and(Ordering::is_lt),
        "<=" => order.is_some_and(Ordering::is_le),
        ">" => order.is_some_and(Ordering::is_gt),
        ">=" => order.is_some_and(Ordering::is_ge),
        op => return Err(format!("unknown operator {op}")),
    };
    same(&Some(ours), &record["expected"].as_bool())
}

fn check_sorted(record: &Value) -> Result<(), String> {
    let strings = |list: &Value| -> Vec<String> {
        serde_json::from_value(list.clone()).expect("a list of texts")
    };
    let mut input = Vec::new();
    for text in strings(&record["input"]) {
        input.push((version(&text)?, text));
    }
    input.sort_by(|(a, _), (b, _)| a.listing_order(b));
    let mut ours = input.into_iter().map(|(_, text)| text);
    for group in record["ascending"].as_array().expect("groups") {
        let mut wanted = strings(group);
        let mut next: Vec<String> = ours.by_ref().take(wanted.len()).collect();
        wanted.sort_unstable();
        next.sort_unstable();
        same(&next, &wanted)?;
    }
    same(&ours.next(), &None)
}

#[test]
fn a_refused_constraint_says_its_class_its_atom_and_where() {
    let cases: &[(&str, &str, &str, usize)] = &[
        ("", "empty", "", 0),
        (" \t ", "empty", "", 0),
        ("^1.0 ||", "empty_alternative", "", 7),
        ("^1.0 ||| ^2.0", "empty_alternative", "", 7),
        (">2.0,,<3.0", "stray_comma", ">2.0,,<3.0", 0),
        ("  ^2 || ,^1", "stray_comma", ",^1", 8),
        ("!=1.0+b,,<2.0", "stray_comma", "!=1.0+b,,<2.0", 0),
        ("^1.0 || =>1.0", "unknown_operator", "=>1.0", 8),
        ("!1.0", "unknown_operator", "!1.0", 0),
        (">~1.2", "unknown_operator", ">~1.2", 0),
        ("~>1.2", "unknown_operator", "~>1.2", 0),
        (">=1.0 && <2.0", "unknown_operator", "&&", 6),
        (">=1.0 and <2.0", "unknown_operator", "and", 6),
        (">=", "operator_without_version", ">=", 0),
        ("~1 ~", "operator_without_version", "~", 3),
        ("^ 1.0", "space_after_caret_or_tilde", "^", 0),
        (">=1.*", "operator_with_wildcard", ">=1.*", 0),
        ("=*", "operator_with_wildcard", "=*", 0),
        ("1.*.2", "misplaced_wildcard", "1.*.2", 0),
        ("1.2.3.4.*", "misplaced_wildcard", "1.2.3.4.*", 0),
        ("V1.*", "misplaced_wildcard", "V1.*", 0),
        ("1.2.3.4.5", "too_many_parts", "1.2.3.4.5", 0),
        ("é || 1.0-foo", "bad_version", "é", 0),
        ("*||1.0-foo", "bad_version", "1.0-foo", 3),
        ("(1.0)", "bad_version", "(1.0)", 0),
        ("1.0@foo", "bad_stability_flag", "1.0@foo", 0),
        ("1.0#abc", "reference_on_non_branch", "1.0#abc", 0),
        ("1.0 -2.0", "hyphen_form", "1.0 -2.0", 0),
        ("1.0  - 2.0", "hyphen_form", "- 2.0", 5),
        ("1.* - 2.0", "hyphen_form", "1.* - 2.0", 0),
        ("main", "bad_branch", "main", 0),
        ("foo_bar-dev", "bad_branch", "foo_bar-dev", 0),
        ("1.0 as", "bad_alias", "1.0 as", 0),
        ("2023-1-5", "bad_date", "2023-1-5", 0),
        ("1.0+", "bad_build", "1.0+", 0),
        ("dev-canvas ^1.0", "blank_inside", "dev-canvas ^1.0", 0),
        ("dev-main - 2.0", "blank_inside", "dev-main - 2.0", 0),
        ("dev-main -foo", "blank_inside", "dev-main -foo", 0),
        ("1.x -dev", "blank_inside", "1.x -dev", 0),
        ("dev-a#b -c", "blank_inside", "dev-a#b -c", 0),
        ("1.x-dev#b -c", "blank_inside", "1.x-dev#b -c", 0),
        (" >=1.0\ngarbage", "control_character", "\ngarbage", 6),
        (
            ">=1.1234567890123456789",
            "number_too_long",
            ">=1.1234567890123456789",
            0,
        ),
        (
            "1234567890123456789.*",
            "number_too_long",
            "1234567890123456789.*",
            0,
        ),
        (
            "1.1234567890123456789-dev",
            "number_too_long",
            "1.1234567890123456789-dev",
            0,
        ),
    ];
    for (text, code, atom, at) in cases {
        let error = Constraint::parse(text).expect_err(text);
        assert_eq!(
            (error.code(), error.atom(), error.at()),
            (*code, *atom, *at),
            "{text:?}"
        );
    }
}

#[test]
fn a_refused_version_says_its_class() {
    let cases: &[(&str, &str)] = &[
        ("", "empty"),
        ("v", "empty"),
        ("@dev", "empty"),
        ("^1.0", "constraint_not_version"),
        ("1.*", "constraint_not_version"),
        ("v1.x", "constraint_not_version"),
        (">=1.0 <2.0", "constraint_not_version"),
        ("1.0.0-foo", "bad_version"),
        ("1_0", "bad_version"),
        ("1.0.0.0.0", "too_many_parts"),
        ("main", "bad_branch"),
        ("1.0#abc", "reference_on_non_branch"),
        ("1.0@dev@", "bad_stability_flag"),
        ("1.0+foo bar", "bad_build"),
        ("1.0 as 2.0 as 3.0", "bad_alias"),
        ("2023-1-5", "bad_date"),
        ("1 .0", "blank_inside"),
        ("1.x -dev", "blank_inside"),
        ("1.0\n@dev", "control_character"),
        ("1.0.0-beta1234567890123456789", "number_too_long"),
    ];
    for (text, code) in cases {
        let error = Version::parse(text).expect_err(text);
        assert_eq!((error.code(), error.text()), (*code, *text), "{text:?}");
    }
}

#[test]
fn messages_say_what_to_write_instead() {
    let cases = [
        ("~>1.2", "unknown operator `~>`; write `~`: `~>1.2`"),
        ("=>1.0", "unknown operator `=>`; write `>=`: `=>1.0`"),
        ("^ 1.0", "no space is allowed after `^`: `^`"),
        (
            "",
            "the constraint is empty; write `*` to allow every version",
        ),
        (
            "main",
            "not a version; a branch is written `dev-main`: `main`",
        ),
        ("1.0\n2", "control characters are not allowed: `\\n2`"),
    ];
    for (text, message) in cases {
        let error = Constraint::parse(text).expect_err(text);
        assert_eq!(error.to_string(), message, "{text:?}");
    }
}

#[test]
fn long_texts_are_refused_and_cut_in_the_message() {
    let longest = format!("1.0+{}", "a".repeat(MAX_BYTES - 4));
    assert!(Constraint::parse(&longest).is_ok());
    assert!(Version::parse(&longest).is_ok());

    let longer = longest + "a";
    let error = Constraint::parse(&longer).expect_err("one byte more");
    assert_eq!(
        *error.problem(),
        ConstraintProblem::Version(VersionProblem::TooLong)
    );
    assert!(error.to_string().len() < 300, "{error}");
    let error = Version::parse(&longer).expect_err("one byte more");
    assert_eq!(error.problem(), VersionProblem::TooLong);
    assert!(error.to_string().len() < 300, "{error}");
}

#[test]
fn alternatives_are_counted() {
    let most = vec!["1.0"; MAX_ALTERNATIVES].join("|");
    let constraint = Constraint::parse(&most).expect("as many as allowed");
    assert_eq!(constraint.any_of().len(), MAX_ALTERNATIVES);
    let error = Constraint::parse(&(most + "|2.0")).expect_err("one more");
    assert_eq!(
        (error.code(), error.atom()),
        ("too_many_alternatives", "2.0")
    );
}

#[test]
fn the_text_is_kept_as_written_and_the_meaning_is_spelled_out() {
    let cases = [
        (" ^1.2 ", ">=1.2.0.0-dev <2.0.0.0-dev"),
        (
            "1.0 - 2.0 || dev-main",
            ">=1.0.0.0-dev <2.1.0.0-dev || ==dev-main",
        ),
        ("* || <2.0-stable", "* || <2.0.0.0"),
        ("!=1.0-foo-dev", "!=dev-1.0-foo"),
    ];
    for (text, meaning) in cases {
        let constraint = Constraint::parse(text).expect(text);
        assert_eq!(
            (constraint.as_str(), constraint.to_string()),
            (text, text.to_owned())
        );
        assert_eq!(constraint.meaning(), meaning, "{text:?}");
    }
}

#[test]
fn a_set_of_frozen_versions_finds_equal_versions_in_any_spelling() {
    let frozen: HashSet<Version> = ["1.0.0", "2.0-beta.2", "dev-main", "2023-01-31"]
        .iter()
        .map(|text| Version::parse(text).expect(text))
        .collect();
    let cases = [
        ("v01.0+build", true),
        ("1.0@dev", true),
        ("2.0.0.0b2", true),
        ("dev-main", true),
        ("DEV-main", true),
        ("dev-Main", false),
        ("1.0.1", false),
        ("1.0-p1", false),
        ("2023.01.31", false),
    ];
    for (text, found) in cases {
        let version = Version::parse(text).expect(text);
        assert_eq!(frozen.contains(&version), found, "{text}");
    }
}

#[test]
fn two_normalised_versions_do_not_survive_a_second_parse() {
    for (text, normalised, again) in [
        ("2023-01-31", "2023.01.31", "2023.01.31.0"),
        ("1.0-STABLE", "1.0.0.0-stable", "1.0.0.0"),
    ] {
        let version = Version::parse(text).expect(text);
        assert_eq!(version.as_str(), normalised);
        let reread = Version::parse(normalised).expect(normalised);
        assert_eq!(reread.as_str(), again);
        assert!(version < reread, "{text}");
    }
}

#[test]
fn only_plain_versions_have_a_semver_form() {
    let cases = [
        ("1.2.3", Some("1.2.3")),
        ("v1.2-beta.4.1", Some("1.2.0-2.4.1")),
        ("1.0-dev", Some("1.0.0-0")),
        ("1.0.0.0-a", Some("1.0.0-1")),
        ("1.0RC3+build", Some("1.0.0-3.3")),
        ("1.2.3.4", None),
        ("1.0-p1", None),
        ("1.0-beta1-dev", None),
        ("1.0-STABLE", None),
        ("1.x-dev", None),
        ("20230131", None),
        ("dev-main", None),
    ];
    for (text, semver) in cases {
        let version = Version::parse(text).expect(text);
        let ours = version.to_semver().map(|version| version.to_string());
        assert_eq!(ours.as_deref(), semver, "{text}");
    }
}

/// Texts of valid numbered versions in many spellings.
fn numbered() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        4 => "[0-3]",
        1 => "0[0-2]",
        1 => Just("10".to_owned()),
        1 => Just("9999999".to_owned()),
    ];
    let numbers = ("[0-3]", prop::collection::vec(number, 0..4))
        .prop_map(|(first, rest)| [vec![first], rest].concat().join("."));
    let classical = (
        "(v|V|)",
        numbers,
        "([-._]?(alpha|a|b|beta|rc|RC|p|pl)([.-]?[0-2]){0,2}|)",
        "([.-]?dev|)",
    )
        .prop_map(|(v, numbers, suffix, dev)| format!("{v}{numbers}{suffix}{dev}"));
    let dated = "20(23|24)(01|02)(30|31)([.-][0-3]{1,3}){0,2}(-beta[0-2]|-dev|-p1|)";
    let branch = "[0-2](\\.[0-2]){0,2}\\.x-dev";
    prop_oneof![6 => classical, 1 => dated, 1 => branch]
}

/// Texts of versions, named branches among them.
fn any_version() -> impl Strategy<Value = String> {
    prop_oneof![6 => numbered(), 1 => "dev-(main|master|Main|feature/[a-c])"]
}

/// Constraints of one atom.
fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        ("(=|==|!=|<>|>|>=|<|<=|)", any_version()).prop_map(|(op, version)| op + &version),
        ("[~^]", "[0-2](\\.[0-2]){0,3}(-beta1|RC2|-dev|\\+build|)").prop_map(|(op, v)| op + &v),
        "[0-2](\\.[0-2]){0,2}\\.[*xX]",
        "[0-2](\\.[0-2]){0,3} - [0-2](\\.[0-2]){0,3}",
        "(>=|<|!=|)[0-2]\\.[0-2](-p1|-RC1|)@(dev|beta|RC|stable|BETA)",
        "[*xX]|v\\*|\\*\\.\\*|@dev",
    ]
}

fn parsed_version() -> impl Strategy<Value = Version> {
    any_version().prop_map(|text| Version::parse(&text).expect(&text))
}

fn parsed_atom() -> impl Strategy<Value = Constraint> {
    atom().prop_map(|text| Constraint::parse(&text).expect(&text))
}

/// Whether the bounds as shown allow the version, read from the shown text alone.
fn shown_allows(meaning: &str, bounds: &[Vec<Bound>], version: &Version) -> bool {
    let known = |text: &str| {
        let find = |bound: &&Bound| bound.version().as_str() == text;
        bounds
            .iter()
            .flatten()
            .find(find)
            .expect("a bound that is shown")
            .version()
    };
    let holds = |bound: &str| {
        if bound == "*" {
            return true;
        }
        let end = bound
            .find(|c: char| !"=!<>".contains(c))
            .expect("a version");
        let other = known(&bound[end..]);
        let branches = version.is_named_branch() || other.is_named_branch();
        match &bound[..end] {
            "==" => version == other,
            "!=" => version != other,
            _ if branches => false,
            "<" => version < other,
            "<=" => version <= other,
            ">" => version > other,
            ">=" => version >= other,
            op => panic!("operator {op}"),
        }
    };
    meaning
        .split(" || ")
        .any(|all_of| all_of.split(' ').all(holds))
}

/// The tokens that constraints are made of, so that random texts come near to valid ones.
const ALPHABET: &str = "([0-9]{1,20}|[.,|@#+*xXvV^~<>=!_:-]|\\|\\|| |  | - | as |\t|\n|dev-|-dev|\
    beta|RC|alpha|stable|patch|@dev|\\.x-dev|1\\.0|é|[a-z]){0,12}";

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn reading_never_panics_on_any_text(text in "\\PC{0,40}|(?s:.{0,40})") {
        let _ = Constraint::parse(&text);
        let _ = Version::parse(&text);
        let _ = Version::from_branch(&text);
        let _ = Stability::of_text(&text);
    }

    #[test]
    fn parsing_never_panics_on_texts_that_look_like_constraints(text in ALPHABET) {
        if let Err(error) = Constraint::parse(&text) {
            let whole = error.atom().trim_end_matches('…');
            prop_assert!(text[error.at()..].starts_with(whole), "{error:?}");
            prop_assert!(!error.to_string().is_empty());
        }
        let _ = Version::from_branch(&text);
        let _ = Stability::of_text(&text);
        if let Ok(version) = Version::parse(&text) {
            let _ = version.to_semver();
        }
    }

    #[test]
    fn the_order_of_versions_is_total(
        a in parsed_version(), b in parsed_version(), c in parsed_version(),
    ) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        for order in [Version::cmp as fn(&Version, &Version) -> Ordering, Version::listing_order] {
            if order(&a, &b).is_le() && order(&b, &c).is_le() {
                prop_assert!(order(&a, &c).is_le(), "{} {} {}", a, b, c);
            }
            prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
        }
        if a == b {
            let set = HashSet::from([a]);
            prop_assert!(set.contains(&b));
        }
    }

    #[test]
    fn the_order_of_plain_versions_is_that_of_semver(a in numbered(), b in numbered()) {
        let (a, b) = (Version::parse(&a).expect(&a), Version::parse(&b).expect(&b));
        if let (Some(plain_a), Some(plain_b)) = (a.to_semver(), b.to_semver()) {
            prop_assert_eq!(a.cmp(&b), plain_a.cmp(&plain_b), "{} {}", a, b);
        }
    }

    #[test]
    fn a_normalised_version_reads_as_the_same_version(version in parsed_version()) {
        // Dates written with hyphens only can get a part more; none is generated here.
        let again = Version::parse(version.as_str()).expect("a version");
        prop_assert_eq!(again.as_str(), version.as_str());
        prop_assert_eq!(again, version);
    }

    #[test]
    fn the_meaning_shown_allows_what_the_constraint_allows(
        constraint in parsed_atom(), other in parsed_atom(), version in parsed_version(),
    ) {
        for text in [
            constraint.to_string(),
            format!("{constraint} || {other}"),
            format!("{constraint} {other}"),
        ] {
            let constraint = Constraint::parse(&text).expect(&text);
            let shown = shown_allows(&constraint.meaning(), constraint.any_of(), &version);
            prop_assert_eq!(constraint.allows(&version), shown, "{} {}", text, version);
        }
    }

    #[test]
    fn a_bar_means_or_and_a_separator_means_and(
        a in parsed_atom(), b in parsed_atom(), version in parsed_version(),
        bar in "( |\t)?\\|\\|?( |\t)?", separator in " {1,3}|,| , | ,|, ",
    ) {
        let either = Constraint::parse(&format!("{a}{bar}{b}")).expect("an alternative");
        prop_assert_eq!(either.allows(&version), a.allows(&version) || b.allows(&version));
        let both = Constraint::parse(&format!("{a}{separator}{b}")).expect("two atoms");
        prop_assert_eq!(both.allows(&version), a.allows(&version) && b.allows(&version));
    }

    #[test]
    fn opposite_operators_allow_opposite_versions(
        bound in any_version(), version in parsed_version(),
    ) {
        let allows = |op: &str| {
            let text = format!("{op}{bound}");
            Constraint::parse(&text).expect(&text).allows(&version)
        };
        prop_assert_ne!(allows("="), allows("!="));
        prop_assert_eq!(allows("="), Version::parse(&bound).expect(&bound) == version);
        let branches = version.is_named_branch() || bound.starts_with("dev-");
        prop_assert_eq!(allows("<") != allows(">="), !branches, "{} {}", bound, version);
        prop_assert_eq!(allows(">") != allows("<="), !branches, "{} {}", bound, version);
    }

    #[test]
    fn a_range_allows_no_named_branch_and_ends_before_the_next_series(
        major in 1_u64..4, minor in 0_u64..4, op in "[~^]", version in parsed_version(),
    ) {
        let constraint = Constraint::parse(&format!("{op}{major}.{minor}")).expect("a range");
        let wanted = match constraint.any_of() {
            [bounds] => bounds.len() == 2
                && bounds[0].op() == Op::GreaterOrEqual
                && bounds[0].version().as_str() == format!("{major}.{minor}.0.0-dev")
                && bounds[1].op() == Op::Less
                && bounds[1].version().as_str() == format!("{}.0.0.0-dev", major + 1),
            _ => false,
        };
        prop_assert!(wanted, "{:?}", constraint.any_of());
        if version.is_named_branch() {
            prop_assert!(!constraint.allows(&version));
        }
    }
}
