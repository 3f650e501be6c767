//! Checks one line against the store and against the lines before it.

use super::found::Found;
use super::line::{Column, Fault, Line};
use super::people::Known;
use crate::domain::access::hand_grant::HandGrant;
use crate::domain::access::token::TakenToken;
use crate::pipeline::order::Order;
use crate::store::{StoreError, Tx};

/// What is to be done for a line.
pub(super) struct Step {
    /// The number of the customer among those that lines name.
    pub(super) person: usize,
    /// A token that is to be taken over.
    pub(super) token: Option<TakenToken>,
    /// A package that is to be granted.
    pub(super) grant: Option<HandGrant>,
}

impl Known {
    /// Checks a line; says what is to be done for it, or all that is wrong.
    pub(super) async fn check(
        &mut self,
        tx: &mut Tx,
        order: &Order,
        found: &Found,
        line: Line,
    ) -> Result<Result<Step, Vec<Fault>>, StoreError> {
        let number = line.number;
        let mut wrong: Vec<(Column, String)> = Vec::new();
        let person = match self.person(tx, order, found, &line).await? {
            Ok(person) => Some(person),
            Err(fault) => {
                wrong.push(fault);
                None
            }
        };
        let mut token = None;
        if let Some((column, taken)) = line.token {
            match self.token(&order.app, found, &taken, person) {
                Ok(is_new) => token = is_new.then_some(taken),
                Err(message) => wrong.push((column, message)),
            }
        }
        let mut grant = None;
        if let Some(given) = line.grant {
            let checked = self
                .grant(tx, &order.app, found, &given, person, number)
                .await?;
            match checked {
                Ok(is_new) => grant = is_new.then_some(given),
                Err(faults) => wrong.extend(faults),
            }
        }
        let step = |person| Step {
            person,
            token,
            grant,
        };
        Ok(match person {
            Some(person) if wrong.is_empty() => Ok(step(person)),
            _ => Err(wrong
                .into_iter()
                .map(|(column, message)| Fault {
                    line: number,
                    column: Some(column),
                    message,
                })
                .collect()),
        })
    }
}
