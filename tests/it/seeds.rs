//! Four documented customer APIs that must all work here as their pages show them.
//!
//! Each page has a module: its commands, literally, with only the host, the token and ids
//! replaced; what it says each answers; and a case for each of its tables and rules. The commands
//! are read as a shell would and sent over HTTP to a whole server.

mod curl;
mod get_or_create;
mod guide;
mod licensing_apps;
mod merchant_refusals;
mod merchant_rules;
mod merchants;
mod organizations;
mod private_packages;
