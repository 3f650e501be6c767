//! The tokens and packages of the people in a table.

use std::collections::hash_map::Entry;

use super::found::Found;
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

impl Known {
    /// Checks a token; `true` if it is to be taken over.
    pub(super) fn token(
        &mut self,
        app: &AppSlug,
        found: &Found,
        token: &TakenToken,
        person: Option<usize>,
    ) -> Result<bool, String> {
        let hash = token.hash();
        let mark = first_half(hash.as_bytes());
        if let Some(known) = self.of_tokens.get(&mark) {
            return if person.is_none_or(|person| person == *known) {
                Ok(false)
            } else {
                let place = self.place(*known);
                Err(format!(
                    "is already the token of another customer ({place})"
                ))
            };
        }
        if self.reserved == Some(hash) {
            return Err("is this server's ADMIN_TOKEN, which opens the admin API".to_owned());
        }
        let id = person.and_then(|person| self.people[person].id.as_ref());
        let mut is_new = false;
        match found.hash(&hash) {
            Some(used) if used.is_admins() => return Err("is a token already".to_owned()),
            Some(used) if used.is_retired() => self.totals.retired_tokens += 1,
            Some(used) if id.is_some_and(|id| used.is_of(app, id)) => {
                self.totals.tokens.known += 1;
            }
            // Whose it is must not be told: it can be of another app.
            Some(_) => return Err("is a token of another customer already".to_owned()),
            None => {
                if let Some(person) = person {
                    let person = &mut self.people[person];
                    if person.tokens >= MAX_TOKENS {
                        return Err(format!(
                            "is one more than the {MAX_TOKENS} tokens that a customer may have"
                        ));
                    }
                    person.tokens += 1;
                    self.totals.tokens.made += 1;
                    is_new = true;
                }
            }
        }
        if let Some(person) = person {
            self.of_tokens.insert(mark, person);
        }
        Ok(is_new)
    }

    /// Checks a grant; `true` if it is to be given.
    pub(super) async fn grant(
        &mut self,
        tx: &mut Tx,
        app: &AppSlug,
        found: &Found,
        grant: &HandGrant,
        person: Option<usize>,
        line: u64,
    ) -> Result<Result<bool, Vec<(Column, String)>>, StoreError> {
        let wrong = self.unreadable(tx, app, grant).await?;
        if !wrong.is_empty() {
            return Ok(Err(wrong));
        }
        let Some(person) = person else {
            return Ok(Ok(false));
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
                return Ok(if *first == terms {
                    Ok(false)
                } else {
                    Err(vec![differs()])
                });
            }
            Entry::Vacant(free) => {
                free.insert((terms, line));
            }
        }
        let known = &mut self.people[person];
        if let Some(id) = &known.id {
            let there = found.grants(id).iter();
            let mut there = there.filter(|it| it.grant.grant.package == package);
            match (there.next(), there.next()) {
                (None, _) => {}
                (Some(only), None) if only.grant == *grant => {
                    self.totals.grants.known += 1;
                    return Ok(Ok(false));
                }
                _ => {
                    self.totals.grants.changed += 1;
                    return Ok(Ok(true));
                }
            }
        }
        if known.grants >= MAX_GRANTS {
            let message =
                format!("is one more than the {MAX_GRANTS} packages that a customer may have");
            return Ok(Err(vec![(Column::Package, message)]));
        }
        known.grants += 1;
        self.totals.grants.made += 1;
        Ok(Ok(true))
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
                let faults = errors.into_iter().map(|error| {
                    if error.field == "package" {
                        return (Column::Package, error.message);
                    }
                    let message = format!("must be a version constraint: {}", error.message);
                    (Column::Constraint, message)
                });
                Ok(faults.collect())
            }
        }
    }
}
