//! The arithmetic of `deploy/CAPACITY.md`: what is measured stands in `docs/speed.md`, and the rest follows from it.

use std::collections::BTreeMap;

use super::{root, text};

/// The rows of `docs/speed.md` that the measured figures are from.
const MEASURED: [(&str, &str); 9] = [
    ("R", "receiver, 64 connections"),
    ("W", "worker, a backlog"),
    ("N", "the same without"),
    ("T", "two workers"),
    ("P", "post to committed"),
    ("E", "embedded, post to committed"),
    ("F", "a worker whose database is 5 ms away"),
    ("G", "a worker whose database is 5 ms away"),
    ("A", "access check, each looked up, PostgreSQL"),
];

/// Two cores, in milliseconds a second.
const CORES: f64 = 2_000.0;

/// The cells of the rows of a page's tables.
fn rows(page: &str) -> Vec<Vec<String>> {
    let rows = text(&root().join(page));
    let rows = rows.lines().filter_map(|it| it.strip_prefix("| "));
    let cells = rows.map(|row| row.split('|').map(|it| it.trim().to_owned()).collect());
    cells.collect()
}

/// The number that a cell begins with.
fn number(cell: &str) -> f64 {
    let digits = cell.split([' ', '/']).next().unwrap().replace(',', "");
    digits.parse().unwrap_or_else(|_| panic!("{cell}"))
}

/// The table's figures by their letters, as they are written.
fn figures() -> BTreeMap<String, String> {
    let rows = rows("deploy/CAPACITY.md").into_iter();
    let lettered = rows.filter(|row| row[0].chars().count() == 1 && row[0] != "-");
    lettered
        .map(|row| (row[0].clone(), row[2].clone()))
        .collect()
}

#[test]
fn what_was_measured_is_in_the_table_of_speed() {
    let (figures, speed) = (figures(), rows("docs/speed.md"));
    for (letter, row) in MEASURED {
        let row = speed.iter().find(|it| it[0].starts_with(row)).unwrap();
        let figure = &figures[letter];
        let is_there = row[1]
            .split([';', ',', ' '])
            .any(|it| figure.ends_with(it) && it.len() > 4);
        let is_whole = row[1].contains(figure.as_str());
        assert!(
            is_there && is_whole,
            "{letter} is {figure}, and measured was {row:?}"
        );
    }
}

#[test]
fn the_first_page_shows_rows_of_the_table_of_speed() {
    let (first, speed) = (rows("README.md"), rows("docs/speed.md"));
    let head = |row: &&Vec<String>| row[0] == "work";
    let shown = first.iter().skip_while(|row| !head(row));
    let shown: Vec<_> = shown.collect();
    assert!(shown.len() > 5, "{shown:?}");
    for row in shown.iter().skip(1) {
        assert!(speed.contains(row), "{row:?} is not in docs/speed.md");
    }
}

#[test]
fn what_follows_does() {
    let figures = figures();
    let of = |letter: &str| number(&figures[letter]);
    let event = CORES / of("W");
    for (letter, computed) in [
        ("w", event),
        ("d", 0.59 * event),
        ("k", 0.33 * event),
        ("b", 0.08 * event),
        ("r", CORES / of("R")),
        ("v", CORES / of("R") / 3.0),
        ("a", CORES / of("A")),
    ] {
        let written = of(letter);
        assert!(
            (written - computed).abs() <= 0.005_001,
            "{letter}: {written}, not {computed}"
        );
    }
    assert_eq!(
        figures.len(),
        MEASURED.len() + 7 + 3,
        "a figure that nothing is counted from"
    );

    let table = rows("deploy/CAPACITY.md");
    let head = table.iter().find(|row| row[1].starts_with("1×")).unwrap();
    let rates = head[1..4]
        .iter()
        .map(|it| number(it.split(' ').nth(1).unwrap()));
    let rates: Vec<f64> = rates.collect();
    assert!((rates[0] / of("P") - 1.0).abs() < 0.02, "{rates:?}");
    for letter in ["d", "k", "b", "v", "m", "q", "l"] {
        let ending = format!("({letter})");
        let row = table.iter().find(|row| row[0].ends_with(&ending)).unwrap();
        for (cell, rate) in row[1..4].iter().zip(&rates) {
            // Milliseconds and kilobytes an event are thousandths of cores and of megabytes a second.
            let computed = of(letter) * rate / 1_000.0;
            let written = number(cell);
            let last_digit = if cell.contains('.') { 0.1 } else { 1.0 };
            let near = (written - computed).abs() <= last_digit / 2.0 + 0.001;
            assert!(near, "{row:?}: {written}, not {computed}");
        }
    }
}
