//! Customers: their rows, admin acts on them, and the state derived for them.

pub mod act;
pub mod dossier;
mod dossier_contact;
mod dossier_flags;
mod dossier_holds;
pub mod erased;
pub mod explain;
pub mod flag;
mod holds;
pub mod kept_flag;
pub mod other_body;
pub mod other_person;
mod pin;
pub mod profile;
pub mod row;
pub mod source;
