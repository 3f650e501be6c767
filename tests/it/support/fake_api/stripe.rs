//! Stripe's lists and objects. <https://docs.stripe.com/api/pagination>

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::objects::{List, Objects};
use super::{Question, seconds};

/// Finds out what is asked.
pub(super) fn question(path: &str, query: BTreeMap<String, String>) -> Option<Question> {
    let path = path.strip_prefix("/v1/")?;
    if path == "entitlements/active_entitlements" {
        let id = query.get("customer").cloned();
        assert!(id.is_some(), "the customer is missing");
        let list = List::Features;
        return Some(Question { list, id, query });
    }
    let (list, id) = match path.split_once('/') {
        Some((list, id)) => (list, Some(id.to_owned())),
        None => (path, None),
    };
    let list = match list {
        "customers" => List::Customers,
        "subscriptions" => List::Subscriptions,
        "invoices" => List::Payments,
        "disputes" => List::Disputes,
        "refunds" => List::Refunds,
        "events" => List::Events,
        _ => return None,
    };
    Some(Question { list, id, query })
}

/// Answers it: newest first, canceled subscriptions only when they are asked for, deleted customers
/// only one by one.
pub(super) fn reply(
    objects: &dyn Objects,
    question: &Question,
    most: usize,
) -> (StatusCode, Value) {
    let Question { list, id, query } = question;
    if *list == List::Features {
        return features(objects, question, most);
    }
    if let Some(id) = id {
        return match objects.get(*list, id) {
            Some(object) if object["deleted"] == true => {
                let deleted = json!({"id": id, "object": "customer", "deleted": true});
                (StatusCode::OK, deleted)
            }
            Some(object) => (StatusCode::OK, object),
            None => missing(),
        };
    }
    let asked = |name: &str| query.get(name).map(String::as_str);
    let limit = asked("limit").map_or(10, |it| it.parse().unwrap());
    assert!((1..=100).contains(&limit), "limit={limit}");
    let since: Option<i64> = asked("created[gte]").map(|it| it.parse().unwrap());
    let expands = query.keys().any(|it| it.starts_with("expand"));
    let status = asked("status");
    let matches = |it: &Value| {
        let is_listed = match list {
            List::Customers => it["deleted"] != true,
            List::Subscriptions => match status {
                Some("all") => true,
                Some(status) => it["status"] == status,
                None => it["status"] != "canceled",
            },
            _ => true,
        };
        is_listed && since.is_none_or(|since| seconds(&it["created"]).is_none_or(|at| at >= since))
    };
    let after = asked("starting_after");
    let Some(mut part) = objects.part(*list, after, limit.min(most), true, &matches) else {
        let error = json!({"error": {"type": "invalid_request_error", "code": "resource_missing",
            "param": "starting_after"}});
        return (StatusCode::BAD_REQUEST, error);
    };
    if *list == List::Payments && !expands {
        for object in &mut part.objects {
            object.as_object_mut().unwrap().remove("payments");
        }
    }
    let page = json!({
        "object": "list", "url": "/v1/list", "has_more": part.has_more, "data": part.objects,
    });
    (StatusCode::OK, page)
}

/// A page of what a customer is entitled to, newest last.
/// <https://docs.stripe.com/api/entitlements/active-entitlement/list>
fn features(objects: &dyn Objects, question: &Question, most: usize) -> (StatusCode, Value) {
    let customer = question.id.as_deref().unwrap_or_default();
    if objects.get(List::Customers, customer).is_none() {
        return missing();
    }
    let kept = objects.get(List::Features, customer);
    let all = kept.as_ref().and_then(|it| it["data"].as_array());
    let all = all.map_or(&[][..], Vec::as_slice);
    let asked = |name: &str| question.query.get(name);
    let limit: usize = asked("limit").map_or(10, |it| it.parse().unwrap());
    let after = asked("starting_after").map_or(0, |after| {
        1 + all.iter().position(|it| it["id"] == **after).unwrap()
    });
    let rest = &all[after..];
    let page = &rest[..rest.len().min(limit.min(most))];
    let page = json!({
        "object": "list", "url": "/v1/entitlements/active_entitlements",
        "has_more": page.len() < rest.len(), "data": page,
    });
    (StatusCode::OK, page)
}

/// No such path.
pub(super) fn no_path() -> (StatusCode, Value) {
    let error = json!({"error": {"type": "invalid_request_error"}});
    (StatusCode::NOT_FOUND, error)
}

fn missing() -> (StatusCode, Value) {
    let error = json!({"error": {"type": "invalid_request_error", "code": "resource_missing"}});
    (StatusCode::NOT_FOUND, error)
}
