//! `?app=`: who owns all apps names the one that is meant, anywhere.

use serde_json::{Value, json};

use super::rig::{NOW, ROOT, Rig, path_of};
use super::walls::{Things, Town, in_order};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

/// A path with one more parameter.
fn with_app(path: &str, app: &str) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}app={app}")
}

async fn whoever_owns_all_apps_reads_one_as_its_owner(engine: Engine) {
    let town = Town::start(engine).await;
    let mut read = 0;
    for (route, theirs) in town.seen_by_one().await {
        // It says of the queue more to those who own everything.
        if route == "/stats" {
            continue;
        }
        let path = with_app(&town.things.path(&route), "one");
        for token in [ROOT, &town.one] {
            let named = town.rig.as_admin(token, "GET", &path, None).await;
            assert_eq!(named.expect(200), theirs, "{path}");
        }
        read += 1;
    }
    assert!(read > 30, "{read}");
}

async fn an_app_that_is_not_there_or_not_the_tokens_is_not_found(engine: Engine) {
    let town = Town::start(engine).await;
    let before = town.seen_by_one().await;
    for (method, route) in super::tenants::routes() {
        let (path, body) = (town.things.path(&route), town.things.body(&method, &route));
        for (token, app) in [
            (ROOT, "none"),
            (ROOT, "No%20Slug"),
            (&town.one, "two"),
            (&town.one, "none"),
        ] {
            let path = with_app(&path, app);
            let asked = town.rig.as_admin(token, &method, &path, body.clone()).await;
            assert_eq!(
                asked.body["code"], "app_not_found",
                "{method} {path}: {}",
                asked.body
            );
            assert_eq!(asked.status, 404, "{method} {path}");
            let detail = asked.body["detail"].as_str().unwrap();
            let names_it = detail.contains(&format!("`{app}`"));
            assert_eq!(names_it, !app.contains('%'), "{method} {path}: {detail}");
        }
    }
    assert_eq!(town.seen_by_one().await, before);
}

