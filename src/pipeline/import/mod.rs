//! Customers who come from another system: a table of them, with the packages that they may have and
//! the tokens that their machines know.
//!
//! A table is read twice. [`survey()`] checks every line against the store and against the lines before
//! it and changes nothing; only a table without a fault is then carried out by [`carry_out`], a bounded
//! number of lines in one transaction. Both look up and check the same way, so many lines at once, that
//! the number of statements does not grow with that of the lines in a part. A line that is carried out
//! already changes nothing, so an import that was cut short is run again.

mod apply;
mod belongings;
mod check;
mod error;
mod found;
mod line;
mod people;
mod survey;
mod table;
mod totals;
mod write;

pub use apply::carry_out;
pub use error::ImportError;
pub use line::{Column, Fault, Line};
pub use survey::survey;
pub use table::{Table, TableError};
pub use totals::{MAX_LINES, MOST_NAMED, Surveyed, Tally, Totals};
