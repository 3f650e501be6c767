//! Settings, from the environment and from a file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;

use tollgate::config::report::report;
use tollgate::config::{Config, Source};

/// Stands in every secret, and may stand in no report.
const SECRET: &str = "SENTINELofAllSecrets";

const SECRETS: [&str; 6] = [
    "ADMIN_TOKEN",
    "STRIPE_WEBHOOK_SECRET",
    "PADDLE_WEBHOOK_SECRET",
    "TOLLGATE_SECRET_KEY",
    "DATABASE_URL",
    "AMQP_URL",
];

/// Lines `NAME=value` are the environment, up to an empty line; the rest is the file. `$` stands for
/// a text that only secrets have.
pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // Reads no files of this machine.
    if text.to_ascii_lowercase().contains("_file") {
        return;
    }
    let (lines, file) = text.split_once("\n\n").unwrap_or((text, ""));
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    let environment: BTreeMap<OsString, OsString> = pairs
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| {
            // The path of an embedded store is no secret, and is shown.
            let is_path = name == "DATABASE_URL" && value.trim_start().starts_with("sqlite");
            let is_secret = SECRETS.contains(&name) && !is_path;
            let secret = if is_secret { SECRET } else { "x" };
            (name.into(), value.replace('$', secret).into())
        })
        .collect();
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    let source = Source {
        environment,
        file: Some(written.path().to_owned()),
    };
    let loaded = Config::load(&source);
    let shown = report(&loaded);
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(report(&Config::load(&source)), shown, "the same twice");
    match loaded {
        Ok(loaded) => assert!(!format!("{:?}", loaded.config).contains(SECRET)),
        Err(errors) => {
            assert!(!errors.problems.is_empty());
            assert!(
                !format!("{errors} {errors:?}").contains(SECRET),
                "{errors:?}"
            );
        }
    }
}
