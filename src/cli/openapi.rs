//! `tollgate openapi`: prints the description of the API. Needs no settings and no store.

use std::process::ExitCode;

use crate::http::openapi;
use crate::output;

pub(super) fn run() -> ExitCode {
    output::line(openapi::document());
    ExitCode::SUCCESS
}
