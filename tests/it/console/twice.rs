//! Forms that are sent twice, as a browser without scripts does when a button is pressed twice.

use serde_json::json;

use super::asks;
use super::visit::{Answer, Visit};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

on_both_stores! {
    what_a_form_makes_is_made_once,
    one_that_is_sent_while_the_first_runs_gets_the_same_answer,
    one_that_was_refused_may_be_sent_again,
    forms_that_set_a_state_are_no_others_answer,
    every_form_that_is_sent_twice_is_answered_alike_and_acts_once,
}

/// Forms without a key, and why: each sets a state, which is so already when the form comes again, and may
/// be meant once more when the state has changed since.
const WITHOUT_KEY: [&str; 16] = [
    "/customers/{id}/act/{act} suspend",
    "/customers/{id}/act/{act} freeze",
    "/customers/{id}/act/{act} expire",
    "/customers/{id}/act/{act} reactivate",
    "/customers/{id}/link",
    "/hooks/{id}/act/{act} enable",
    "/hooks/{id}/act/{act} disable",
    "/licenses/{id}/act/{act} revoke",
    "/licenses/{id}/act/{act} reinstate",
    "/licenses/{id}/act/{act} renew",
    "/licenses/{id}/act/{act} limit",
    "/packages",
    "/packages/declare",
    "/pause",
    "/plans",
    "/policy",
];

/// A form that makes something.
struct Making {
    /// The page that it is on.
    page: String,
    /// Where it goes.
    action: String,
    fields: Vec<(&'static str, &'static str)>,
    /// The list of the API that has what was made.
    list: String,
}

/// The key in the form with this action; `None` if it has none.
async fn key_on(visit: &Visit, page: &str, action: &str) -> Option<String> {
    let text = visit.page(page).await;
    let form = format!("method=\"post\" action=\"{action}\"");
    let (_, rest) = text.split_once(&form).unwrap_or_else(|| panic!("{text}"));
    let (form, _) = rest.split_once("</form>").unwrap();
    let (_, rest) = form.split_once("name=\"idempotency_key\" value=\"")?;
    rest.split('"').next().map(str::to_owned)
}

async fn sent(visit: &Visit, making: &Making, key: &str) -> Answer {
    let key = ("idempotency_key", key);
    let fields: Vec<_> = making.fields.iter().copied().chain([key]).collect();
    visit.post(&making.action, &fields).await
}

async fn count(server: &TestServer, list: &str) -> usize {
    let (status, all) = server.get(list).await;
    assert_eq!(status, 200, "{list}: {all}");
    all["data"].as_array().unwrap().len()
}

