//! Every call that changes something takes a reason: as its description says, in the body or in the
//! query. That it stands in the audit, `audit_walk` sees: it makes every call for a reason.

use std::collections::BTreeSet;
use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::rig::{ROOT, Rig};
use super::walls::Town;
use crate::support::description::document;
use crate::support::stores::{Engine, on_both_stores};

const PLACE: &str = "/api/v1";

/// The changing calls that take no reason, and why.
const WITHOUT: [(&str, &str, &str); 8] = [
    ("POST", "/licenses/activate", PROGRAMS),
    ("POST", "/licenses/deactivate", PROGRAMS),
    ("POST", "/licenses/validate", ASKS),
    ("POST", "/apps/{slug}/licenses/activate", PROGRAMS),
    ("POST", "/apps/{slug}/licenses/deactivate", PROGRAMS),
    ("POST", "/apps/{slug}/licenses/validate", ASKS),
    ("POST", "/constraints/evaluate", ASKS),
    ("POST", "/policy/simulate", ASKS),
];
const PROGRAMS: &str = "a program asks, on a customer's machine: there is nobody who has a reason";
const ASKS: &str = "it only asks and changes nothing";

/// Where a call takes its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Body,
    Query,
}

impl Taken {
    /// The path and the body with a reason.
    pub(super) fn put(self, path: &mut String, body: &mut Option<Value>, reason: &str) {
        match self {
            Self::Body => {
                let body = body.get_or_insert_with(|| Value::Object(Map::new()));
                body["reason"] = json!(reason);
            }
            Self::Query => {
                let mark = if path.contains('?') { '&' } else { '?' };
                let text = utf8_percent_encode(reason, NON_ALPHANUMERIC);
                write!(path, "{mark}reason={text}").unwrap();
            }
        }
    }
}

fn resolved(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str() {
        Some(name) => document().pointer(&name[1..]).unwrap(),
        None => schema,
    }
}

/// Where a call takes its reason, as its description says.
pub(super) fn taken(method: &str, route: &str) -> Option<Taken> {
    let described = &document()["paths"][format!("{PLACE}{route}")][method.to_lowercase()];
    assert!(described.is_object(), "{method} {route}");
    let mut parameters = described["parameters"].as_array().into_iter().flatten();
    if parameters.any(|it| it["name"] == "reason" && it["in"] == "query") {
        return Some(Taken::Query);
    }
    let body = &described["requestBody"]["content"]["application/json"]["schema"];
    let reason = resolved(body)["properties"].get("reason")?;
    assert_eq!(reason["maxLength"], 255, "{method} {route}: {reason}");
    Some(Taken::Body)
}

/// The calls that may change something.
fn changing() -> Vec<(String, String)> {
    let routes = super::tenants::routes().into_iter();
    routes.filter(|(method, _)| method != "GET").collect()
}

#[test]
fn every_changing_call_takes_one_or_says_why_not() {
    let mut without: BTreeSet<(String, String)> = changing().into_iter().collect();
    without.retain(|(method, route)| taken(method, route).is_none());
    let named = WITHOUT.map(|(method, route, _)| (method.to_owned(), route.to_owned()));
    assert_eq!(without, BTreeSet::from(named));
}

async fn one_that_is_no_line_is_refused_everywhere(engine: Engine) {
    let town = Town::start(engine).await;
    let before = town.seen_by_one().await;
    let long = "x".repeat(256);
    let mut refused = 0;
    for (method, route) in changing() {
        let Some(taken) = taken(&method, &route) else {
            continue;
        };
        for reason in ["", &long] {
            let mut path = town.things.path(&route);
            let mut body = town.things.body(&method, &route);
            taken.put(&mut path, &mut body, reason);
            let answer = town.rig.as_admin(&town.one, &method, &path, body).await;
            assert_eq!(answer.status, 422, "{method} {path}: {}", answer.body);
            let errors = answer.body["errors"].as_array().unwrap();
            let fields: Vec<_> = errors.iter().map(|it| it["field"].as_str()).collect();
            assert!(
                fields.contains(&Some("reason")),
                "{method} {path}: {fields:?}"
            );
            refused += 1;
        }
    }
    assert!(refused > 120, "{refused}");
    assert!(town.seen_by_one().await == before, "something changed");
}

async fn one_in_a_query_stands_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig
        .post("/customers", json!({"name": "Ada"}))
        .await
        .expect(201);
    let path = format!("/customers/{}", made["id"].as_str().unwrap());
    let twice = rig
        .delete(&format!("{path}?reason=a&soft=true&reason=b"))
        .await;
    assert_eq!(twice.status, 422, "{}", twice.body);
    assert_eq!(twice.body["errors"][0]["field"], "reason");
    // It belongs to changes: nothing else reads it.
    let read = rig.get(&format!("{path}?reason=a")).await;
    assert_eq!(read.status, 200, "{}", read.body);
    rig.delete(&format!("{path}?soft=true&reason=asked+for+by+mail"))
        .await
        .expect(204);
    let audit = rig.get("/audit").await.expect(200);
    assert_eq!(audit["data"][0]["details"]["reason"], "asked for by mail");
}

async fn merchants_give_one_too(engine: Engine) {
    const ALL: &str = "/api/customers";
    let rig = Rig::start(engine).await;
    let bearer = format!("Bearer {ROOT}");
    let headers = [("authorization", bearer.as_str())];
    let said = async |operation: &str| {
        let list = format!("/audit?operation={operation}");
        let audit = rig.get(&list).await.expect(200);
        audit["data"][0]["details"]["reason"].clone()
    };

    let body = json!({"email": "ada@acme.example", "reason": "signed at the fair"});
    let made = rig.send("POST", ALL, &headers, Some(body)).await;
    let made = made.expect(201);
    assert_eq!(said("create").await, "signed at the fair");
    let one = format!("{ALL}/{}", made["customer"]["id"].as_str().unwrap());

    let body = json!({"name": "Ada", "reason": "asked by mail"});
    let updated = rig.send("POST", &one, &headers, Some(body)).await;
    assert_eq!(updated.expect(200)["customer"]["name"], "Ada");
    assert_eq!(said("update_profile").await, "asked by mail");

    // Without one nothing is said, and what is no line is refused in this dialect's own form.
    let body = json!({"name": "Eve"});
    rig.send("POST", &one, &headers, Some(body))
        .await
        .expect(200);
    assert_eq!(said("update_profile").await, Value::Null);
    for (method, path, body) in [
        (
            "POST",
            ALL,
            Some(json!({"email": "b@acme.example", "reason": ""})),
        ),
        ("POST", &one, Some(json!({"name": "Bob", "reason": "a\nb"}))),
        ("DELETE", &format!("{one}?reason="), None),
    ] {
        let refused = rig.send(method, path, &headers, body).await.expect(400);
        assert_eq!(refused["details"][0]["field"], "reason", "{method} {path}");
    }

    let path = format!("{one}?reason=left+us");
    rig.send("DELETE", &path, &headers, None).await.expect(200);
    assert_eq!(said("delete").await, "left us");
}

on_both_stores! {
    merchants_give_one_too,
    one_that_is_no_line_is_refused_everywhere,
    one_in_a_query_stands_once,
}
