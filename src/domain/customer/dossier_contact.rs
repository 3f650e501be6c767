//! The contact and the external id that are shown of a customer.

use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::billing::fact::Contact;
use crate::domain::customer::dossier::Dossier;

impl Dossier<'_> {
    /// Returns the contact: each field as the admin set it, else from the first account that has
    /// it.
    pub(super) fn contact(&self) -> Contact {
        let contacts: Vec<Contact> = self.accounts.iter().map(|a| a.history.contact()).collect();
        let mut shown = Contact::default();
        for profile in self.rows.iter().map(|row| &row.profile) {
            shown.email = shown.email.or_else(|| profile.email.clone());
            shown.name = shown.name.or_else(|| profile.name.clone());
            shown.phone = shown.phone.or_else(|| profile.phone.clone());
            shown.address = shown.address.or_else(|| profile.address.clone());
        }
        for contact in contacts {
            shown.email = shown.email.or(contact.email);
            shown.name = shown.name.or(contact.name);
            shown.phone = shown.phone.or(contact.phone);
            shown.address = shown.address.or(contact.address);
        }
        shown
    }

    pub(super) fn external_id(&self) -> Option<String> {
        let admins = self
            .rows
            .iter()
            .find_map(|row| row.profile.external_id.clone());
        let account = self
            .accounts
            .first()
            .map(|account| external_ids(&account.key));
        admins.or_else(|| account.map(|[prefixed, _]| prefixed))
    }
}
