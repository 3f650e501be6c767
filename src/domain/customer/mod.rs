//! Customers: their rows, admin acts on them, and the state derived for them.

pub mod act;
pub mod dossier;
mod dossier_flags;
pub mod explain;
pub mod flag;
pub mod kept_flag;
pub mod profile;
pub mod row;
