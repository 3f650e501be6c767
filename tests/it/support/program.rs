//! The program itself, as a user runs it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::environment;

/// Variables of a process.
pub(crate) type Settings = BTreeMap<OsString, OsString>;

/// The settings of a server in this folder, but for some.
pub(crate) fn with(data_dir: &Path, changed: &[(&str, &str)]) -> Settings {
    let mut settings = environment(data_dir);
    for (name, value) in changed {
        settings.insert(name.into(), value.into());
    }
    settings
}

/// Whether a command did well, and what it said on both ways out.
pub(crate) async fn said(arguments: &[&str], settings: Settings) -> (bool, String) {
    let output = tollgate(arguments, settings).await;
    (output.status.success(), out(&output) + &err(&output))
}

/// Runs a command to its end, with nothing in its environment but what is given.
pub(crate) async fn tollgate(arguments: &[&str], environment: Settings) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_tollgate"));
    run(program, arguments, environment).await
}

/// The same with another program.
pub(crate) async fn run(program: &Path, arguments: &[&str], environment: Settings) -> Output {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// What it printed.
pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it complained of.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
