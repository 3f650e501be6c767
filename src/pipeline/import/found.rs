//! What the store knows of some lines, looked up for all of them at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::line::Line;
use crate::domain::access::token::{TakenToken, TokenHash};
use crate::domain::billing::fact::Contact;
use crate::domain::customer::row::{Customer, Profile};
use crate::domain::id::{AppSlug, CustomerId};
use crate::pipeline::tokens::FIRST_NAME;
use crate::provider;
use crate::store::{GivenGrant, StoreError, Tx, UsedHash};

/// What the store knows of some lines.
#[derive(Default)]
pub(super) struct Found {
    by_external_id: BTreeMap<String, Customer>,
    by_email: BTreeMap<String, Customer>,
    hashes: HashMap<Vec<u8>, UsedHash>,
    tokens: HashMap<CustomerId, Tokens>,
    grants: BTreeMap<CustomerId, Vec<GivenGrant>>,
}

/// The tokens of a customer.
#[derive(Clone, Copy, Default)]
pub(super) struct Tokens {
    pub(super) number: usize,
    /// One of them is the one that those mean who know only one.
    pub(super) has_first: bool,
}

impl Found {
    /// Looks up whom some lines name, what their tokens open, and what those customers have.
    pub(super) async fn look_up(
        tx: &mut Tx,
        app: &AppSlug,
        lines: &[Line],
    ) -> Result<Self, StoreError> {
        let mut external_ids = BTreeMap::new();
        let mut emails = BTreeSet::new();
        for line in lines {
            let profile = named(line);
            emails.extend(profile.folded_email());
            if let Some(external_id) = profile.external_id {
                let others = provider::other_spellings(&external_id);
                external_ids.insert(external_id, others);
            }
        }
        let by_external_id = tx.customers_by_external(app, &external_ids).await?;
        let by_email = tx.customers_by_email(app, &emails).await?;
        let ids = by_external_id.values().chain(by_email.values());
        let ids: BTreeSet<&CustomerId> = ids.map(|customer| &customer.id).collect();
        let mut tokens: HashMap<CustomerId, Tokens> = HashMap::new();
        for token in tx.token_names(app, ids.iter().copied()).await? {
            let of = tokens.entry(token.customer).or_default();
            of.number += 1;
            of.has_first |= token.name == FIRST_NAME;
        }
        let grants = tx.grant_list(app, ids).await?;
        let taken = lines.iter().filter_map(|line| line.token.as_ref());
        let wanted: Vec<TokenHash> = taken.map(|(_, token)| TakenToken::hash(token)).collect();
        let mut hashes: HashMap<Vec<u8>, UsedHash> = HashMap::new();
        for used in tx.token_hashes_used(app, &wanted).await? {
            // A text that was taken away may have been given again since, which counts.
            if !(used.is_retired() && hashes.contains_key(used.hash())) {
                hashes.insert(used.hash().to_vec(), used);
            }
        }
        Ok(Self {
            by_external_id,
            by_email,
            hashes,
            tokens,
            grants,
        })
    }

    /// The customer with an external id, which some line names.
    pub(super) fn by_external_id(&self, external_id: &str) -> Option<&Customer> {
        self.by_external_id.get(external_id)
    }

    /// The customer with an address in its one spelling, which some line names.
    pub(super) fn by_email(&self, folded: &str) -> Option<&Customer> {
        self.by_email.get(folded)
    }

    /// What a token of some line opens or opened.
    pub(super) fn hash(&self, hash: &TokenHash) -> Option<&UsedHash> {
        self.hashes.get(&hash.as_bytes()[..])
    }

    /// The tokens of a customer that was found.
    pub(super) fn tokens(&self, customer: &CustomerId) -> Tokens {
        self.tokens.get(customer).copied().unwrap_or_default()
    }

    /// The grants by hand of a customer that was found.
    pub(super) fn grants(&self, customer: &CustomerId) -> &[GivenGrant] {
        self.grants.get(customer).map_or(&[], Vec::as_slice)
    }
}

/// The profile that a line gives a new customer.
pub(super) fn named(line: &Line) -> Profile {
    line.customer
        .apply(&Profile::default(), &Contact::default())
}
