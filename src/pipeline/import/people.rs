//! Whom the lines of a table name, in the store and among each other.
//!
//! Of the lines so far only digests are kept, so that the memory for a line does not depend on what
//! stands in it.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::line::{Column, Line};
use super::totals::Totals;
use crate::domain::billing::fact::Contact;
use crate::domain::customer::row::{Customer, Profile};
use crate::domain::email::fold_email;
use crate::domain::id::CustomerId;
use crate::pipeline::customers::{CustomerError, SameEmail, refuse_taken};
use crate::pipeline::order::Order;
use crate::provider;
use crate::store::{StoreError, Tx};

/// What stands for a text.
pub(super) type Mark = u128;

pub(super) fn mark(texts: &[&str]) -> Mark {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text.as_bytes());
        digest.update([0]);
    }
    first_half(&digest.finalize().into())
}

pub(super) fn first_half(digest: &[u8; 32]) -> Mark {
    digest[..16]
        .iter()
        .fold(0, |mark, byte| mark << 8 | Mark::from(*byte))
}

/// Everything that is remembered of the lines so far.
#[derive(Default)]
pub(super) struct Known {
    pub(super) totals: Totals,
    pub(super) people: Vec<Person>,
    of_external_ids: HashMap<Mark, usize>,
    of_emails: HashMap<Mark, usize>,
    of_rows: HashMap<CustomerId, usize>,
    pub(super) of_tokens: HashMap<Mark, usize>,
    pub(super) grants: HashMap<Mark, (Mark, u64)>,
    pub(super) readable: HashSet<(String, String)>,
}

/// A customer whom lines name.
pub(super) struct Person {
    /// The first line that names it.
    line: u64,
    /// The customer, if there is one already.
    pub(super) id: Option<CustomerId>,
    /// The e-mail addresses that are its own.
    emails: [Option<Mark>; 2],
    /// An external id was given to it.
    has_external_id: bool,
    user_id: Option<Mark>,
    pub(super) tokens: usize,
    pub(super) grants: usize,
}

impl Known {
    /// Finds who is meant, by the rules of get-or-create.
    pub(super) async fn person(
        &mut self,
        tx: &mut Tx,
        order: &Order,
        line: &Line,
    ) -> Result<Result<usize, (Column, String)>, StoreError> {
        let profile = line
            .customer
            .apply(&Profile::default(), &Contact::default());
        let email = profile.folded_email().map(|email| mark(&[&email]));
        let of_id = match &profile.external_id {
            Some(external_id) => self.of_external_id(tx, order, external_id, line).await?,
            None => None,
        };
        let of_email = match (&profile.email, email) {
            (Some(text), Some(email)) => match self.of_emails.get(&email) {
                Some(known) => Some(*known),
                None => match tx.customer_find_by_email(&order.app, text).await? {
                    Some(customer) => {
                        let person = self.stored(tx, order, &customer, line).await?;
                        self.of_emails.insert(email, person);
                        Some(person)
                    }
                    None => None,
                },
            },
            _ => None,
        };
        let person = match (of_id, of_email) {
            (Some(one), _) => {
                let has_email = |email| self.people[one].emails.contains(&Some(email));
                if email.is_some_and(|email| !has_email(email)) {
                    return Ok(Err((Column::Email, self.other_email(one, of_email))));
                }
                one
            }
            (None, Some(known)) => {
                if let Some(external_id) = &profile.external_id {
                    if self.people[known].has_external_id {
                        let place = self.place(known);
                        let message = format!(
                            "is not that of the customer with this e-mail address ({place})"
                        );
                        return Ok(Err((Column::ExternalId, message)));
                    }
                    if let Some(message) = self.attach(tx, order, known, external_id).await? {
                        return Ok(Err((Column::ExternalId, message)));
                    }
                }
                known
            }
            (None, None) => {
                if profile.name.is_none() && profile.email.is_none() {
                    let missing = "is missing; a new customer needs a name or an e-mail address in \
                                   the first line that names it";
                    return Ok(Err((Column::Email, missing.to_owned())));
                }
                self.totals.customers.made += 1;
                self.people.push(Person {
                    line: line.number,
                    id: None,
                    emails: [email, None],
                    has_external_id: profile.external_id.is_some(),
                    user_id: profile.user_id.as_ref().map(|it| mark(&[it])),
                    tokens: 0,
                    grants: 0,
                });
                self.people.len() - 1
            }
        };
        if let Some(external_id) = &profile.external_id {
            self.of_external_ids.insert(mark(&[external_id]), person);
        }
        if let Some(email) = email {
            self.of_emails.insert(email, person);
        }
        let known = &self.people[person];
        let user_id = profile.user_id.as_ref().map(|it| mark(&[it]));
        if user_id.is_some() && known.id.is_none() && known.user_id != user_id {
            let message = format!(
                "differs from line {}, the first of this customer",
                known.line
            );
            return Ok(Err((Column::UserId, message)));
        }
        Ok(Ok(person))
    }

