//! The tokens and packages of the people in a table.

use std::collections::hash_map::Entry;

use super::line::Column;
use super::people::{Known, first_half, mark};
use crate::domain::access::hand_grant::HandGrant;
use crate::domain::access::token::TakenToken;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::pipeline::grants::MAX_GRANTS;
use crate::pipeline::package_texts::{PackageTextError, check_grants};
use crate::pipeline::tokens::MAX_TOKENS;
use crate::store::{StoreError, Tx};

/// Most grants that are remembered as readable: tables name few packages very often.
const MOST_READABLE: usize = 10_000;

const CONSTRAINT: &str = "must be a version constraint such as ^2.0, >=1.2 <3.0 or *";

impl Known {
    pub(super) async fn token(
        &mut self,
        tx: &mut Tx,
        app: &AppSlug,
        token: &TakenToken,
        person: Option<usize>,
    ) -> Result<Result<(), String>, StoreError> {
        let hash = token.hash();
        let mark = first_half(hash.as_bytes());
        if let Some(known) = self.of_tokens.get(&mark) {
            return Ok(if person.is_none_or(|person| person == *known) {
                Ok(())
            } else {
                Err(format!(
                    "is already the token of another customer ({})",
                    self.place(*known)
                ))
            });
        }
        let id = person.and_then(|person| self.people[person].id.as_ref());
        if tx.admin_token_find(&hash).await?.is_some() {
            return Ok(Err("is a token already".to_owned()));
        }
        if let Some(home) = tx.token_holder(&hash).await? {
            if home.app != *app || id != Some(&home.customer) {
                // Whose it is must not be told: it can be of another app.
                return Ok(Err("is a token of another customer already".to_owned()));
            }
            self.totals.tokens.known += 1;
        } else if let Some(person) = person {
            let person = &mut self.people[person];
            if person.tokens >= MAX_TOKENS {
                return Ok(Err(format!(
                    "is one more than the {MAX_TOKENS} tokens that a customer may have"
                )));
            }
            person.tokens += 1;
            self.totals.tokens.made += 1;
        }
        if let Some(person) = person {
            self.of_tokens.insert(mark, person);
        }
        Ok(Ok(()))
    }

    pub(super) async fn grant(
        &mut self,
        tx: &mut Tx,
        app: &AppSlug,
        grant: &HandGrant,
        person: Option<usize>,
        line: u64,
    ) -> Result<Vec<(Column, String)>, StoreError> {
        let wrong = self.unreadable(tx, app, grant).await?;
        let Some(person) = person.filter(|_| wrong.is_empty()) else {
            return Ok(wrong);
        };
        let package = grant.grant.package.as_str();
        let expires_at = grant.expires_at.map(Timestamp::exact);
        let terms = mark(&[
            &grant.grant.constraint,
            grant.billing.as_str(),
            expires_at.as_deref().unwrap_or_default(),
        ]);
        match self.grants.entry(mark(&[package, &person.to_string()])) {
            Entry::Occupied(first) => {
                let (first, at) = first.get();
                let differs = || {
                    let message = format!(
                        "is granted on other terms in line {at}; a customer has one grant for a \
                         package"
                    );
                    (Column::Package, message)
                };
                return Ok((*first != terms).then(differs).into_iter().collect());
            }
            Entry::Vacant(free) => {
                free.insert((terms, line));
            }
        }
        let known = &mut self.people[person];
        if let Some(id) = &known.id {
            let mut there = tx.grant_list(app, [id]).await?;
            let mut there = there.remove(id).unwrap_or_default();
            there.retain(|it| it.grant.grant.package == package);
            match there.as_slice() {
                [] => {}
                [only] if only.grant == *grant => {
                    self.totals.grants.known += 1;
                    return Ok(Vec::new());
                }
                _ => {
                    self.totals.grants.changed += 1;
                    return Ok(Vec::new());
                }
            }
        }
        if known.grants >= MAX_GRANTS {
            let message =
                format!("is one more than the {MAX_GRANTS} packages that a customer may have");
            return Ok(vec![(Column::Package, message)]);
        }
        known.grants += 1;
        self.totals.grants.made += 1;
        Ok(Vec::new())
    }

    async fn unreadable(
        &mut self,
        tx: &mut Tx,
        app: &AppSlug,
        grant: &HandGrant,
    ) -> Result<Vec<(Column, String)>, StoreError> {
        let grant = &grant.grant;
        let key = (grant.package.clone(), grant.constraint.clone());
        if self.readable.contains(&key) {
            return Ok(Vec::new());
        }
        let only = std::iter::once(grant);
        match check_grants(tx, app, only, |_| String::new()).await {
            Ok(()) => {
                if self.readable.len() < MOST_READABLE {
                    self.readable.insert(key);
                }
                Ok(Vec::new())
            }
            Err(PackageTextError::Store(error)) => Err(error),
            Err(PackageTextError::Invalid { errors }) => {
                let faults = errors.into_iter().map(|error| match error.field.as_str() {
                    "package" => (Column::Package, error.message),
                    _ => (Column::Constraint, CONSTRAINT.to_owned()),
                });
                Ok(faults.collect())
            }
        }
    }
}
