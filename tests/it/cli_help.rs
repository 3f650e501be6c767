//! What the command line says of itself: help, manual pages, completions, the version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory;

use crate::cli_lists::alone;
use crate::support::environment;
use crate::support::program::{err, tollgate};

/// The words of each command and what its `--help` says.
fn pages() -> Vec<(String, String)> {
    fn walk(command: &mut clap::Command, words: &str, pages: &mut Vec<(String, String)>) {
        pages.push((words.to_owned(), command.render_long_help().to_string()));
        for inner in command.get_subcommands_mut() {
            if inner.get_name() != "help" {
                let words = format!("{words} {}", inner.get_name());
                walk(inner, &words, pages);
            }
        }
    }
    let mut pages = Vec::new();
    walk(&mut tollgate::cli::Cli::command(), "tollgate", &mut pages);
    pages
}

/// The lines of a page that are examples.
fn examples<'a>(help: &'a str, words: &str) -> Vec<&'a str> {
    let (_, behind) = help
        .split_once("Examples:\n")
        .unwrap_or_else(|| panic!("`{words}` has no examples: {help}"));
    let lines = behind.lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn help_has_examples_exit_codes_and_settings() {
    let help = alone(&["--help"]).await;
    for told in [
        "Examples:",
        "Exit codes:",
        "Settings, as variables or in the file:",
        "TOLLGATE_OPS_LISTEN",
        "STRIPE_PRICE_MAPPING",
        "completions",
    ] {
        assert!(help.contains(told), "{told}: {help}");
    }
    let of_events = alone(&["events", "list", "--help"]).await;
    for told in [
        "means its beginning, in UTC",
        "means its end, in UTC",
        "sub_...",
    ] {
        assert!(of_events.contains(told), "{told}: {of_events}");
    }
}

#[test]
fn every_command_has_examples_of_itself() {
    let pages = pages();
    assert!(pages.len() > 25, "{pages:?}");
    for (words, help) in &pages {
        let examples = examples(help, words);
        assert!(
            examples.iter().any(|it| it.contains(words)),
            "`{words}`: {examples:?}"
        );
        assert!(help.contains("Exit code"), "`{words}`: {help}");
    }
}

/// Examples that a command's own help gives must be commands.
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_help_can_be_read() {
    let settings = environment(Path::new("/nonexistent/tollgate"));
    // They would begin work, or write where the example says.
    let begin = [
        "tollgate demo",
        "tollgate serve",
        "tollgate simulate",
        "tollgate copy",
        "tollgate man",
    ];
    let pages = pages();
    let lines = pages.iter().flat_map(|(words, help)| examples(help, words));
    for line in lines.filter(|line| line.starts_with("tollgate ")) {
        if begin.iter().any(|it| line.starts_with(it)) {
            continue;
        }
        let ends = ["   ", " | ", " > "];
        let end = ends.iter().filter_map(|it| line.find(it)).min();
        let line = &line[..end.unwrap_or(line.len())];
        let mut arguments = Vec::new();
        for (nth, part) in line.split('\'').enumerate() {
            match nth % 2 {
                0 => arguments.extend(part.split_whitespace()),
                _ => arguments.push(part),
            }
        }
        let output = tollgate(&arguments[1..], settings.clone()).await;
        // 2 is what clap says of what it cannot read.
        let said = err(&output);
        assert!(
            output.status.code() != Some(2) && !said.contains("Usage:"),
            "{line}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_get_what_the_command_line_knows() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = alone(&["completions", shell]).await;
        assert!(script.contains("unaccounted"), "{shell}");
    }
    are_read_by(&["bash"]).await;
    let output = tollgate(&["completions", "cmd"], BTreeMap::new()).await;
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs zsh and fish: deploy/dev/test --slow"]
async fn other_shells_read_what_they_get() {
    are_read_by(&["zsh", "fish"]).await;
}

/// Shells read what completes commands in them; `-n` runs nothing.
async fn are_read_by(shells: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for shell in shells {
        let path = folder.path().join(shell);
        std::fs::write(&path, alone(&["completions", shell]).await).unwrap();
        let read = Command::new(shell).arg("-n").arg(&path).output().unwrap();
        assert!(read.status.success(), "{shell}: {}", err(&read));
    }
}

/// Writes all manual pages into a folder; returns their paths.
async fn pages_in(folder: &Path) -> Vec<PathBuf> {
    alone(&["man", "--folder", folder.to_str().unwrap()]).await;
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|it| it.unwrap().path()).collect()
}

/// `groff` without `-k`, as `mandoc` and some `man` call it, knows ASCII alone.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_a_manual_page_in_ascii() {
    let printed = alone(&["man"]).await;
    assert!(printed.contains(".TH tollgate 1"), "{printed}");
    let folder = tempfile::tempdir().unwrap();
    let pages = pages_in(folder.path()).await;
    for path in &pages {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.is_ascii(), "{}: {text}", path.display());
        assert!(text.contains(".SH"), "{}: {text}", path.display());
    }
    for page in [
        "tollgate.1",
        "tollgate-events-list.1",
        "tollgate-app-pause.1",
    ] {
        assert!(
            pages.contains(&folder.path().join(page)),
            "{page}: {pages:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs groff: deploy/dev/test --slow"]
async fn manual_pages_are_typeset_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    for path in pages_in(folder.path()).await {
        let typeset = Command::new("groff")
            .args(["-man", "-Tascii", "-ww", "-z"])
            .arg(&path)
            .stdin(Stdio::null())
            .output();
        assert_eq!(err(&typeset.unwrap()), "", "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_stands_alone_where_no_commit_is_known() {
    let version = alone(&["--version"]).await;
    let expected = concat!("tollgate ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(expected), "{version}");
}
