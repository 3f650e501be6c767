//! Whom the lines of a table name, in the store and among each other.
//!
//! Of the lines so far only digests are kept, so that the memory for a line does not depend on what
//! stands in it.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::found::{Found, named};
use super::line::{Column, Line};
use super::totals::Totals;
use crate::domain::access::token::TokenHash;
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
    /// The settings' own token, which opens the admin API.
    pub(super) reserved: Option<TokenHash>,
    /// Profiles are kept, for whoever writes them.
    pub(super) keeps_profiles: bool,
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
    /// It is there, and gets an id that it lacks.
    pub(super) is_changed: bool,
    /// Its profile as it is to be, if profiles are kept.
    pub(super) profile: Option<Box<Profile>>,
    pub(super) tokens: usize,
    /// One of its tokens is the one that those mean who know only one.
    pub(super) has_first_token: bool,
    pub(super) grants: usize,
}

impl Known {
    /// Nobody yet. `reserved` is the token of the settings.
    pub(super) fn new(reserved: Option<TokenHash>) -> Self {
        Self {
            reserved,
            ..Self::default()
        }
    }

    /// Finds who is meant, by the rules of get-or-create.
    pub(super) async fn person(
        &mut self,
        tx: &mut Tx,
        order: &Order,
        found: &Found,
        line: &Line,
    ) -> Result<Result<usize, (Column, String)>, StoreError> {
        let profile = named(line);
        let email = profile.folded_email().map(|email| mark(&[&email]));
        let of_id = match &profile.external_id {
            Some(external_id) => self.of_external_id(found, external_id, line),
            None => None,
        };
        let of_email = email.zip(profile.folded_email());
        let of_email =
            of_email.and_then(|(email, folded)| self.of_email(found, email, &folded, line));
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
                    is_changed: false,
                    profile: self.keeps_profiles.then(|| Box::new(profile.clone())),
                    tokens: 0,
                    has_first_token: false,
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
        if let Some(user_id) = &profile.user_id
            && !self.take_user_id(person, user_id)
        {
            let message = format!("is not that of this customer ({})", self.place(person));
            return Ok(Err((Column::UserId, message)));
        }
        Ok(Ok(person))
    }

    fn of_external_id(&mut self, found: &Found, external_id: &str, line: &Line) -> Option<usize> {
        let others = provider::other_spellings(external_id);
        let spellings = std::iter::once(external_id).chain(others.iter().map(String::as_str));
        let known = spellings
            .into_iter()
            .find_map(|spelling| self.of_external_ids.get(&mark(&[spelling])));
        if let Some(known) = known {
            return Some(*known);
        }
        let customer = found.by_external_id(external_id)?;
        Some(self.stored(found, customer, line))
    }

    fn of_email(&mut self, found: &Found, email: Mark, folded: &str, line: &Line) -> Option<usize> {
        if let Some(known) = self.of_emails.get(&email) {
            return Some(*known);
        }
        let person = self.stored(found, found.by_email(folded)?, line);
        self.of_emails.insert(email, person);
        Some(person)
    }

    /// The person that a customer of the store is.
    fn stored(&mut self, found: &Found, customer: &Customer, line: &Line) -> usize {
        if let Some(known) = self.of_rows.get(&customer.id) {
            return *known;
        }
        let tokens = found.tokens(&customer.id);
        let shown = customer.derived.contact.email.as_deref();
        let shown = shown.and_then(fold_email);
        let own = customer.profile.folded_email();
        let profile = &customer.profile;
        self.totals.customers.known += 1;
        self.people.push(Person {
            line: line.number,
            id: Some(customer.id.clone()),
            emails: [own, shown].map(|email| email.map(|email| mark(&[&email]))),
            has_external_id: profile.external_id.is_some(),
            user_id: profile.user_id.as_ref().map(|it| mark(&[it])),
            is_changed: false,
            profile: self.keeps_profiles.then(|| Box::new(profile.clone())),
            tokens: tokens.number,
            has_first_token: tokens.has_first,
            grants: found.grants(&customer.id).len(),
        });
        let person = self.people.len() - 1;
        self.of_rows.insert(customer.id.clone(), person);
        person
    }

    /// Gives a customer a user id if it has none; `false` if it has another one.
    fn take_user_id(&mut self, person: usize, user_id: &str) -> bool {
        let known = &mut self.people[person];
        let wanted = mark(&[user_id]);
        if let Some(has) = known.user_id {
            return has == wanted;
        }
        known.user_id = Some(wanted);
        if let Some(profile) = &mut known.profile {
            profile.user_id = Some(user_id.to_owned());
        }
        self.note_change(person);
        true
    }

    /// Counts a customer as changed that is there already.
    fn note_change(&mut self, person: usize) {
        let known = &mut self.people[person];
        if known.id.is_some() && !known.is_changed {
            known.is_changed = true;
            self.totals.customers.known -= 1;
            self.totals.customers.changed += 1;
        }
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
        if let Some(profile) = &mut known.profile {
            profile.external_id = Some(external_id.to_owned());
        }
        self.note_change(person);
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
