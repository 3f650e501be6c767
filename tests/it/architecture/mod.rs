//! Arrows between modules point one way.

mod circles;

use std::path::{Path, PathBuf};

/// Which modules each module may use. The built-in queue is the one part of `queue` that knows
/// the store.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("causes", &[]),
    ("outage", &[]),
    ("offload", &["request_context"]),
    ("random", &["domain"]),
    ("clock", &["domain"]),
    ("pause", &[]),
    ("retry_after", &[]),
    ("host_and_port", &[]),
    ("tls", &[]),
    ("provider", &["domain"]),
    // What asks a provider meets a network.
    (
        "provider/api",
        &["causes", "domain", "pause", "retry_after"],
    ),
    ("store", &["domain", "host_and_port"]),
    ("metrics", &["domain"]),
    ("vault", &["causes", "domain", "random"]),
    ("composer", &["causes", "domain", "request_context", "tls"]),
    ("queue", &["causes", "domain", "host_and_port", "outage"]),
    ("queue/embedded.rs", &["domain", "store", "clock"]),
    (
        "pipeline",
        &[
            "causes",
            "clock",
            "composer",
            "domain",
            "metrics",
            "offload",
            "outage",
            "pause",
            "provider",
            "queue",
            "random",
            "retry_after",
            "store",
            "tls",
            "vault",
        ],
    ),
    (
        "worker",
        &[
            "causes", "domain", "metrics", "outage", "pause", "pipeline", "provider", "store",
            "queue", "clock", "trace",
        ],
    ),
    (
        "http",
        &[
            "causes",
            "clock",
            "composer",
            "domain",
            "metrics",
            "offload",
            "pipeline",
            "provider",
            "queue",
            "random",
            "request_context",
            "store",
            "trace",
            "vault",
        ],
    ),
    ("config", &["composer", "domain"]),
    ("request_context", &[]),
    ("telemetry", &["client", "config", "request_context"]),
    ("trace", &[]),
    ("client", &[]),
    ("data_dir", &[]),
    ("output", &[]),
    (
        "server",
        &[
            "clock", "composer", "config", "data_dir", "domain", "http", "metrics", "pipeline",
            "provider", "queue", "random", "store", "vault", "worker",
        ],
    ),
    ("demo", PLAYED),
    ("simulate", PLAYED),
];

/// What plays through a whole server sees it from outside: HTTP and the providers' signatures.
const PLAYED: &[&str] = &[
    "client", "clock", "domain", "output", "provider", "random", "server",
];

/// Crates that only one module may use.
const HOMES: &[(&str, &str)] = &[
    ("sqlx", "store"),
    ("lapin", "queue"),
    ("axum", "http"),
    ("backoff", "pause"),
    ("chacha20poly1305", "vault"),
    ("prometheus_client", "metrics"),
];

pub(crate) fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
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
pub(crate) fn sources() -> Vec<(String, String)> {
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

/// Ways to begin a transaction of the store.
const BEGINNINGS: [&str; 3] = [".begin()", ".begin_in(", "store.read()"];

/// The first way in which a text begins a transaction. Formatting puts calls on lines of their
/// own, so blanks do not count.
fn beginning(text: &str) -> Option<&'static str> {
    let lines = text.lines().map(str::trim);
    let code: String = lines.filter(|line| !line.starts_with("//")).collect();
    BEGINNINGS.into_iter().find(|it| code.contains(it))
}

#[test]
fn http_begins_no_transaction() {
    let sources = sources();
    let http = sources
        .iter()
        // Unit tests in a file of their own may put into the store what they need.
        .filter(|(file, _)| file.starts_with("http/") && !file.ends_with("_tests.rs"));
    let begins = |(file, text): &(String, String)| Some(format!("{file}: {}", beginning(text)?));
    let wrong: Vec<String> = http.filter_map(begins).collect();
    assert_eq!(wrong, [""; 0], "call a use case of `pipeline` instead");
}

#[test]
fn a_transaction_would_be_found() {
    for (text, begins) in [
        ("let mut tx = state.store.begin().await?;", true),
        (
            "let mut tx = state\n    .store\n    .begin_in(&order.app)\n    .await?;",
            true,
        ),
        ("state\n    .store\n    .read()\n    .await?", true),
        (
            "customers::act(&state.store, &order, &id, act).await?",
            false,
        ),
        ("// as store.begin() does", false),
    ] {
        assert_eq!(beginning(text).is_some(), begins, "{text}");
    }
}

/// What the domain has no use for: waiting, clocks, stores, chance, and telling anybody.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "Future",
    "Clock",
    "SystemTime",
    "Instant",
    "Pool",
    "Store",
    "Tx",
    "Mutex",
    "println",
    "eprintln",
    "tracing",
    "getrandom",
    "now_v7",
    "new_v4",
];

/// The same, where the name alone may mean something else.
const IMPURE_PATHS: &[&str] = &[
    "Utc::now",
    "Local::now",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
];

/// What makes a text of the source impure.
fn impurities(text: &str) -> Vec<&'static str> {
    let code = text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"));
    let code: Vec<&str> = code.collect();
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let names = code
        .iter()
        .flat_map(|line| line.split(|char| !is_name(char)));
    let names: std::collections::BTreeSet<&str> = names.collect();
    let impure = IMPURE.iter().filter(|name| names.contains(**name));
    let paths = IMPURE_PATHS
        .iter()
        .filter(|path| code.iter().any(|line| line.contains(**path)));
    impure.chain(paths).copied().collect()
}

#[test]
fn the_domain_is_pure() {
    let sources = sources();
    let domain = sources
        .iter()
        .filter(|(file, _)| file.starts_with("domain/"));
    let mut files = 0;
    for (file, text) in domain {
        assert_eq!(impurities(text), [""; 0], "{file}");
        files += 1;
    }
    assert!(files > 30, "only {files} files");
}

#[test]
fn a_clock_a_pool_or_waiting_would_be_found() {
    for (line, found) in [
        ("    pub async fn load(&self) {}", "async"),
        ("fn apply(clock: &dyn Clock) {}", "Clock"),
        ("fn apply(pool: &Pool<Sqlite>) {}", "Pool"),
        ("fn apply(tx: &mut Tx) {}", "Tx"),
        ("let now = Utc::now();", "Utc::now"),
        ("let id = Uuid::now_v7();", "now_v7"),
    ] {
        assert_eq!(impurities(line), [found], "{line}");
    }
    assert_eq!(
        impurities("/// Asks no Clock.\nlet clockwork = 1;"),
        [""; 0]
    );
}
