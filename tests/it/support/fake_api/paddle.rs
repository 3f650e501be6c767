//! Paddle's lists and entities. <https://developer.paddle.com/api-reference/about/pagination>

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::objects::{List, Objects};
use super::{Question, seconds};

/// Finds out what is asked.
pub(super) fn question(path: &str, query: BTreeMap<String, String>) -> Option<Question> {
    let path = path.strip_prefix('/')?;
    let (list, id) = match path.split_once('/') {
        Some((list, id)) => (list, Some(id.to_owned())),
        None => (path, None),
    };
    let list = match list {
        "customers" => List::Customers,
        "subscriptions" => List::Subscriptions,
        "transactions" => List::Payments,
        "adjustments" => List::Refunds,
        "events" => List::Events,
        _ => return None,
    };
    Some(Question { list, id, query })
}

/// Answers it: archived customers only when they are asked for, fewer transactions and adjustments a
/// page than of anything else, and the address of the next page.
pub(super) fn reply(
    objects: &dyn Objects,
    question: &Question,
    most: usize,
) -> (StatusCode, Value) {
    let Question { list, id, query } = question;
    if let Some(id) = id {
        return match objects.get(*list, id) {
            Some(object) => (
                StatusCode::OK,
                json!({"data": object, "meta": {"request_id": "1"}}),
            ),
            None => (
                StatusCode::NOT_FOUND,
                json!({"error": {"type": "request_error", "code": "entity_not_found"}}),
            ),
        };
    }
    let asked = |name: &str| query.get(name).map(String::as_str);
    let per_page: usize = asked("per_page").map_or(50, |it| it.parse().unwrap());
    let limit = match list {
        List::Payments => 30,
        List::Refunds => 50,
        _ => 200,
    };
    let status = asked("status").unwrap_or("active");
    let since = asked("updated_at[GTE]").map(|it| seconds(&json!(it)).unwrap());
    let matches = |it: &Value| match list {
        List::Customers => status.split(',').any(|status| it["status"] == status),
        List::Payments => {
            since.is_none_or(|since| seconds(&it["updated_at"]).is_none_or(|at| at >= since))
        }
        _ => true,
    };
    let newest_first = asked("order_by").is_some_and(|it| it.ends_with("[DESC]"));
    let after = asked("after");
    let most = per_page.min(limit).min(most);
    let Some(part) = objects.part(*list, after, most, newest_first, &matches) else {
        let error = json!({"error": {"type": "request_error", "code": "bad_request"}});
        return (StatusCode::BAD_REQUEST, error);
    };
    let last = part.objects.last();
    let last = last.and_then(|it| it["id"].as_str().or(it["event_id"].as_str()));
    let next = format!(
        "https://api.paddle.com/list?after={}&per_page={most}",
        last.or(after).unwrap_or_default()
    );
    let page = json!({
        "data": part.objects,
        "meta": {
            "request_id": "1",
            "pagination": {
                "per_page": most, "next": next, "has_more": part.has_more, "estimated_total": 0,
            },
        },
    });
    (StatusCode::OK, page)
}

/// No such path.
pub(super) fn no_path() -> (StatusCode, Value) {
    let error = json!({"error": {"type": "request_error", "code": "invalid_url"}});
    (StatusCode::NOT_FOUND, error)
}
