//! One line of a table, read by itself.
//!
//! A message never repeats a value: a column in the wrong place could be a token or an address.

use std::fmt;

use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::access::plan::{MAX_CONSTRAINT, PackageGrant};
use crate::domain::access::token::{TakenToken, TokenHash, TokenText};
use crate::domain::customer::profile::ProfileChange;
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Name of a person or company.
    Name,
    /// E-mail address.
    Email,
    /// The other system's id of the customer.
    ExternalId,
    /// Its id of a user.
    UserId,
    /// The text of an access token.
    Token,
    /// The SHA-256 of such a text.
    TokenSha256,
    /// A package that is granted.
    Package,
    /// The versions of it.
    Constraint,
    /// The end of the grant.
    ExpiresAt,
    /// What billing means for the grant.
    Billing,
}

words!(Column, all {
    Name = "name",
    Email = "email",
    ExternalId = "external_id",
    UserId = "user_id",
    Token = "token",
    TokenSha256 = "token_sha256",
    Package = "package",
    Constraint = "constraint",
    ExpiresAt = "expires_at",
    Billing = "billing",
});

/// Something that is wrong in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The number of the line in the file; the header is usually 1.
    pub line: u64,
    /// The column; `None` where it is about the whole line.
    pub column: Option<Column>,
    /// The end of a sentence about it, without any value of the file.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = self.column {
            write!(f, ", {}", column.as_str())?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A line that says something sensible by itself.
#[derive(Debug)]
pub struct Line {
    /// Its number in the file.
    pub number: u64,
    /// The customer.
    pub customer: ProfileChange,
    /// A token of the customer, and the column that has it.
    pub token: Option<(Column, TakenToken)>,
    /// A package of the customer.
    pub grant: Option<HandGrant>,
}

/// Reads a line from its values, in the order of [`Column::ALL`]; empty ones are not given.
pub(super) fn read(number: u64, values: [Option<String>; 10]) -> Result<Line, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut note = |column, message: String| {
        faults.push(Fault {
            line: number,
            column: Some(column),
            message,
        });
    };
    let [
        name,
        email,
        external_id,
        user_id,
        token,
        token_sha256,
        package,
        constraint,
        expires_at,
        billing,
    ] = values;
    if email.is_none() && external_id.is_none() {
        let missing =
            "is missing; a line names its customer by e-mail address, external id or both";
        note(Column::Email, missing.to_owned());
    }
    let customer = ProfileChange {
        name: name.map(Some),
        email: email.map(Some),
        external_id: external_id.map(Some),
        user_id: user_id.map(Some),
        ..ProfileChange::default()
    };
    for error in customer.errors() {
        let column = Column::ALL
            .into_iter()
            .find(|it| it.as_str() == error.field);
        note(column.unwrap_or(Column::Name), error.message);
    }
    let token = match (token, token_sha256) {
        (Some(_), Some(_)) => {
            let message = "must be empty where the line has the token itself";
            note(Column::TokenSha256, message.to_owned());
            None
        }
        (Some(text), None) => TokenText::taken_over(text)
            .map(|text| (Column::Token, TakenToken::Text(text)))
            .map_err(|message| note(Column::Token, message))
            .ok(),
        (None, Some(hash)) => TokenHash::parse(&hash)
            .map(|hash| (Column::TokenSha256, TakenToken::Hash(hash)))
            .map_err(|message| note(Column::TokenSha256, message))
            .ok(),
        (None, None) => None,
    };
    let terms = [constraint, expires_at, billing];
    let grant = if let Some(package) = package {
        grant(package, terms, &mut note)
    } else {
        refuse_terms(&terms, &mut note);
        None
    };
    if faults.is_empty() {
        Ok(Line {
            number,
            customer,
            token,
            grant,
        })
    } else {
        Err(faults)
    }
}

/// Reads a grant from its package and its terms.
fn grant(
    package: String,
    [constraint, expires_at, billing]: [Option<String>; 3],
    note: &mut impl FnMut(Column, String),
) -> Option<HandGrant> {
    let constraint = constraint.unwrap_or_else(|| "*".to_owned());
    if constraint.len() > MAX_CONSTRAINT {
        let message = format!("must be at most {MAX_CONSTRAINT} bytes long");
        note(Column::Constraint, message);
    }
    let expires_at = expires_at.map(|text| text.parse::<Timestamp>()).transpose();
    let expires_at = expires_at.map_err(|_| note(Column::ExpiresAt, TIME.to_owned()));
    let billing = billing.map(|text| text.parse::<GrantBilling>()).transpose();
    let billing = billing.map_err(|_| note(Column::Billing, BILLING.to_owned()));
    let grant = PackageGrant {
        package,
        constraint,
    };
    Some(HandGrant {
        grant,
        expires_at: expires_at.ok()?,
        billing: billing.ok()?.unwrap_or_default(),
    })
}

/// Refuses what is said of a grant that is not there.
fn refuse_terms(terms: &[Option<String>; 3], note: &mut impl FnMut(Column, String)) {
    let columns = [Column::Constraint, Column::ExpiresAt, Column::Billing];
    for (column, term) in columns.into_iter().zip(terms) {
        if term.is_some() {
            let message = "must be empty where the line has no package: it is about a grant";
            note(column, message.to_owned());
        }
    }
}

const TIME: &str = "must be a time such as 2027-01-31T00:00:00Z, before 2262";
const BILLING: &str = "must be `follow` (billing can suspend the grant; so is an empty one) or \
                       `ignore` (the grant counts whatever billing says)";
