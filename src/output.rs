//! Output of commands: the one place that writes to the terminal.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Why standard output did not take what was written, if it did not. Of the process, as standard output is.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a line to standard output. A closed pipe (`| head`) is not an error, and any other is one
/// that [`lost`] returns: a full disk must not pass for a complete file.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        LOST.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }
}

/// Returns the first error of standard output, and forgets it.
pub(crate) fn lost() -> Option<io::Error> {
    LOST.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Writes a line about the command itself to standard error, where it is in nobody's way. Whoever
/// closed it does not want it, and there is no other place to complain.
pub(crate) fn note(text: &str) {
    said(&format!("tollgate: {text}"));
}

/// The same without the program's name, for what programs read.
pub(crate) fn said(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Colours, used only on a terminal and unless `NO_COLOR` is set.
#[derive(Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    pub(crate) fn for_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            on: wanted && std::io::stdout().is_terminal(),
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.with("36", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
