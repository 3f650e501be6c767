//! The console: its pages over HTTP, and in a real browser.

mod acts;
mod asks;
mod browser;
mod customer;
mod driver;
mod events;
mod hooks;
mod overview;
mod places;
mod portal;
mod reconciles;
mod reports;
mod session;
mod settings;
mod timeline;
mod told;
mod twice;
mod visit;
