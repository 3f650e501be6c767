//! Says which commit a build for use is of, for `tollgate --version`.
//!
//! `TOLLGATE_COMMIT` says it where there is no repository, as in the build of an image. Otherwise git is
//! asked, but only in builds for use: one for tests would be made anew at every commit, which takes minutes
//! and tells nobody anything. Without either the version stands alone.

#![expect(
    clippy::print_stdout,
    reason = "a build script speaks to Cargo on its standard output"
)]

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=TOLLGATE_COMMIT");
    println!("cargo::rerun-if-changed=.cargo/commit.rs");
    let given = env::var("TOLLGATE_COMMIT").ok();
    let given = given.filter(|commit| !commit.is_empty());
    let is_for_use = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given.or_else(|| if is_for_use { of_git() } else { None });
    if let Some(commit) = commit {
        let is_plain = commit.bytes().all(|byte| byte.is_ascii_alphanumeric());
        assert!(is_plain, "TOLLGATE_COMMIT is no commit: {commit:?}");
        let short = commit.get(..12).unwrap_or(&commit);
        let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
        println!("cargo::rustc-env=TOLLGATE_VERSION={version} ({short})");
    }
}

/// The commit that is checked out, if this is the repository and not a copy inside of another.
fn of_git() -> Option<String> {
    let here = env::var("CARGO_MANIFEST_DIR").ok()?;
    let top = git(&here, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&here).canonicalize().ok()? {
        return None;
    }
    // What changes with the next commit: which branch is checked out, or what it points to.
    let branch = git(&here, &["symbolic-ref", "-q", "HEAD"]);
    let names = ["HEAD".to_owned(), "packed-refs".to_owned()]
        .into_iter()
        .chain(branch);
    for name in names {
        let path = git(
            &here,
            &["rev-parse", "--path-format=absolute", "--git-path", &name],
        )?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&here, &["rev-parse", "HEAD"])
}

fn git(folder: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(folder)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
