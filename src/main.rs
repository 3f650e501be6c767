//! The command `tollgate`: parses the command line, runs one command.

use std::process::ExitCode;

use clap::Parser;
use tollgate::cli::{Cli, Form};

/// Payloads are read into many small values and dropped again at once; glibc's allocator spends more on that.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let form = Form::of(std::env::args_os());
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return form.tell_unreadable(&error),
    };
    tollgate::tls::use_ring();
    cli.run().unwrap_or_else(|error| form.tell(error))
}
