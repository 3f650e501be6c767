//! The command `tollgate`: parses the command line, runs one command.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tollgate::cli::{self, Cli};

/// Payloads are read into many small values and dropped again at once; glibc's allocator spends more on that.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    tollgate::tls::use_ring();
    Ok(cli.run()?)
}

/// The error with its causes, on one line; where in our code it arose helps nobody at a shell. Standard
/// error may be closed.
fn report(error: &anyhow::Error) {
    let text = cli::described(error.as_ref());
    let _ = writeln!(std::io::stderr().lock(), "tollgate: {text}");
}
