//! Arrows between modules point one way.

use std::path::{Path, PathBuf};

/// Which modules each module may use. The built-in queue is the one part of `queue` that knows
/// the store.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("causes", &[]),
    ("random", &["domain"]),
    ("clock", &["domain"]),
    ("provider", &["domain"]),
    ("store", &["domain", "random"]),
    ("queue", &["causes", "domain"]),
    ("queue/embedded.rs", &["domain", "store", "clock"]),
    (
        "pipeline",
        &[
            "causes", "domain", "provider", "store", "queue", "random", "clock",
        ],
    ),
    (
        "worker",
        &["causes", "domain", "pipeline", "store", "queue", "clock"],
    ),
    (
        "http",
        &[
            "causes", "domain", "pipeline", "provider", "store", "queue", "random", "clock",
        ],
    ),
    ("config", &["domain"]),
    ("telemetry", &["config"]),
];

/// Crates that only one module may use.
const HOMES: &[(&str, &str)] = &[
    ("sqlx", "store"),
    ("lapin", "queue"),
    ("axum", "http"),
    ("backoff", "worker"),
];

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

/// Files of the source, with their path below it and their text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let with_text = |path: PathBuf| {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (name, std::fs::read_to_string(&path).unwrap())
    };
    files.into_iter().map(with_text).collect()
}

/// The longest entry of the table that the file belongs to.
fn allowed(file: &str) -> Option<&'static [&'static str]> {
    let belongs = |module: &str| {
        file == module || file == format!("{module}.rs") || file.starts_with(&format!("{module}/"))
    };
    let entries = ARROWS.iter().filter(|(module, _)| belongs(module));
    entries
        .max_by_key(|(module, _)| module.len())
        .map(|(_, allowed)| *allowed)
}

#[test]
fn no_arrow_between_modules_turns_back() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(allowed) = allowed(&file) else {
            continue;
        };
        let own = file.split(['/', '.']).next().unwrap();
        for line in text
            .lines()
            .map(str::trim_start)
            .filter(|line| !line.starts_with("//"))
        {
            for used in line.split("crate::").skip(1) {
                let name: String = used
                    .chars()
                    .take_while(|it| it.is_ascii_lowercase() || *it == '_')
                    .collect();
                if !name.is_empty() && name != own && !allowed.contains(&name.as_str()) {
                    wrong.push(format!("{file}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_foreign_world_has_one_home() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (name, home) in HOMES {
            let at_home = file.starts_with(&format!("{home}/")) || file == format!("{home}.rs");
            let uses = |line: &str| {
                let line = line.trim_start();
                // A name in a string, such as the filter of a log, is no use of it.
                let mut code = line.split('"').step_by(2);
                !line.starts_with("//") && code.any(|code| code.contains(&format!("{name}::")))
            };
            if !at_home && text.lines().any(uses) {
                wrong.push(format!("{file} uses {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_domain_is_pure() {
    let impure = [
        "async fn",
        ".await",
        "SystemTime",
        "Utc::now",
        "Instant::now",
        "std::fs",
        "std::net",
    ];
    for (file, text) in sources()
        .iter()
        .filter(|(file, _)| file.starts_with("domain/"))
    {
        for word in impure {
            assert!(!text.contains(word), "{file} contains `{word}`");
        }
    }
}
