//! The numbers of the table are those of the code.

use std::path::Path;

/// A number as the table writes it: `10_000` is `10,000`.
fn as_written(number: &str) -> Option<String> {
    let number: u64 = number.replace('_', "").parse().ok()?;
    Some(match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{},{:03}", number / 1_000, number % 1_000),
        _ => format!(
            "{},{:03},{:03}",
            number / 1_000_000,
            number / 1_000 % 1_000,
            number % 1_000
        ),
    })
}

/// The value of a constant, as the code writes it.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!(" {name}: "))?;
    let (_, value) = rest.split_once(" = ")?;
    Some(value.split_once(';')?.0)
}

#[test]
fn every_row_names_a_place_that_says_its_number() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("docs/limits.md")).unwrap();
    let mut rows = 0;
    let mut numbers = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let place = row.trim_end_matches('|').rsplit_once('|').unwrap().1.trim();
        let mut names = place.split('`').skip(1).step_by(2);
        let Some(file) = names.next().filter(|name| name.starts_with("src/")) else {
            continue;
        };
        rows += 1;
        let text = std::fs::read_to_string(root.join(file)).expect(row);
        let Some(name) = names.next() else { continue };
        assert!(text.contains(name), "{row}");
        let value = value(&text, name).and_then(as_written);
        if let Some(number) = value.filter(|_| name.to_uppercase() == name) {
            numbers += 1;
            assert!(row.contains(&number), "{number}: {row}");
        }
    }
    assert!(rows > 70 && numbers > 45, "{rows} rows, {numbers} numbers");
}
