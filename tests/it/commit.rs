//! What `tollgate --version` says of where a program was built.
//!
//! The tests of this package are built without a commit, so the build's script is compiled and asked by itself.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docs::root;

/// Runs a command in a folder, with nothing of this process's own git.
fn run(folder: &Path, program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .args(arguments)
        .env_remove("GIT_DIR")
        .env_remove("TOLLGATE_COMMIT")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("CARGO_MANIFEST_DIR", folder)
        .env("CARGO_PKG_VERSION", "1.2.3");
    if arguments.is_empty() {
        command.env("PROFILE", "release");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let as_somebody = ["-c", "user.name=n", "-c", "user.email=n@example.com"];
    run(folder, "git", &[&as_somebody, arguments].concat())
}

/// The version that a build in a folder gets, if it is more than the number.
fn version(script: &Path, folder: &Path) -> Option<String> {
    let said = run(folder, script, &[]);
    let mut lines = said.lines();
    let version = lines.find_map(|it| it.strip_prefix("cargo::rustc-env=TOLLGATE_VERSION="));
    version.map(str::to_owned)
}

/// A folder with the two files that a commit is told by, and something to build.
fn source(folder: &Path) {
    std::fs::create_dir_all(folder.join("src")).unwrap();
    std::fs::create_dir(folder.join(".cargo")).unwrap();
    for name in [".gitattributes", ".cargo/commit"] {
        std::fs::copy(root().join(name), folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("src/main.rs"), "fn main() {}").unwrap();
    std::fs::write(folder.join("README.md"), "read").unwrap();
}

#[test]
fn a_build_knows_its_commit_in_a_repository_a_worktree_and_an_archive() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = |name: &str| -> PathBuf { temporary.path().join(name) };
    let script = folder("script");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let from = root().join(".cargo/commit.rs").display().to_string();
    let to = script.display().to_string();
    run(
        temporary.path(),
        compiler,
        &["--edition=2024", &from, "-o", &to],
    );

    let repository = folder("repository");
    source(&repository);
    git(&repository, &["init", "-q"]);
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "-q", "-m", "first"]);
    let commit = git(&repository, &["rev-parse", "--short=12", "HEAD"]);
    let clean = Some(format!("1.2.3 ({})", commit.trim()));
    let dirty = Some(format!("1.2.3 ({}-dirty)", commit.trim()));
    assert_eq!(version(&script, &repository), clean);

    git(&repository, &["worktree", "add", "-q", "../worktree"]);
    assert_eq!(version(&script, &folder("worktree")), clean);

    let archive = folder("archive.tar").display().to_string();
    git(&repository, &["archive", "-o", &archive, "HEAD"]);
    std::fs::create_dir(folder("archive")).unwrap();
    run(&folder("archive"), "tar", &["-xf", &archive]);
    assert_eq!(version(&script, &folder("archive")), clean);

    // A copy of the files inside of another repository is not of that one's commit.
    let copy = repository.join("vendor/copy");
    source(&copy);
    assert_eq!(version(&script, &copy), None);

    std::fs::write(repository.join("README.md"), "read it").unwrap();
    assert_eq!(version(&script, &repository), clean, "another page");
    std::fs::write(repository.join("src/main.rs"), "fn main() { }").unwrap();
    assert_eq!(version(&script, &repository), dirty);
}
