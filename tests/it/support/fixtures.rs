//! The payloads in files, and the table that says what becomes of each.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tollgate::domain::id::Provider;
use tollgate::provider;

/// What becomes of payloads that come alone to an empty store.
#[derive(Deserialize)]
pub(crate) struct Outcomes {
    pub(crate) own: Vec<Row>,
    pub(crate) recorded: Vec<Row>,
}

#[derive(Deserialize)]
pub(crate) struct Row {
    /// As `stripe/….json`.
    pub(crate) file: String,
    pub(crate) outcome: String,
    pub(crate) code: Option<String>,
    pub(crate) because: String,
}

pub(crate) fn outcomes() -> Outcomes {
    serde_json::from_str(include_str!("../../../fixtures/outcomes.json")).unwrap()
}

/// The end of the names of Stripe's payloads in an old shape, and in a new one.
pub(crate) const OLD: &str = "--2024-06-20.json";
pub(crate) const NEW: &str = "--2025-11-17.clover.json";

/// One of our own payloads.
pub(crate) fn load(file: &str) -> Value {
    let text = std::fs::read_to_string(own().join(file));
    let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// The folder of our own payloads.
pub(crate) fn own() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"))
}

/// Where recorded payloads are, if `TOLLGATE_RECORDED_FIXTURES` says so. A test that needs them
/// and does not find them says plainly that it did not run.
pub(crate) fn recorded(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TOLLGATE_RECORDED_FIXTURES").map(PathBuf::from);
    if folder.is_none() {
        // Past the capture of a test that passes, which hides what `eprintln!` writes.
        let _ = writeln!(
            std::io::stderr(),
            "{test} DID NOT RUN: set TOLLGATE_RECORDED_FIXTURES to a folder of recorded payloads"
        );
    }
    folder
}

/// The payloads of both providers in a folder, as `stripe/….json`.
pub(crate) fn files(folder: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for provider in provider::names() {
        for entry in std::fs::read_dir(folder.join(provider.as_str())).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name)
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.insert(format!("{provider}/{name}"));
            }
        }
    }
    files
}

pub(crate) fn provider_of(file: &str) -> Provider {
    file.split('/').next().unwrap().parse().unwrap()
}
