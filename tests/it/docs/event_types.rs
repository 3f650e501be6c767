//! The README's table of event types, which people tick one by one at their provider, against those that
//! are read.

use std::collections::BTreeSet;

use super::root;

/// What another type of the table says too.
const SAID_BY_ANOTHER: [&str; 1] = ["charge.refund.updated"];

/// The types of the table's rows: each in backticks, without its beginning if that is the one of the type
/// before it, and with a `*` for all that begin like it.
fn named() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, table) = readme.split_once("| from | event types |").unwrap();
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let mut named = Vec::new();
    let mut before = String::new();
    for row in rows {
        let types = row.split('|').nth(2).unwrap();
        for text in types.split('`').skip(1).step_by(2) {
            let name = match text.strip_prefix('.') {
                Some(end) => format!("{before}.{end}"),
                None => text.to_owned(),
            };
            name.rsplit_once('.').unwrap().0.clone_into(&mut before);
            named.push(name);
        }
    }
    named
}

fn covers(named: &str, name: &str) -> bool {
    match named.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => named == name,
    }
}

#[test]
fn the_table_of_event_types_names_those_that_are_read() {
    let named = named();
    assert!(named.len() > 20, "{named:?}");
    let read: BTreeSet<&str> = tollgate::provider::ALL
        .iter()
        .flat_map(|spec| spec.types.iter().map(|kind| kind.name))
        .collect();
    for name in &read {
        let is_named = named.iter().any(|it| covers(it, name));
        assert_eq!(is_named, !SAID_BY_ANOTHER.contains(name), "{name}");
    }
    for it in &named {
        assert!(read.iter().any(|name| covers(it, name)), "{it} is not read");
    }
}
