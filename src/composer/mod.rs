//! Composer repositories: reading one, and writing what a customer may see of it.
//!
//! ```text
//! upstream: a folder or a URL          here: one repository for each customer
//!   packages.json, p2/…, include/…  ─▶ metadata (read once, kept) ─▶ answer (filtered, minified)
//!   dist/….zip                      ─▶ location ─▶ the file, or its bytes passed through
//! ```
//!
//! [`metadata`] is one pure function from bytes to versions; [`answer`] writes those of them that
//! somebody may have, in Composer's minified form, with the addresses of archives pointing here.
//! [`location`] decides what an address in somebody's metadata may stand for: a file below the
//! folder, or a URL, which gets the repository's token only if it is the repository's own.
//! [`upstream`] fetches, keeps and asks again.
//!
//! The formats are described at <https://getcomposer.org/doc/05-repositories.md#composer>. Refused:
//! the listings of Composer 1 (`providers-url`, `provider-includes`), which its own authors have
//! switched off.

pub mod answer;
pub mod answers;
mod cache;
mod dist;
mod fetch;
mod kept;
pub mod location;
pub mod metadata;
pub mod named;
mod object;
mod release_time;
pub mod released;
pub mod upstream;
