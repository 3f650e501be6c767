//! Customers: their rows, what admins do to them, and what is derived of them.

pub mod act;
pub mod dossier;
pub mod explain;
pub mod flag;
pub mod kept_flag;
pub mod profile;
pub mod row;
