//! The blocks of code in the pages: each is run or read by a test, or says what it needs.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{pages, root, text};
use crate::readme;

/// What stands behind `sh` where a block is not run, and why it is not.
const NEEDS: [(&str, &str); 7] = [
    (
        "needs=toolchain",
        "builds, tests or measures the program itself",
    ),
    (
        "needs=composer",
        "`deploy/dev/test --slow` does the same with a real Composer",
    ),
    (
        "needs=postgresql",
        "names a database of the reader's; the tests of `copy` move one",
    ),
    (
        "needs=events",
        "names events that only the reader has; the commands are read below",
    ),
    (
        "needs=systemd",
        "changes the machine; `deploy/dev/deployment` verifies the units",
    ),
    (
        "needs=docker",
        "`deploy/dev/stack` runs what is in `compose.yaml` without containers",
    ),
    (
        "needs=kubernetes",
        "`deploy/dev/deployment` reads the manifests",
    ),
];

/// Kinds of blocks that are read by people alone, and why.
const SHOWN: [(&str, &str); 6] = [
    ("text", "a drawing, or a line of the log"),
    ("console", "what a command prints about an account"),
    (
        "python",
        "needs a library; the vectors of Standard Webhooks are in `hooks::signature`",
    ),
    (
        "nginx",
        "a part of a file; `deploy/dev/test --slow` runs nginx",
    ),
    ("caddy", "`tls_front` runs Caddy with it"),
    (
        "yaml",
        "a part of a file of Prometheus; `deploy/prometheus` has whole ones",
    ),
];

/// A fenced block: what stands behind the fence, and the lines.
fn fenced(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((info.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert_eq!(open, None, "a block does not end");
    blocks
}

#[test]
fn each_block_is_run_or_read_or_says_what_it_needs() {
    let run = readme::run();
    let (mut ran, mut needing) = (0, BTreeSet::new());
    for page in pages() {
        let shown = page.display();
        // The commands of the runbook are held by `deploy`.
        if page.ends_with("runbook.md") {
            continue;
        }
        for (info, block) in fenced(&text(&page)) {
            let (kind, rest) = info.split_once(' ').unwrap_or((&info, ""));
            match kind {
                "sh" if rest.is_empty() => {
                    assert!(run.contains(&block), "{shown}: nothing runs\n{block}");
                    ran += 1;
                }
                "sh" => {
                    let is_known = NEEDS.iter().any(|(needs, _)| *needs == rest);
                    assert!(is_known, "{shown}: {rest}");
                    needing.insert(rest.to_owned());
                }
                "json" => {
                    let read = serde_json::from_str::<Value>(&block);
                    assert!(read.is_ok(), "{shown}: {read:?} of\n{block}");
                }
                // `readme` imports it.
                "csv" => assert!(page.ends_with("moving.md"), "{shown}"),
                other => {
                    let is_known = SHOWN.iter().any(|(kind, _)| *kind == other);
                    assert!(is_known, "{shown}: a block of {other:?}");
                }
            }
        }
    }
    assert_eq!(ran, run.len(), "a block is run twice, or is of no page");
    let known = BTreeSet::from(NEEDS.map(|(needs, _)| needs.to_owned()));
    assert_eq!(needing, known, "reasons that no block gives");
}

/// The commands in a page's blocks and sentences, each as its words.
fn commands(page: &str) -> Vec<Vec<String>> {
    let blocks = fenced(page)
        .into_iter()
        .filter(|(info, _)| info.starts_with("sh"));
    let lines: Vec<String> = blocks
        .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let prose = super::prose(page);
    let quoted = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    // The table of all of them leaves the program's name out.
    let (_, table) = page.split_once("| command | does |\n").unwrap_or_default();
    let rows = table.lines().take_while(|it| it.starts_with('|')).skip(1);
    let listed = rows.flat_map(|row| {
        let cell = row.split(" | ").next().unwrap();
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.map(|it| format!("tollgate {}", it.replace("\\|", " | ")))
    });
    let commands = lines.into_iter().chain(quoted).chain(listed);
    let words = commands.filter_map(|it| {
        let it = it.trim().strip_prefix("tollgate ")?;
        let it = it.split(" #").next().unwrap();
        Some(it.split_whitespace().map(str::to_owned).collect())
    });
    words.collect()
}

#[test]
fn each_command_is_one_of_the_program() {
    let mut helped = std::collections::BTreeMap::new();
    let mut count = 0;
    for page in pages() {
        // It tells of commands as they were.
        if page.ends_with("CHANGELOG.md") {
            continue;
        }
        for command in commands(&text(&page)) {
            count += 1;
            let is_name = |it: &&String| {
                let is_letter = |char: char| char.is_ascii_lowercase() || char == '-';
                !it.starts_with('-') && it.chars().all(is_letter)
            };
            let names = command.iter().take_while(is_name).take(2);
            let is_value = |it: &&String| ["stripe", "paddle", "bash"].contains(&it.as_str());
            let names: Vec<String> = names.filter(|it| !is_value(it)).cloned().collect();
            let help = helped.entry(names.clone()).or_insert_with(|| {
                let help = Command::new(env!("CARGO_BIN_EXE_tollgate"))
                    .args(&names)
                    .arg("--help")
                    .output()
                    .unwrap();
                let shown = page.display();
                assert!(help.status.success(), "{shown}: {command:?}");
                String::from_utf8(help.stdout).unwrap()
            });
            for option in command
                .iter()
                .map(|it| it.trim_start_matches('['))
                .filter(|it| it.starts_with("--"))
            {
                let option = option.trim_end_matches([',', '.', ']', '…']);
                let known = help
                    .split_whitespace()
                    .any(|it| it.trim_end_matches(',') == option);
                let shown = page.display();
                assert!(known, "{shown}: {command:?}: {option} is not in\n{help}");
            }
        }
    }
    assert!(count > 30, "{count} commands");
    assert!(root().join("docs").exists());
}
