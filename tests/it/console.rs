//! The console: its pages over HTTP, and in a real browser.

mod browser;
mod customer;
mod driver;
mod events;
mod overview;
mod portal;
mod session;
mod settings;
mod visit;
