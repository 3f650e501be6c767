//! `tollgate openapi`: prints the description of the API. Needs no settings and no store.

use std::process::ExitCode;

use crate::http::description;
use crate::output;

pub(super) fn run() -> ExitCode {
    output::line(description::document());
    ExitCode::SUCCESS
}
