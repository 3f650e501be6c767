//! Settings that pages and files of `deploy/` speak of: each is one of the program, or of a tool beside it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{defaults, pages, root, text};

/// What begins like a setting and is none, with whose it is.
const OTHERS: [(&str, &str); 7] = [
    ("TOLLGATE_API_PORT", "Kubernetes, of a service"),
    ("TOLLGATE_COMMIT", "the build"),
    ("TOLLGATE_IMAGE", "compose.yaml"),
    ("TOLLGATE_RECORDED_FIXTURES", "the tests"),
    ("TOLLGATE_TEST_RABBITMQ_ROOT", "the tests"),
    ("STRIPE_EVERY", "a constant of the source"),
    ("PADDLE_EVERY", "a constant of the source"),
];

const BEGINNINGS: [&str; 6] = [
    "TOLLGATE_",
    "STRIPE_",
    "PADDLE_",
    "ADMIN_",
    "AMQP_",
    "DATABASE_",
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // What `deploy/compose/setup` made, which is in no commit.
            if !path.ends_with("compose/secrets") {
                files(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// Words of capitals that begin as settings do.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_';
    let words = text.split(|char| !is_part(char));
    let named = words.filter(|word| {
        let begins = BEGINNINGS
            .iter()
            .any(|it| word.starts_with(it) && word != it);
        begins && !word.ends_with('_')
    });
    named.collect()
}

#[tokio::test]
async fn each_setting_that_is_spoken_of_is_one_of_the_program() {
    let known: BTreeSet<String> = defaults().await.into_keys().collect();
    let mut read: Vec<PathBuf> = pages();
    // It tells of settings as they were.
    read.retain(|it| !it.ends_with("CHANGELOG.md"));
    files(&root().join("deploy"), &mut read);
    let mut others = BTreeSet::new();
    for path in read {
        let text = text(&path);
        for name in named(&text) {
            let setting = name.strip_suffix("_FILE").unwrap_or(name);
            if known.contains(name) || known.contains(setting) {
                continue;
            }
            let other = OTHERS.iter().find(|(other, _)| *other == name);
            assert!(other.is_some(), "{}: there is no {name}", path.display());
            others.extend(other.copied());
        }
    }
    assert_eq!(others, BTreeSet::from(OTHERS), "a name that nothing has");
}
