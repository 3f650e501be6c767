//! The providers' APIs: what is asked of them, and what an answer becomes.
//!
//! Objects are passed on as the text in which the provider wrote them. [`observed`] puts one into the
//! envelope of an event, so that it is read by the very reader that reads webhooks, and the two cannot
//! disagree.
//!
//! A list is read by pages, oldest requests first retried here: see `client.rs`.

mod answer;
mod client;
mod observed;
mod page;

pub use answer::{ApiError, ApiPage, Fetched, Listed};
pub use client::{Api, ApiSettings};
pub use observed::{Observed, event, observed};
