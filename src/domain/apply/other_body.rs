//! Notes that an event came again with another body.

use std::collections::BTreeSet;

use super::change::Change;
use super::working_set::WorkingSet;
use crate::domain::customer::other_body::OtherBodies;
use crate::domain::event::Bodies;
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::identity::links::stored_groups;
use crate::domain::time::Timestamp;

impl WorkingSet {
    /// Notes a body of an event that differs from its first. The flag is that of the customer whose
    /// event it is, if that is in this working set, else nobody's. `at` is the time of delivery.
    pub fn note_other_body(
        &mut self,
        event: &ObjectKey,
        customer: Option<&CustomerId>,
        bodies: &Bodies,
        at: Timestamp,
        now: Timestamp,
    ) -> Vec<Change> {
        let fresh = || OtherBodies::new(bodies.first.clone());
        let row = customer.and_then(|id| self.customers.get(id));
        let Some(row) = row else {
            let known = self.other_bodies.entry(event.clone());
            if known.or_insert_with(fresh).note(&bodies.other, at) {
                self.changed.other_bodies.insert(event.clone());
            }
            return Vec::new();
        };
        let (id, shown) = (row.id.clone(), row.merged_into.as_ref());
        let shown = BTreeSet::from([shown.unwrap_or(&row.id).clone()]);
        let mut changes = self.write_row(&id, false, now, |row| {
            let known = row.other_bodies.entry(event.id.clone());
            known.or_insert_with(fresh).note(&bodies.other, at);
        });
        for group in stored_groups(self, &shown) {
            changes.extend(self.rederive(group, now, None));
        }
        changes
    }
}
