//! What nobody would notice going stale: dependencies of tests, and the list of refused designs.

use std::collections::BTreeSet;
use std::path::Path;

use crate::architecture::{rust_files, sources};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Those of the program are counted by the compiler, because `lib.rs` asks for it.
#[test]
fn each_dependency_of_the_tests_is_used() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches"] {
        rust_files(&root().join(folder), &mut files);
    }
    let texts = files.iter().map(|it| std::fs::read_to_string(it).unwrap());
    let code: Vec<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let used = |name: &str| {
        let path = format!("{}::", name.replace('-', "_"));
        code.iter().any(|line| {
            let starts = line.match_indices(&path).map(|(at, _)| at);
            let mut before = starts.map(|at| line[..at].chars().next_back());
            before.any(|it| it.is_none_or(|it| !it.is_alphanumeric() && !"_:\"".contains(it)))
        })
    };
    let unused: Vec<_> = manifest["dev-dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .filter(|name| !used(name))
        .collect();
    assert!(unused.is_empty(), "nothing uses {unused:?}");
}

/// Module docs say what else was considered, after this word.
const MARKS: [&str; 2] = ["Refused:", "Refused too:"];

#[test]
fn contributing_lists_every_file_with_a_refused_design() {
    let text = std::fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, index) = text.split_once("## Designs that were refused").unwrap();
    let listed: BTreeSet<&str> = index
        .lines()
        .filter_map(|line| line.strip_prefix("| `src/")?.split('`').next())
        .collect();
    let refuses = |text: &str| {
        let mut docs = text.lines().filter(|line| line.starts_with("//!"));
        docs.any(|line| MARKS.iter().any(|mark| line.contains(mark)))
    };
    let sources = sources();
    let refusing: BTreeSet<&str> = sources
        .iter()
        .filter(|(_, text)| refuses(text))
        .map(|(file, _)| file.as_str())
        .collect();
    let wrong: Vec<_> = listed.symmetric_difference(&refusing).collect();
    assert!(
        wrong.is_empty(),
        "listed or refusing, but not both: {wrong:?}"
    );
}
