//! Says which commit a build for use is of, for `tollgate --version`.
//!
//! `TOLLGATE_COMMIT` says it where there is no repository, as in the build of an image. An archive that git
//! made says it itself: git writes it into `.cargo/commit` (`export-subst` in `.gitattributes`). Otherwise git
//! is asked, but only in builds for use: one for tests would be made anew at every commit, which takes minutes
//! and tells nobody anything. Without any of them the version stands alone.

#![expect(
    clippy::print_stdout,
    reason = "a build script speaks to Cargo on its standard output"
)]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// What a program is built of. Another page of the documentation makes no other program.
const BUILT_OF: [&str; 6] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "fixtures",
    "migrations",
    "src",
];

fn main() {
    println!("cargo::rerun-if-env-changed=TOLLGATE_COMMIT");
    println!("cargo::rerun-if-changed=.cargo/commit.rs");
    println!("cargo::rerun-if-changed=.cargo/commit");
    let given = env::var("TOLLGATE_COMMIT").ok();
    let given = given.filter(|commit| !commit.is_empty());
    let is_for_use = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let given = given.or_else(of_archive).map(|commit| (commit, ""));
    let commit = given.or_else(|| if is_for_use { of_git() } else { None });
    if let Some((commit, changed)) = commit {
        let is_plain = commit.bytes().all(|byte| byte.is_ascii_alphanumeric());
        assert!(is_plain, "TOLLGATE_COMMIT is no commit: {commit:?}");
        let short = commit.get(..12).unwrap_or(&commit);
        let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
        println!("cargo::rustc-env=TOLLGATE_VERSION={version} ({short}{changed})");
    }
}

/// The commit that an archive is of. In a repository the file has what git replaces.
fn of_archive() -> Option<String> {
    let here = env::var("CARGO_MANIFEST_DIR").ok()?;
    let text = fs::read_to_string(Path::new(&here).join(".cargo/commit")).ok()?;
    let commit = text.trim();
    let is_commit = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| commit.to_owned())
}

/// The commit that is checked out, if this is the repository and not a copy inside of another; and what is
/// to be said of a program that was not built of it alone.
fn of_git() -> Option<(String, &'static str)> {
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
    for path in BUILT_OF {
        println!("cargo::rerun-if-changed={path}");
    }
    let status = ["status", "--porcelain", "--"];
    let differs = !git(&here, &[&status[..], &BUILT_OF[..]].concat())?.is_empty();
    let changed = if differs { "-dirty" } else { "" };
    Some((git(&here, &["rev-parse", "HEAD"])?, changed))
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
