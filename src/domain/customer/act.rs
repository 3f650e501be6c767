//! Admin acts on customers. Each act returns its changes; repeating one changes nothing.
//!
//! Acts need a smaller working set than events: the customer with its rows, accounts,
//! subscriptions, disputes and refunds. Acts that affect linking (`create`, e-mail and
//! `external_id`, deletion, the policy) also need everything that could match.

use std::collections::BTreeSet;

use crate::domain::apply::change::{Change, Operation};
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::customer::dossier::Dossier;
use crate::domain::customer::flag::Flag;
use crate::domain::customer::row::{AdminHold, Customer, PackageVersion, Profile, Status};
use crate::domain::id::CustomerId;
use crate::domain::identity::account::PinnedBy;
use crate::domain::identity::group::Group;
use crate::domain::identity::links::stored_groups;
use crate::domain::identity::seller_id::Identity;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;

/// An admin act that is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The row does not exist.
    #[error("no such customer")]
    Unknown,
    /// The row was deleted.
    #[error("the customer was deleted")]
    Deleted,
    /// The row was merged into another one, which is shown instead.
    #[error("the customer was merged into {into}")]
    Merged {
        /// The other row.
        into: CustomerId,
    },
    /// The billing account does not exist.
    #[error("no such billing account")]
    UnknownAccount,
}

/// The versions to which an admin freezes a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreezeOrder {
    /// Everything released until then. `None`: until billing ended, if it did, else until now.
    pub at: Option<Timestamp>,
    /// Exactly these versions instead.
    pub versions: Option<Vec<PackageVersion>>,
}

impl WorkingSet {
    /// Returns the row if an act can work on it.
    ///
    /// # Errors
    /// When the row does not exist, was deleted, or was merged into another one.
    pub fn shown_row(&self, id: &CustomerId) -> Result<&Customer, ActError> {
        let row = self.customers.get(id).filter(|row| !row.hidden);
        let row = row.ok_or(ActError::Unknown)?;
        match (&row.deleted_at, &row.merged_into) {
            (Some(_), _) => Err(ActError::Deleted),
            (None, Some(into)) => Err(ActError::Merged { into: into.clone() }),
            (None, None) => Ok(row),
        }
    }

    /// Creates a customer by hand. Accounts whose id or seller's id is its `external_id` become its
    /// own; others that would follow it stay with their customers. An id that exists already changes
    /// nothing.
    pub fn create_customer(
        &mut self,
        id: CustomerId,
        profile: Profile,
        now: Timestamp,
    ) -> Vec<Change> {
        if self.customers.contains_key(&id) {
            return Vec::new();
        }
        let mut row = Customer::new(id, None, now);
        row.profile = profile;
        let id = row.id.clone();
        let profile = row.profile.clone();
        let (claimed, mut changes) = self.claim(&id, &Profile::default(), &profile, now);
        let insert = |working_set: &mut Self| {
            working_set.customers.insert(row.id.clone(), row);
        };
        changes.extend(self.keeping_links(&claimed, insert));
        let rows = BTreeSet::from([id.clone()]);
        let mut created = self.rederive_moved(rows, Some(&id), &claimed, now);
        created.extend(changes);
        created.extend(self.rederive_sharing(&admin_emails([&profile]), now));
        created.extend(self.rederive_named(&profile.external_id.into_iter().collect(), now));
        created
    }