    async fn of_external_id(
        &mut self,
        tx: &mut Tx,
        order: &Order,
        external_id: &str,
        line: &Line,
    ) -> Result<Option<usize>, StoreError> {
        let others = provider::other_spellings(external_id);
        let spellings = std::iter::once(external_id).chain(others.iter().map(String::as_str));
        let known = spellings
            .into_iter()
            .find_map(|spelling| self.of_external_ids.get(&mark(&[spelling])));
        if let Some(known) = known {
            return Ok(Some(*known));
        }
        let found = tx
            .customer_find_by_external(&order.app, external_id, &others)
            .await?;
        Ok(match found {
            Some(customer) => Some(self.stored(tx, order, &customer, line).await?),
            None => None,
        })
    }

    /// The person that a customer of the store is.
    async fn stored(
        &mut self,
        tx: &mut Tx,
        order: &Order,
        customer: &Customer,
        line: &Line,
    ) -> Result<usize, StoreError> {
        if let Some(known) = self.of_rows.get(&customer.id) {
            return Ok(*known);
        }
        let tokens = tx.token_list(&order.app, &customer.id).await?.len();
        let grants = tx.grant_list(&order.app, [&customer.id]).await?;
        let shown = customer.derived.contact.email.as_deref();
        let shown = shown.and_then(fold_email);
        let own = customer.profile.folded_email();
        self.totals.customers.known += 1;
        self.people.push(Person {
            line: line.number,
            id: Some(customer.id.clone()),
            emails: [own, shown].map(|email| email.map(|email| mark(&[&email]))),
            has_external_id: customer.profile.external_id.is_some(),
            user_id: None,
            tokens,
            grants: grants.get(&customer.id).map_or(0, Vec::len),
        });
        let person = self.people.len() - 1;
        self.of_rows.insert(customer.id.clone(), person);
        Ok(person)
    }

    /// Notes that a customer gets an external id; says why it cannot.
    async fn attach(
        &mut self,
        tx: &mut Tx,
        order: &Order,
        person: usize,
        external_id: &str,
    ) -> Result<Option<String>, StoreError> {
        let known = &mut self.people[person];
        let profile = Profile {
            external_id: Some(external_id.to_owned()),
            ..Profile::default()
        };
        let id = known.id.as_ref();
        match refuse_taken(tx, order, &profile, id, SameEmail::Allowed).await {
            Ok(()) => {}
            Err(CustomerError::Store(error)) => return Err(error),
            Err(error) => return Ok(Some(error.to_string())),
        }
        known.has_external_id = true;
        if id.is_some() {
            self.totals.customers.known -= 1;
            self.totals.customers.changed += 1;
        }
        Ok(None)
    }

    /// Where a customer is found, for those who read about it.
    pub(super) fn place(&self, person: usize) -> String {
        let person = &self.people[person];
        match &person.id {
            Some(id) => id.to_string(),
            None => format!("line {}", person.line),
        }
    }

    fn other_email(&self, person: usize, of_email: Option<usize>) -> String {
        let place = self.place(person);
        match of_email {
            Some(other) if other != person => format!(
                "is that of another customer ({}) than the external id ({place})",
                self.place(other)
            ),
            _ => format!(
                "is not that of the customer with this external id ({place}); correct one of the \
                 two, or leave the address out"
            ),
        }
    }
}
