//! Forms that are sent twice, as a browser without scripts does when a button is pressed twice.

use serde_json::json;

use super::visit::{Answer, Visit};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

on_both_stores! {
    what_a_form_makes_is_made_once,
    one_that_is_sent_while_the_first_runs_gets_the_same_answer,
    one_that_was_refused_may_be_sent_again,
    forms_that_set_a_state_are_no_others_answer,
}

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
    ]
}

async fn what_a_form_makes_is_made_once(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = customer(&server).await;
    let owner = Visit::owner(&server).await;
    for making in all(&id) {
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
        sent(&owner, &making, &next).await;
        assert_eq!(count(&server, &making.list).await, before + 2, "{action}");
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
    for path in [
        format!("{token}/revoke"),
        format!("/console/customers/{id}/act/suspend"),
    ] {
        assert_eq!(key_on(&owner, &path, &path).await, None, "{path}");
    }
    server.stop_and_give_back().await;
}