async fn customer(server: &TestServer) -> String {
    let body = json!({"name": "Ann"});
    let (status, made) = server.call("POST", "/api/v1/customers", Some(body)).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

fn token_of(id: &str) -> Making {
    Making {
        page: format!("/console/customers/{id}"),
        action: format!("/console/customers/{id}/tokens"),
        fields: vec![("name", "ci")],
        list: format!("/api/v1/customers/{id}/tokens"),
    }
}

fn all(id: &str) -> Vec<Making> {
    let own = |place: &str, list: &str, fields| Making {
        page: format!("/console/{place}"),
        action: format!("/console/{place}"),
        fields,
        list: format!("/api/v1/{list}"),
    };
    vec![
        token_of(id),
        Making {
            page: format!("/console/customers/{id}"),
            action: format!("/console/customers/{id}/licenses"),
            fields: vec![("product", "desktop")],
            list: format!("/api/v1/licenses?customer_id={id}"),
        },
        own(
            "admins",
            "admin-tokens",
            vec![("name", "eve"), ("role", "viewer")],
        ),
        own(
            "hooks",
            "apps/default/hooks",
            vec![("url", "https://hooks.example/x"), ("body", "full")],
        ),
        Making {
            page: "/console/endpoints".to_owned(),
            action: "/console/endpoints/secrets".to_owned(),
            fields: vec![
                ("provider", "stripe"),
                ("secret", "whsec_ANOTHER0123456789abcdef"),
            ],
            list: "/api/v1/apps/default/endpoints/stripe/secrets".to_owned(),
        },
    ]
}

async fn what_a_form_makes_is_made_once(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = customer(&server).await;
    let owner = Visit::owner(&server).await;
    for mut making in all(&id) {
        let action = &making.action;
        let before = count(&server, &making.list).await;
        let key = key_on(&owner, &making.page, action).await.unwrap();
        let first = sent(&owner, &making, &key).await;
        assert!([200, 303].contains(&first.status), "{action}: {first:?}");
        let second = sent(&owner, &making, &key).await;
        assert_eq!(second.status, first.status, "{action}");
        assert_eq!(second.location(), first.location(), "{action}");
        assert_eq!(second.text, first.text, "{action}");
        assert_eq!(count(&server, &making.list).await, before + 1, "{action}");

        // The form of the page that is loaded next is another one.
        let next = key_on(&owner, &making.page, action).await.unwrap();
        assert_ne!(next, key, "{action}");
        for (name, value) in &mut making.fields {
            // A secret that the endpoint has would be refused.
            if *name == "secret" {
                *value = "whsec_THIRD0123456789abcdef00";
            }
        }
        sent(&owner, &making, &next).await;
        assert_eq!(
            count(&server, &making.list).await,
            before + 2,
            "{}",
            making.action
        );
    }

    // So is one that was filled in anew, and one of somebody else.
    let mut making = token_of(&id);
    let before = count(&server, &making.list).await;
    sent(&owner, &making, "one key").await.page();
    making.fields = vec![("name", "another")];
    sent(&owner, &making, "one key").await.page();
    let admin = Visit::with_role(&server, "admin").await;
    sent(&admin, &making, "one key").await.page();
    assert_eq!(count(&server, &making.list).await, before + 3);
    server.stop_and_give_back().await;
}

async fn one_that_is_sent_while_the_first_runs_gets_the_same_answer(engine: Engine) {
    let server = TestServer::start(engine).await;
    let making = token_of(&customer(&server).await);
    let owner = Visit::owner(&server).await;
    let before = count(&server, &making.list).await;
    let press = || sent(&owner, &making, "pressed twice");
    let (one, two, three) = tokio::join!(press(), press(), press());
    let one = one.page();
    assert_eq!(two.page(), one);
    assert_eq!(three.page(), one);
    assert_eq!(count(&server, &making.list).await, before + 1);
    server.stop_and_give_back().await;
}

async fn one_that_was_refused_may_be_sent_again(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = customer(&server).await;
    let owner = Visit::owner(&server).await;
    let giving = Making {
        page: format!("/console/customers/{id}/grant?package=acme/tool"),
        action: format!("/console/customers/{id}/grant"),
        fields: vec![("package", "acme/tool")],
        list: format!("/api/v1/customers/{id}/packages"),
    };
    let key = key_on(&owner, &giving.page, &giving.action).await.unwrap();
    let path = format!("/api/v1/customers/{id}?soft=true");
    assert_eq!(server.call("DELETE", &path, None).await.0, 204);
    let refused = sent(&owner, &giving, &key).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    // Were it kept, the answer would be marked as one that is repeated.
    let again = sent(&owner, &giving, &key).await;
    assert_eq!(again.status, 409, "{}", again.text);
    assert!(!again.headers.contains_key("idempotency-replayed"));
    // A form of another session reaches no answer at all.
    let making = token_of(&customer(&server).await);
    let made = sent(&owner, &making, "a key").await.page();
    let fields = [
        ("csrf", "x"),
        ("app", "default"),
        ("name", "ci"),
        ("idempotency_key", "a key"),
    ];
    let forged = owner.send(&making.action, &fields, &[]).await;
    assert_eq!(forged.status, 403, "{}", forged.text);
    assert_ne!(forged.text, made);
    server.stop_and_give_back().await;
}

async fn forms_that_set_a_state_are_no_others_answer(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = customer(&server).await;
    let owner = Visit::owner(&server).await;
    let tokens = format!("/api/v1/customers/{id}/tokens");
    let body = json!({"name": "ci"});
    let (_, made) = server.call("POST", &tokens, Some(body)).await;
    let token = format!(
        "/console/customers/{id}/tokens/{}",
        made["id"].as_str().unwrap()
    );
    let rotate = format!("{token}/rotate");
    assert!(key_on(&owner, &rotate, &rotate).await.is_some());
    let suspend = format!("/console/customers/{id}/act/suspend");
    assert_eq!(key_on(&owner, &suspend, &suspend).await, None);
    for _ in 0..2 {
        assert_eq!(owner.post(&suspend, &[]).await.status, 303);
    }
    // An app that waits twice has waited once, and goes on once.
    for act in ["/console/pause", "/console/resume"] {
        assert_eq!(key_on(&owner, "/console/overview", act).await, None);
        for _ in 0..2 {
            assert_eq!(owner.post(act, &[]).await.status, 303, "{act}");
        }
    }
    server.stop_and_give_back().await;
}

async fn every_form_that_is_sent_twice_is_answered_alike_and_acts_once(engine: Engine) {
    let server = TestServer::start(engine).await;
    let begin = asks::furnish(&server).await;
    let owner = Visit::owner(&server).await;
    let found = asks::walk(&owner, &asks::acts(), begin).await;
    let mut found: Vec<_> = found.into_iter().collect();
    assert!(found.len() > 40, "{}", found.len());
    found.sort_by_key(|(name, _)| asks::late(name));
    let mut wrong = Vec::new();
    for (number, (name, act)) in found.iter().enumerate() {
        let has_key = act.fields.iter().any(|(name, _)| name == "idempotency_key");
        if has_key == WITHOUT_KEY.contains(&name.trim_end()) {
            wrong.push(format!("{name}: has a key: {has_key}"));
        }
        let reason = format!("twice {number}");
        let audited = async || {
            let (_, audit) = server.get("/api/v1/audit?page_size=100").await;
            let entries = audit["data"].as_array().unwrap().iter();
            let ours = entries.filter(|it| it["details"]["reason"] == reason.as_str());
            ours.count()
        };
        let first = act.send(&owner, &reason).await;
        let entries = audited().await;
        let second = act.send(&owner, &reason).await;
        // What was refused for what stands against it here is refused again.
        if first.status != second.status {
            wrong.push(format!(
                "{name}: {} {}, then {} {}",
                first.status, first.text, second.status, second.text
            ));
        }
        if audited().await != entries {
            wrong.push(format!("{name}: acted twice"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.stop_and_give_back().await;
}
