//! The pages of docs/ and those beside them: every link leads somewhere, and tables that repeat what the program
//! knows say the same.

mod blocks;
mod capacity;
mod codes;
mod event_types;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::program::{out, tollgate};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All pages in Markdown that are read beside the code.
fn pages() -> Vec<PathBuf> {
    let tops = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|it| root().join(it));
    let mut pages = Vec::from(tops);
    for folder in ["docs", "deploy"] {
        let files = std::fs::read_dir(root().join(folder)).unwrap();
        let files = files.map(|it| it.unwrap().path());
        pages.extend(files.filter(|it| it.extension().is_some_and(|it| it == "md")));
    }
    pages
}

/// The lines outside of fenced blocks.
fn prose(text: &str) -> String {
    let mut is_fenced = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fence && !is_fenced
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The targets of a page's links.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let targets = text.split("](").skip(1);
    targets
        .map(|it| it[..it.find(')').unwrap()].to_owned())
        .collect()
}

/// What links call the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let text = prose(text);
    let headings = text.lines().filter_map(|line| {
        let name = line.trim_start_matches('#');
        (name.len() < line.len()).then(|| name.strip_prefix(' '))?
    });
    let slug = |name: &str| {
        let kept = name.chars().filter_map(|char| match char {
            ' ' | '-' => Some('-'),
            '_' => Some('_'),
            char => char.is_alphanumeric().then_some(char),
        });
        kept.collect::<String>().to_lowercase()
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    for page in pages() {
        let here = text(&page);
        for link in links(&here) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(file)
            };
            let shown = page.display();
            assert!(target.exists(), "{shown}: {link}");
            if !anchor.is_empty() {
                let known = anchors(&text(&target));
                assert!(known.contains(anchor), "{shown}: {link}: {known:?}");
            }
        }
    }
    assert!(count > 50, "{count} links");
}

#[test]
fn every_page_of_docs_is_in_its_summary_and_in_the_readme() {
    let summary = text(&root().join("docs/SUMMARY.md"));
    let readme = text(&root().join("README.md"));
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        if page.parent().unwrap() == root().join("docs") && name != "SUMMARY.md" {
            assert!(links(&summary).contains(&name.to_owned()), "{name}");
            assert!(links(&readme).contains(&format!("docs/{name}")), "{name}");
        }
    }
}

/// The first cells of a table's rows, of which the words in code are taken.
fn named(page: &str, head: &str) -> BTreeSet<String> {
    let page = text(&root().join(page));
    let (_, table) = page.split_once(head).unwrap();
    let rows = table.lines().skip(2).take_while(|it| it.starts_with('|'));
    let cells = rows.flat_map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        cell.split('`').skip(1).step_by(2).collect::<Vec<_>>()
    });
    cells.map(str::to_owned).collect()
}

/// What `check-config` says of a setting that has no value by default.
const NO_VALUE: [&str; 4] = [
    "not set",
    "none",
    "as TOLLGATE_LISTEN",
    "the provider's own",
];

/// Each setting, with what it is if nothing sets it, as `check-config` says.
async fn defaults() -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.toml");
    std::fs::write(&empty, "").unwrap();
    let arguments = ["check-config", "--config", empty.to_str().unwrap()];
    let shown = out(&tollgate(&arguments, BTreeMap::new()).await);
    let lines = shown.lines().filter_map(|it| it.split_once(" = "));
    lines
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test]
async fn the_page_of_settings_names_those_that_there_are_with_their_defaults() {
    let known = defaults().await;
    assert!(known.len() > 30, "{known:?}");
    let names: BTreeSet<String> = known.keys().cloned().collect();
    let head = "| variable | default | meaning |";
    assert_eq!(named("docs/settings.md", head), names);

    let page = text(&root().join("docs/settings.md"));
    let (_, table) = page.split_once(head).unwrap();
    for row in table.lines().skip(2).take_while(|it| it.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for name in cells[1].split('`').skip(1).step_by(2) {
            let value = known[name].trim_end_matches(" s");
            // A value is written as such, and what is done without one in words.
            if let Some(written) = cells[2].strip_prefix('`') {
                let written = written.split('`').next().unwrap();
                assert!(value.starts_with(written), "{name}: {written} is {value}");
            } else {
                let is_none = NO_VALUE.contains(&value) || value.starts_with("sqlite://");
                assert!(is_none, "{name}: the default is {value}");
            }
        }
    }
}
