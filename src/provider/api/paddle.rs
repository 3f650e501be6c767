//! Paddle's requests.

use super::answer::Listed;
use crate::domain::id::Kind;
use crate::domain::time::Timestamp;

/// The version in which answers are written, named in each request:
/// <https://developer.paddle.com/api-reference/about/versioning>.
pub(super) const VERSION: &str = "1";

/// Paddle gives at most 200, and fewer of some lists whatever is asked:
/// <https://developer.paddle.com/api-reference/about/pagination>.
const LIMIT: &str = "200";

/// A path and its query.
pub(super) type Question = (String, Vec<(&'static str, String)>);

/// Asks for a page of a list.
pub(super) fn list(what: Listed, since: Option<Timestamp>, after: Option<&str>) -> Question {
    let mut query = vec![("per_page", LIMIT.to_owned())];
    // Events have no filter of time, so they are read backwards, until they are old enough.
    let order = match what {
        Listed::Events => "id[DESC]",
        _ => "id[ASC]",
    };
    query.push(("order_by", order.to_owned()));
    match what {
        // Archived ones are left out otherwise:
        // <https://developer.paddle.com/api-reference/customers/list-customers>.
        Listed::Customers => query.push(("status", "active,archived".to_owned())),
        Listed::Payments => {
            query.extend(since.map(|at| ("updated_at[GTE]", at.to_string())));
        }
        _ => {}
    }
    query.extend(after.map(|it| ("after", it.to_owned())));
    (path_of(what).to_owned(), query)
}

/// Asks for an object; `None` of a kind that has none.
pub(super) fn get(kind: Kind, id: &str) -> Option<Question> {
    match kind {
        Kind::Account | Kind::Subscription | Kind::Transaction => {
            let list = path_of(Listed::of(kind)?);
            Some((format!("{list}/{id}"), Vec::new()))
        }
        // There is no address of a single one:
        // <https://developer.paddle.com/api-reference/adjustments/list-adjustments>.
        Kind::Adjustment => Some(("/adjustments".to_owned(), vec![("id", id.to_owned())])),
        _ => None,
    }
}

const fn path_of(what: Listed) -> &'static str {
    match what {
        Listed::Customers => "/customers",
        Listed::Subscriptions => "/subscriptions",
        Listed::Payments => "/transactions",
        Listed::Disputes | Listed::Refunds => "/adjustments",
        Listed::Events => "/events",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archived_customers_are_asked_for() {
        let (path, query) = list(Listed::Customers, None, None);
        assert_eq!(path, "/customers");
        assert!(query.contains(&("status", "active,archived".to_owned())));
    }
}
