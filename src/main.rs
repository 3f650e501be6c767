//! The command `tollgate`: parses the command line, runs one command.

use std::process::ExitCode;

use clap::Parser;
use tollgate::cli::{self, Cli};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    // The provider of cryptography is chosen once for the process; a second installation is
    // refused, and would change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(cli.run()?)
}

/// The error with its causes, on one line; where in our code it arose helps nobody at a shell.
#[expect(
    clippy::print_stderr,
    reason = "an error of a command belongs on standard error"
)]
fn report(error: &anyhow::Error) {
    eprintln!("tollgate: {}", cli::described(error.as_ref()));
}
