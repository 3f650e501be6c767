//! The links by hand that end flags about an address that two customers share.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::apply::lookup_keys::{connected_part, external_ids, prefixed_account};
use crate::domain::customer::flag::{Flag, FlagHolder, FlagKind};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};

/// The link by hand that makes one customer of two who share an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagLink {
    /// The customer.
    pub customer: CustomerId,
    /// The account to link to it.
    pub account: ObjectKey,
    /// True if its id alone does not say which account it is: the other mode has it too.
    pub in_both_modes: bool,
}

record! {
    struct HolderRow from "flags" {
        subject: String,
        holder: FlagHolder,
    }
}

impl Tx {
    /// Finds the holders of the open flags of a kind with some subjects.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn flag_holders_of(
        &mut self,
        app: &AppSlug,
        kind: FlagKind,
        subjects: impl IntoIterator<Item = &str> + Send,
    ) -> Result<Vec<HolderRow>, StoreError> {
        let sql = r"
            SELECT subject, holder
            FROM flags
            WHERE app = $2 AND kind = $3 AND NOT cleared
                AND subject IN (SELECT key FROM {rows} AS wanted)
            ORDER BY place
        ";
        self.fetch(sql, binds![keys(subjects), app, kind]).await
    }

    /// Finds, for flags about a shared address, the links that end them, by their subject: the later
    /// account, and the customer who has the flag and not the account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn flag_links(
        &mut self,
        app: &AppSlug,
        flags: impl IntoIterator<Item = &Flag> + Send,
    ) -> Result<BTreeMap<String, FlagLink>, StoreError> {
        let shared = flags.into_iter();
        let shared = shared.filter(|flag| flag.kind == FlagKind::SameEmail);
        let subjects: BTreeSet<&str> = shared.map(|flag| flag.subject.as_str()).collect();
        let mut links = BTreeMap::new();
        if subjects.is_empty() {
            return Ok(links);
        }
        let kind = FlagKind::SameEmail;
        let holders = self
            .flag_holders_of(app, kind, subjects.iter().copied())
            .await?;
        let ids = subjects.iter().filter_map(|it| prefixed_account(it));
        let ids = ids.map(|(_, id)| connected_part(id).1);
        let owners = self.account_owners(app, ids).await?;
        for HolderRow { subject, holder } in holders {
            let meant = owners
                .iter()
                .filter(|(key, _)| external_ids(key).contains(&subject));
            let meant: Vec<_> = meant.collect();
            let (Some(customer), Some((account, owner))) = (holder.customer(), meant.first())
            else {
                continue;
            };
            if owner.as_ref() != Some(customer) {
                let link = FlagLink {
                    customer: customer.clone(),
                    account: account.clone(),
                    in_both_modes: meant.len() > 1,
                };
                links.entry(subject).or_insert(link);
            }
        }
        Ok(links)
    }
}
