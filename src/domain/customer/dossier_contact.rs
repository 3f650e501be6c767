//! The contact and the external id that are shown of a customer.

use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::billing::fact::Contact;
use crate::domain::customer::dossier::Dossier;
use crate::domain::identity::addresses::shown_address;

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
        shown.email = (shown.email).or_else(|| shown_address(self.working_set, &self.group));
        for contact in self.accounts.iter().map(|it| it.history.contact()) {
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
        let seller_ids = self.accounts.iter().filter_map(|account| {
            let (_, id) = account.history.seller_id.as_ref()?;
            Some(id.clone())
        });
        let mut seller_ids = seller_ids.filter(|_| self.working_set.settings.identity.is_on());
        admins
            .or_else(|| seller_ids.next())
            .or_else(|| account.map(|[prefixed, _]| prefixed))
    }
}
