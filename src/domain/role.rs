//! The roles of admin tokens.

use serde::{Deserialize, Serialize};

use crate::domain::words::words;

/// The roles of admin tokens. Each includes the rights of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May read.
    Viewer,
    /// May also change customers, packages, plans and the policy, and replay events.
    Admin,
    /// May also manage tokens, apps and webhook secrets.
    Owner,
}

words!(Role, or RoleError {
    Viewer = "viewer",
    Admin = "admin",
    Owner = "owner",
});

/// A word that is not the name of a [`Role`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a role: one of owner, admin, viewer")]
pub struct RoleError;

impl Role {
    /// Reports whether a token of this role may do what requires `needed`.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_one_before_it_may() {
        let order = [Role::Viewer, Role::Admin, Role::Owner];
        for (rank, role) in order.into_iter().enumerate() {
            for (needed_rank, needed) in order.into_iter().enumerate() {
                assert_eq!(
                    role.allows(needed),
                    rank >= needed_rank,
                    "{role} for {needed}"
                );
            }
        }
    }
}
