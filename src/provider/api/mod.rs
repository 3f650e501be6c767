//! The providers' APIs: what is asked of them, and what an answer becomes.
//!
//! Objects are passed on as the text in which the provider wrote them. [`observed()`] puts one into the
//! envelope of an event, so that it is read by the very reader that reads webhooks, and the two cannot
//! disagree.
//!
//! Stripe's requests are built by async-stripe (`stripe.rs`), Paddle's here (`paddle.rs`); one HTTP
//! client sends both (`http.rs`), at a pace below the providers' limits (`pace.rs`).

mod answer;
mod client;
mod cut_list;
mod error;
mod http;
mod key;
mod observed;
mod pace;
mod paddle;
mod page;
mod stripe;

pub use answer::{ApiPage, Fetched, Listed};
pub use client::{Api, ApiSettings};
pub use error::ApiError;
pub use key::mode_of as key_mode;
pub use observed::{Observed, event, is_observed, observed, observed_object, observed_of};
pub use pace::Paces;