    /// Suspends a customer until an admin lifts the hold.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`].
    pub fn suspend(
        &mut self,
        id: &CustomerId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Vec<Change>, ActError> {
        let (_, group) = self.shown_group(id)?;
        let same = |hold: &AdminHold| match hold {
            AdminHold::Suspended { reason: known, .. } => reason.is_none() || *known == reason,
            AdminHold::Frozen { .. } | AdminHold::Expired { .. } => false,
        };
        if self.current_hold(&group).is_some_and(same) {
            return Ok(Vec::new());
        }
        Ok(self.hold(&group, AdminHold::Suspended { since: now, reason }, now))
    }

    /// Ends a customer's access until an admin lifts the hold.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`].
    pub fn expire(
        &mut self,
        id: &CustomerId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Vec<Change>, ActError> {
        let (_, group) = self.shown_group(id)?;
        let same = |hold: &AdminHold| match hold {
            AdminHold::Expired { reason: known, .. } => reason.is_none() || *known == reason,
            AdminHold::Frozen { .. } | AdminHold::Suspended { .. } => false,
        };
        if self.current_hold(&group).is_some_and(same) {
            return Ok(Vec::new());
        }
        Ok(self.hold(&group, AdminHold::Expired { since: now, reason }, now))
    }

    /// Freezes a customer to what was released until a date, or to given versions.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`].
    pub fn freeze(
        &mut self,
        id: &CustomerId,
        order: FreezeOrder,
        now: Timestamp,
    ) -> Result<Vec<Change>, ActError> {
        let (row, group) = self.shown_group(id)?;
        let ended_at = row.derived.frozen_at.or(row.derived.ended_at);
        let FreezeOrder { at, versions } = order;
        let same = |hold: &AdminHold| match hold {
            AdminHold::Frozen {
                at: known_at,
                versions: known,
                ..
            } => {
                at.is_none_or(|at| at == *known_at)
                    && (versions.is_none() && at.is_none() || versions == *known)
            }
            AdminHold::Suspended { .. } | AdminHold::Expired { .. } => false,
        };
        if self.current_hold(&group).is_some_and(same) {
            return Ok(Vec::new());
        }
        // Of given versions it says only since when they are all that is left.
        let ended_at = ended_at.filter(|_| versions.is_none());
        let at = at.or(ended_at).unwrap_or(now);
        Ok(self.hold(
            &group,
            AdminHold::Frozen {
                since: now,
                at,
                versions,
            },
            now,
        ))
    }

    /// Restores access: lifts the admin's hold, and waives the disputes and refunds that hold the
    /// customer. If billing does not find the customer good, this is a courtesy, which ends when
    /// the verdict of billing changes.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`].
    pub fn reactivate(&mut self, id: &CustomerId, now: Timestamp) -> Result<Vec<Change>, ActError> {
        let (row, group) = self.shown_group(id)?;
        if row.derived.status == Status::Active && row.derived.holds.is_empty() {
            return Ok(Vec::new());
        }
        self.lift_holds(&group, now);
        let dossier = Dossier::new(self, &group, now);
        let waived = dossier.held_by();
        self.write_row(id, false, now, |row| row.waivers.extend(waived));
        // Only against what is left: a courtesy against a dispute that was waived would cover the
        // next dispute as well.
        let dossier = Dossier::new(self, &group, now);
        // A courtesy in effect is not renewed, which would overwrite what was known when it was
        // given.
        let courtesy = if dossier.derive().courtesy {
            None
        } else {
            dossier.courtesy(now)
        };
        self.write_row(id, false, now, |row| {
            row.courtesy = courtesy.or(row.courtesy.take());
        });
        Ok(self.rederive(group, now, None))
    }

    /// Replaces the profile that an admin set. Accounts whose id or seller's id is the new
    /// `external_id` become the customer's; others that would follow another customer because of the
    /// change stay with theirs.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`].
    pub fn update_profile(
        &mut self,
        id: &CustomerId,
        profile: Profile,
        now: Timestamp,
    ) -> Result<Vec<Change>, ActError> {
        let (row, group) = self.shown_group(id)?;
        let before = row.profile.clone();
        if before == profile {
            return Ok(Vec::new());
        }
        let words = |profile: &Profile| {
            let Profile {
                email,
                external_id,
                user_id,
                ..
            } = profile;
            (email.clone(), external_id.clone(), user_id.clone())
        };
        let matters = words(&before) != words(&profile);
        let emails = admin_emails([&before, &profile]);
        let operation = Operation::UpdateProfile {
            from: Box::new(before.clone()),
            to: Box::new(profile.clone()),
        };
        let mut changes = vec![Change {
            customer: id.clone(),
            operation,
        }];
        if !matters {
            self.write_row(id, false, now, |row| row.profile = profile);
            changes.extend(self.rederive(group, now, None));
            return Ok(changes);
        }
        let named = [&before.external_id, &profile.external_id];
        let named = named.into_iter().flatten().cloned().collect();
        let (claimed, pins) = self.claim(id, &before, &profile, now);
        changes.extend(pins);
        changes.extend(self.keeping_links(&claimed, |working_set| {
            working_set.write_row(id, false, now, |row| row.profile = profile);
        }));
        changes.extend(self.rederive_moved(BTreeSet::from([id.clone()]), None, &claimed, now));
        changes.extend(self.rederive_sharing(&emails, now));
        changes.extend(self.rederive_named(&named, now));
        Ok(changes)
    }

    /// Marks a customer as deleted. Its accounts stay linked to it, so that later events change
    /// nothing; its e-mail address and `external_id` become free again.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`].
    pub fn delete(&mut self, id: &CustomerId, now: Timestamp) -> Result<Vec<Change>, ActError> {
        let (_, group) = self.shown_group(id)?;
        for key in &group.accounts {
            self.set_pin(key, id, PinnedBy::Kept);
        }
        let mut changes = vec![Change {
            customer: id.clone(),
            operation: Operation::Delete,
        }];
        // Other accounts that followed these stay with their customers too.
        let rows = group.rows.iter().filter_map(|id| self.customers.get(id));
        let freed = rows
            .clone()
            .filter_map(|row| row.profile.external_id.clone());
        let freed: BTreeSet<String> = freed.collect();
        let mut emails = admin_emails(rows.map(|row| &row.profile));
        let accounts = group
            .accounts
            .iter()
            .filter_map(|key| self.accounts.get(key));
        emails.extend(accounts.flat_map(Account::addresses).cloned());
        changes.extend(self.keeping_links(&BTreeSet::new(), |working_set| {
            // Merged rows too: an account that is linked again later brings no tokens back.
            for id in &group.rows {
                working_set.write_row(id, false, now, |row| {
                    row.deleted_at = Some(now);
                    row.derived.due_at = None;
                });
            }
        }));
        changes.extend(self.rederive_sharing(&emails, now));
        changes.extend(self.rederive_named(&freed, now));
        Ok(changes)
    }

    /// Clears a flag. Only a newer fact raises it again.
    ///
    /// # Errors
    /// As [`WorkingSet::shown_row`], except that a deleted customer is no error: it has flags too.
    pub fn clear_flag(
        &mut self,
        id: &CustomerId,
        flag: &Flag,
        now: Timestamp,
    ) -> Result<Vec<Change>, ActError> {
        match self.shown_row(id) {
            Ok(_) | Err(ActError::Deleted) => {}
            Err(error) => return Err(error),
        }
        let mut changes = self.write_row(id, false, now, |row| {
            row.cleared.insert(flag.clone());
        });
        for group in stored_groups(self, &BTreeSet::from([id.clone()])) {
            changes.extend(self.rederive(group, now, None));
        }
        Ok(changes)
    }

    /// Sets the policy and rederives all customers of this working set. Accounts stay with their
    /// customers.
    pub fn set_policy(&mut self, policy: Policy, now: Timestamp) -> Vec<Change> {
        let mut changes = self.adopt_policy(policy);
        changes.extend(self.tick(now));
        changes
    }

    /// Sets the policy without rederiving anybody, and pins accounts that would follow another
    /// customer under it to their present one.
    pub fn adopt_policy(&mut self, policy: Policy) -> Vec<Change> {
        if self.policy.on_same_email == policy.on_same_email {
            self.policy = policy;
            return Vec::new();
        }
        self.keeping_links(&BTreeSet::new(), |working_set| working_set.policy = policy)
    }

    /// Sets where the seller's own ids are found, and pins accounts that would follow another
    /// customer because of it to their present one.
    pub fn adopt_identity(&mut self, identity: Identity) -> Vec<Change> {
        self.keeping_links(&BTreeSet::new(), |working_set| {
            working_set.settings.identity = identity;
        })
    }

    fn shown_group(&self, id: &CustomerId) -> Result<(&Customer, Group), ActError> {
        let row = self.shown_row(id)?;
        let mut groups = stored_groups(self, &BTreeSet::from([id.clone()]));
        let group = groups.pop().ok_or(ActError::Unknown)?;
        Ok((row, group))
    }

    fn current_hold(&self, group: &Group) -> Option<&AdminHold> {
        let rows = group.rows.iter().filter_map(|id| self.customers.get(id));
        let mut holds = rows.filter_map(|row| row.hold.as_ref());
        // With several holds no act is a repetition: it replaces them by one.
        let first = holds.next()?;
        holds.next().is_none().then_some(first)
    }

    /// Sets a hold. The last admin act wins, so the holds of the customer's other rows are lifted.
    fn hold(&mut self, group: &Group, hold: AdminHold, now: Timestamp) -> Vec<Change> {
        self.lift_holds(group, now);
        if let Some(id) = group.rows.first() {
            self.write_row(id, false, now, |row| row.hold = Some(hold));
        }
        self.rederive(group.clone(), now, None)
    }

    fn lift_holds(&mut self, group: &Group, now: Timestamp) {
        for id in &group.rows {
            self.write_row(id, false, now, |row| row.hold = None);
        }
    }
}

/// Returns the addresses in profiles, lower case.
fn admin_emails<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> BTreeSet<String> {
    profiles
        .into_iter()
        .filter_map(Profile::folded_email)
        .collect()
}
