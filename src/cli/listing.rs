//! Lists as commands print them: part by part, for people or as JSON.

use clap::Args;

use super::error::CliError;
use crate::output;
use crate::store::{Listed, StoreError, Window};

/// Rows that are read at once.
const AT_ONCE: u32 = 100;

/// How a list is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct FormArgs {
    /// Prints a JSON object a line, with the fields of the API; a failure as JSON on standard error.
    #[arg(long)]
    pub(super) json: bool,
}

/// Which part of a list, and how it is printed.
#[derive(Clone, Debug, Args)]
pub(super) struct PageArgs {
    /// Maximum number of rows. A list that goes on ends with the cursor of its next part.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All rows, however many.
    #[arg(long = "no-limit", conflicts_with = "limit")]
    no_limit: bool,
    /// Goes on where another list ended.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    pub(super) form: FormArgs,
}

impl PageArgs {
    /// Prints the rows that were asked for, read part by part; says on standard error where the next
    /// part begins, or that there is none of anything.
    ///
    /// # Errors
    /// When reading fails.
    pub(super) async fn print<T>(
        &self,
        read: impl AsyncFn(&Window) -> Result<Listed<T>, CliError>,
        row: impl Fn(T) -> String,
        nothing: &str,
    ) -> Result<(), CliError> {
        let mut left = if self.no_limit { u32::MAX } else { self.limit };
        let (mut after, mut any) = (self.cursor.clone(), false);
        loop {
            let size = left.min(AT_ONCE);
            let part = read(&Window::Walk { after, size })
                .await
                .map_err(of_cursor)?;
            any |= !part.rows.is_empty();
            if !self.no_limit {
                left -= u32::try_from(part.rows.len()).unwrap_or(left).min(left);
            }
            for it in part.rows {
                output::line(&row(it));
            }
            match part.next {
                None => break,
                Some(next) if left == 0 => {
                    output::note(&format!("there are more: --cursor {next}"));
                    break;
                }
                Some(next) => after = Some(next),
            }
        }
        if !any {
            output::note(match &self.cursor {
                Some(_) => "there is nothing after this cursor",
                None => nothing,
            });
        }
        Ok(())
    }
}

/// A wrong cursor is a mistake in the arguments, and no failure of the store.
fn of_cursor(error: CliError) -> CliError {
    match error {
        CliError::Store(StoreError::Cursor) => CliError::Missing {
            code: "query_invalid",
            what: "--cursor is not a cursor of this list".to_owned(),
            right: "take one that the same list printed at its end".to_owned(),
        },
        error => error,
    }
}
