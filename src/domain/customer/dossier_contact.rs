//! The contact and the external id that are shown of a customer.

use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::billing::fact::Contact;
use crate::domain::customer::dossier::Dossier;
use crate::domain::identity::account::PinnedBy;
use crate::domain::identity::addresses::Owners;

impl Dossier<'_> {
    /// Returns the contact: each field as the admin set it, else from the first account that has
    /// it. Of addresses only one that is nobody else's is shown.
    pub(super) fn contact(&self) -> Contact {
        let mut shown = Contact::default();
        for profile in self.rows.iter().map(|row| &row.profile) {
            shown.email = shown.email.or_else(|| profile.email.clone());
            shown.name = shown.name.or_else(|| profile.name.clone());
            shown.phone = shown.phone.or_else(|| profile.phone.clone());
            shown.address = shown.address.or_else(|| profile.address.clone());
        }
        shown.email = (shown.email)
            .or_else(|| Owners::of(self.working_set, [&self.group]).shown(&self.group));
        for contact in self.accounts.iter().map(|it| it.history.contact()) {
            shown.name = shown.name.or(contact.name);
            shown.phone = shown.phone.or(contact.phone);
            shown.address = shown.address.or(contact.address);
        }
        shown
    }

    /// Returns the external id: the admin's, else the seller's own id, else that of the first
    /// account. An admin may have given one of these to another customer, and then it is that one's.
    pub(super) fn external_id(&self) -> Option<String> {
        let mut rows = self.rows.iter();
        let given = rows.find_map(|row| row.profile.external_id.clone());
        given.or_else(|| self.seller_id()).or_else(|| {
            let forms = external_ids(&self.accounts.first()?.key);
            let [prefixed, _] = &forms;
            (!self.is_anothers(&forms)).then(|| prefixed.clone())
        })
    }

    fn seller_id(&self) -> Option<String> {
        if !self.working_set.settings.identity.is_on() {
            return None;
        }
        // Of those that an admin parted, he has said that they are not the customer of that id.
        let linked = self.accounts.iter().map(|account| &account.history);
        let linked = linked.filter(|it| it.pinned_by != PinnedBy::Parted);
        let mut ids = linked.filter_map(|it| it.seller_id.as_ref());
        let (_, id) = ids.find(|(_, id)| !self.is_anothers(std::slice::from_ref(id)))?;
        Some(id.clone())
    }

    /// Reports whether an admin gave another customer an external id of these forms.
    fn is_anothers(&self, forms: &[String]) -> bool {
        let mut rows = self.working_set.customers.values();
        rows.any(|row| {
            let given = row.profile.external_id.as_ref();
            row.deleted_at.is_none()
                && !self.group.rows.contains(&row.id)
                && given.is_some_and(|id| forms.contains(id))
        })
    }
}