async fn a_path_that_names_no_app_is_not_found_by_its_name(engine: Engine) {
    let rig = Rig::start(engine).await;
    let missing = Things::missing();
    let mut asked = 0;
    for (method, route) in in_order() {
        if !route.starts_with("/apps/{slug}") {
            continue;
        }
        let (path, body) = (missing.path(&route), missing.body(&method, &route));
        let answer = rig.as_admin(ROOT, &method, &path, body).await;
        assert_eq!(answer.status, 404, "{method} {route}: {}", answer.body);
        assert_eq!(answer.body["code"], "app_not_found", "{method} {route}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("`none`"), "{method} {route}: {detail}");
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
}

/// What an owner of an app gets for every route, one after the other, in a town of his own.
async fn walked(engine: Engine, asker: &str, of_all_apps: bool) -> Vec<(String, u16, Value)> {
    let town = Town::start(engine).await;
    let owner = if asker == "one" { &town.one } else { &town.two };
    let mut routes = in_order();
    // What is read is there still, and the app itself goes last.
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    routes.sort_by_key(|(method, route)| {
        let of_app = method == "DELETE" && route == "/apps/{slug}";
        (of_app, methods.iter().position(|it| it == method))
    });
    let mut answers = Vec::new();
    for (method, route) in routes {
        let answer = if of_all_apps && route != "/stats" {
            let path = with_app(&town.things.path(&route), asker);
            let body = town.things.body(&method, &route);
            town.rig.as_admin(ROOT, &method, &path, body).await
        } else {
            town.ask(owner, (&method, &route), &town.things).await
        };
        let name = format!("{method} {route}");
        if asker == "two" && answer.status < 300 {
            for theirs in ["Ada", "ada@x.com", "evt_1", "\"one\""] {
                let shown = answer.body.to_string();
                assert!(!shown.contains(theirs), "{name} shows {theirs}: {shown}");
            }
        }
        answers.push((name, answer.status, answer.body["code"].clone()));
    }
    answers
}

async fn each_route_answers_who_names_an_app_as_it_answers_its_owner(engine: Engine) {
    for app in ["one", "two"] {
        let owned = walked(engine, app, false).await;
        let named = walked(engine, app, true).await;
        assert!(owned.len() > 100, "{}", owned.len());
        for (owned, named) in owned.iter().zip(&named) {
            assert_eq!(owned, named, "in {app}");
        }
        let done = owned.iter().filter(|(_, status, _)| *status < 300).count();
        assert!(done > 30, "{done} routes did something in {app}");
    }
}

async fn what_is_done_with_an_app_is_done_in_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.post("/apps", json!({"slug": "acme", "name": "Acme"}))
        .await
        .expect(201);
    let made = rig
        .post("/customers?app=acme", json!({"name": "Ada"}))
        .await;
    let location = made.header("location").to_owned();
    let ada = made.expect(201);
    assert_eq!(ada["app"], "acme");
    assert_eq!(location, format!("/api/v1{}?app=acme", path_of(&ada)));
    let path = path_of(&ada);
    rig.get(&path).await.refused(404, "customer_not_found");
    rig.get(&with_app(&path, "default"))
        .await
        .refused(404, "customer_not_found");
    let path = with_app(&path, "acme");
    assert_eq!(rig.get(&path).await.expect(200)["name"], "Ada");
    let renamed = Some(json!({"name": "Eve"}));
    rig.as_admin(ROOT, "PATCH", &path, renamed)
        .await
        .expect(200);
    rig.post(&format!("{}/suspend?app=acme", path_of(&ada)), json!({}))
        .await
        .expect(200);
    let audit = rig
        .get("/audit?app=acme&operation=suspend")
        .await
        .expect(200);
    assert_eq!(audit["meta"]["total"], 1);

    // A walk goes on in its app alone.
    rig.post("/customers?app=acme", json!({"name": "Bob"}))
        .await
        .expect(201);
    let first = rig
        .get("/customers?app=acme&cursor=&page_size=1")
        .await
        .expect(200);
    let next = first["meta"]["next_cursor"].as_str().unwrap();
    let on = rig
        .get(&format!("/customers?cursor={next}&page_size=1&app=acme"))
        .await
        .expect(200);
    assert_eq!(on["data"][0]["name"], "Eve");
    rig.get(&format!("/customers?cursor={next}"))
        .await
        .refused(422, "query_invalid");

    // The other dialects and other roles.
    let bearer = format!("Bearer {ROOT}");
    let headers = [("authorization", bearer.as_str())];
    let body = json!({"email": "m@x.com"});
    let merchant = rig
        .send("POST", "/api/customers?app=acme", &headers, Some(body))
        .await;
    let location = merchant.header("location").to_owned();
    merchant.expect(201);
    rig.send("GET", &location, &headers, None).await.expect(200);
    let listed = rig
        .send("GET", "/api/customers", &headers, None)
        .await
        .expect(200);
    assert_eq!(listed["customers"], json!([]));
    rig.get("/apps/acme/customers?app=acme").await.expect(200);
    rig.get("/apps/acme/customers?app=default")
        .await
        .refused(404, "app_not_found");
    let viewer = rig.admin("viewer", None).await;
    rig.as_admin(&viewer, "GET", &path, None).await.expect(200);
    let refused = rig
        .as_admin(
            &viewer,
            "POST",
            "/customers?app=acme",
            Some(json!({"name": "x"})),
        )
        .await;
    refused.refused(403, "role_insufficient");

    // Tokens are of the app that is named, and so are events and their figures.
    let token = json!({"name": "x", "role": "viewer"});
    let token = rig.post("/admin-tokens?app=acme", token).await.expect(201);
    assert_eq!(token["app"], "acme");
    let account = stripe_customer("cus_1", "c@x.com");
    let event = stripe_event("evt_1", "customer.created", NOW - 9, account);
    rig.happens_in("acme", &event).await;
    assert_eq!(
        rig.get("/events?app=acme").await.expect(200)["meta"]["total"],
        1
    );
    assert_eq!(rig.get("/events").await.expect(200)["meta"]["total"], 0);
    assert_eq!(rig.get("/stats?app=acme").await.expect(200)["app"], "acme");
}

on_both_stores! {
    whoever_owns_all_apps_reads_one_as_its_owner,
    an_app_that_is_not_there_or_not_the_tokens_is_not_found,
    a_path_that_names_no_app_is_not_found_by_its_name,
    each_route_answers_who_names_an_app_as_it_answers_its_owner,
    what_is_done_with_an_app_is_done_in_it,
}
