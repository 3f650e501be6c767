//! What a command says when it fails: a sentence for people, or JSON for programs that asked for it.
//!
//! Both go to standard error, so that standard output is never anything but what was asked for. JSON is the
//! last line there, behind what a command tells of itself, and the only one that begins with a brace.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use serde::Serialize;

use super::error::CliError;
use crate::causes::chain;
use crate::domain::validate::FieldError;
use crate::output;

/// The exit code of a command line that cannot be read, as clap has it.
const UNREADABLE: u8 = 2;

/// The form in which a failure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A sentence.
    Text,
    /// A JSON object on one line.
    Json,
}

impl Form {
    /// Returns the form that a command line asks for. It is asked of its words: a command line that
    /// cannot be read has no flags, and whoever wrote `--json` reads JSON of that too.
    pub fn of(words: impl IntoIterator<Item = OsString>) -> Self {
        let mut flags = words.into_iter().take_while(|word| word != "--");
        if flags.any(|word| word == "--json") {
            Self::Json
        } else {
            Self::Text
        }
    }

    /// Tells why a command failed, and returns its exit code.
    pub fn tell(self, error: CliError) -> ExitCode {
        // Where in our code it arose helps nobody at a shell.
        let message = chain(&error);
        match self {
            Self::Text => output::note(&message),
            Self::Json => {
                let parts = error.parts();
                tell_json(error.code(), &message, &parts);
            }
        }
        ExitCode::FAILURE
    }

    /// Tells what is wrong with a command line, or prints the help that it asks for; returns the exit code.
    pub fn tell_unreadable(self, error: &clap::Error) -> ExitCode {
        let is_help = matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        );
        if self == Self::Text || is_help {
            error.exit();
        }
        let text = error.render().to_string();
        let said = text.trim().trim_start_matches("error: ");
        tell_json("arguments_invalid", said, &[]);
        ExitCode::from(UNREADABLE)
    }
}

#[derive(Serialize)]
struct Told<'a> {
    error: ToldError<'a>,
}

#[derive(Serialize)]
struct ToldError<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ToldPart<'a>>,
}

/// A part of what is wrong, as the API names it.
#[derive(Serialize)]
struct ToldPart<'a> {
    field: &'a str,
    message: &'a str,
}

impl<'a> ToldPart<'a> {
    fn of(part: &'a FieldError) -> Self {
        Self {
            field: &part.field,
            message: &part.message,
        }
    }
}

fn tell_json(code: &str, message: &str, parts: &[FieldError]) {
    let error = ToldError {
        code,
        message,
        errors: parts.iter().map(ToldPart::of).collect(),
    };
    // Made of texts alone, which can always be written.
    output::said(&serde_json::to_string(&Told { error }).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_by_its_flag_alone() {
        let of = |words: &[&str]| Form::of(words.iter().map(OsString::from));
        assert_eq!(of(&["tollgate", "events", "list", "--json"]), Form::Json);
        assert_eq!(of(&["tollgate", "events", "list"]), Form::Text);
        assert_eq!(
            of(&["tollgate", "events", "show", "--", "--json"]),
            Form::Text
        );
    }
}
