//! `tollgate openapi`: prints the description of the API. Needs no settings and no store.

use std::process::ExitCode;

use super::output;
use crate::http::openapi;

pub(super) fn run() -> ExitCode {
    output::line(openapi::document());
    ExitCode::SUCCESS
}
