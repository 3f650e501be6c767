//! The table of `docs/limits.md`: that it says what the code does, and that what it says holds over
//! real connections.

mod connections;
mod counts;
mod table;
