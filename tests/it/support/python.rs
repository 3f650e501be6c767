//! Python programs at work. Slow, for what has to be installed: `deploy/dev/test --slow`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `deploy/dev/test --slow` installs last, by which its folder is found.
const KNOWN: &str = "openapi-python-client";

/// A program of the Python that has what the tests need, its own name among them.
pub(crate) fn beside_python(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(KNOWN));
    let found = places.find(|place| place.is_file());
    let found = found.unwrap_or_else(|| {
        panic!("{KNOWN} is missing: deploy/dev/test --slow installs it into target/")
    });
    let folder = std::fs::canonicalize(found).unwrap();
    folder.with_file_name(name)
}

/// Runs a program to its end, and returns what it said.
pub(crate) fn run(folder: &Path, program: &Path, arguments: &[&OsStr]) -> String {
    let mut run = Command::new(program);
    let done = run
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let text = [done.stdout, done.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(done.status.success(), "{}: {text}", program.display());
    text
}
