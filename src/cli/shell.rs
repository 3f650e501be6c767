//! What shells and `man` read, made of what the command line itself knows.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::error::CliError;
use crate::output;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the completions of a shell for a command line.
pub(super) fn completions(args: &CompletionsArgs, mut command: clap::Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tollgate", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Writes a page for each command into this folder, such as tollgate-events-list.1, instead of
    /// printing that of `tollgate`.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Prints the manual page of a command line, or writes those of all its commands.
pub(super) fn man(args: &ManArgs, command: clap::Command) -> Result<ExitCode, CliError> {
    match &args.folder {
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut page);
            rendered.map_err(CliError::io("writing the manual page"))?;
            output::line(String::from_utf8_lossy(&page).trim_end());
        }
        Some(folder) => {
            let wrote = clap_mangen::generate_to(command, folder);
            let what = format!("writing manual pages into `{}`", folder.display());
            wrote.map_err(CliError::io(what))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
