//! Activations of licences: places that machines take and give back.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use super::rig::{Answer, NOW, ROOT, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

/// A licence that was sold to somebody.
struct Sold {
    customer: String,
    path: String,
    key: String,
}

async fn sold(rig: &Rig, limit: Option<u32>) -> Sold {
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let body = json!({"customer_id": id_of(&customer), "product": "Tool",
        "activations_limit": limit});
    let made = rig.post("/licenses", body).await.expect(201);
    assert_eq!(made["activations_limit"], json!(limit));
    Sold {
        customer: path_of(&customer),
        path: format!("/licenses/{}", id_of(&made)),
        key: made["key"].as_str().unwrap().to_owned(),
    }
}

async fn activate(rig: &Rig, key: &str, fingerprint: &str) -> Answer {
    let body = json!({"key": key, "fingerprint": fingerprint});
    rig.post("/licenses/activate", body).await
}

async fn deactivate(rig: &Rig, key: &str, fingerprint: &str) -> Value {
    let body = json!({"key": key, "fingerprint": fingerprint});
    rig.post("/licenses/deactivate", body).await.expect(200)
}

async fn code(rig: &Rig, key: &str, fingerprint: Option<&str>) -> String {
    let body = json!({"key": key, "fingerprint": fingerprint});
    let asked = rig.post("/licenses/validate", body).await.expect(200);
    asked["code"].as_str().unwrap().to_owned()
}

/// The fingerprints that are active, the newest first.
async fn active(rig: &Rig, path: &str) -> Vec<String> {
    let list = rig.get(&format!("{path}/activations")).await.expect(200);
    let rows = list["data"].as_array().unwrap().iter();
    rows.map(|it| it["fingerprint"].as_str().unwrap().to_owned())
        .collect()
}

async fn a_place_is_taken_and_given_back(engine: Engine) {
    let rig = Rig::start(engine).await;
    let Sold { path, key, .. } = sold(&rig, Some(2)).await;
    let body = json!({"key": key.to_lowercase(), "fingerprint": "one", "name": "Ada's laptop"});
    let answer = rig.post("/licenses/activate", body).await;
    let location = answer.header("location").to_owned();
    let first = answer.expect(201);
    let id = id_of(&first);
    assert_eq!(location, format!("/api/v1{path}/activations"));
    let mut expected = json!({"id": id, "license_id": path.replace("/licenses/", ""),
        "fingerprint": "one", "name": "Ada's laptop", "created_at": "2026-01-05T12:00:00.000Z"});
    let list = rig.get(&format!("{path}/activations")).await.expect(200);
    assert_eq!(list["data"], json!([expected]));
    expected["product"] = json!("Tool");
    expected["activations_limit"] = json!(2);
    expected["activations"] = json!(1);
    expected["changed"] = json!(true);
    assert_eq!(first, expected);

    // A key of another product is as unknown as one that nobody has.
    for path in ["/licenses/activate", "/licenses/validate"] {
        let body = |product| json!({"key": key, "fingerprint": "one", "product": product});
        rig.post(path, body("Tool")).await.expect(200);
        let other = rig.post(path, body("Other")).await.body;
        let code = ["license_not_found", "license_unknown"];
        assert!(code.contains(&other["code"].as_str().unwrap()), "{other}");
    }

    // As it is repeated after an answer that was lost.
    let again = activate(&rig, &key, "one").await;
    assert_eq!(again.header("location"), "");
    expected["changed"] = json!(false);
    assert_eq!(again.expect(200), expected, "with the name that it has");

    rig.pass(1);
    assert_eq!(
        activate(&rig, &key, "two").await.expect(201)["activations"],
        2
    );
    let full = activate(&rig, &key, "three").await;
    let full = full.refused(409, "activations_full");
    let detail = full["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("2 of 2 activations are taken"),
        "{detail}"
    );
    activate(&rig, &key, "One")
        .await
        .refused(409, "activations_full");
    assert_eq!(active(&rig, &path).await, ["two", "one"]);
    let walk = rig
        .get(&format!("{path}/activations?cursor=&page_size=1"))
        .await
        .expect(200);
    assert_eq!(walk["data"][0]["fingerprint"], "two");
    let next = walk["meta"]["next_cursor"].as_str().unwrap();
    let walk = rig.get(&format!("{path}/activations?cursor={next}")).await;
    assert_eq!(walk.expect(200)["data"][0]["fingerprint"], "one");

    let freed = deactivate(&rig, &key, "one").await;
    let expected = json!({"license_id": path.replace("/licenses/", ""), "activations_limit": 2,
        "activations": 1, "changed": true});
    assert_eq!(freed, expected);
    let again = deactivate(&rig, &key, "one").await;
    assert_eq!(
        (&again["changed"], &again["activations"]),
        (&json!(false), &json!(1))
    );
    let third = activate(&rig, &key, "three").await.expect(201);

    let one = format!("{path}/activations/{}", id_of(&third));
    rig.delete(&one).await.expect(204);
    rig.delete(&one).await.refused(404, "activation_not_found");
    let gone = format!("{path}/activations/x");
    rig.delete(&gone).await.refused(404, "activation_not_found");
    assert_eq!(active(&rig, &path).await, ["two"]);
    let shown = rig.get(&path).await.expect(200);
    let counted = (&shown["activations"], &shown["activations_limit"]);
    assert_eq!(counted, (&json!(1), &json!(2)));
    let listed = rig.get("/licenses").await.expect(200);
    assert_eq!(listed["data"][0], shown);
}

async fn a_limit_holds_however_many_ask_at_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    let Sold { path, key, .. } = sold(&rig, Some(5)).await;
    let machines: Vec<String> = (0..20).map(|it| format!("machine-{it}")).collect();
    let asked = machines.iter().map(|it| activate(&rig, &key, it));
    let mut answers = BTreeMap::new();
    for answer in join_all(asked).await {
        if answer.status != 201 {
            assert_eq!(answer.body["code"], "activations_full", "{}", answer.body);
        }
        *answers.entry(answer.status).or_insert(0) += 1;
    }
    assert_eq!(answers, BTreeMap::from([(201, 5), (409, 15)]));
    assert_eq!(active(&rig, &path).await.len(), 5);

    // One machine, twenty times.
    let Sold { path, key, .. } = sold(&rig, Some(5)).await;
    let asked = (0..20).map(|_| activate(&rig, &key, "one"));
    let statuses: Vec<u16> = join_all(asked).await.iter().map(|it| it.status).collect();
    let new = statuses.iter().filter(|it| **it == 201).count();
    let same = statuses.iter().filter(|it| **it == 200).count();
    assert_eq!((new, same), (1, 19), "{statuses:?}");
    assert_eq!(active(&rig, &path).await, ["one"]);
}

async fn a_limited_licence_is_valid_where_it_is_active(engine: Engine) {
    let rig = Rig::start(engine).await;
    let Sold { path, key, .. } = sold(&rig, Some(1)).await;
    assert_eq!(code(&rig, &key, Some("one")).await, "activation_missing");
    assert_eq!(code(&rig, &key, None).await, "ok", "by itself");
    let made = activate(&rig, &key, "one").await.expect(201);
    assert_eq!(code(&rig, &key, Some("one")).await, "ok");
    assert_eq!(code(&rig, &key, Some("two")).await, "activation_missing");
    let body = json!({"key": key, "fingerprint": "one"});
    let asked = rig.post("/licenses/validate", body).await.expect(200);
    assert_eq!(asked["activation_id"], made["id"]);
    let counted = (&asked["activations"], &asked["activations_limit"]);
    assert_eq!(counted, (&json!(1), &json!(1)));
    let unknown = rig
        .post(
            "/licenses/validate",
            json!({"key": "K", "fingerprint": "one"}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&unknown["code"], &unknown["activations"]),
        (&json!("license_unknown"), &Value::Null)
    );

    // A lower limit takes nobody's place.
    let limit = async |limit: Value| {
        let body = json!({"activations_limit": limit});
        let changed = rig.as_admin(ROOT, "PATCH", &path, Some(body)).await;
        changed.expect(200)
    };
    assert_eq!(limit(json!(3)).await["changed"], true);
    assert_eq!(limit(json!(3)).await["changed"], false);
    activate(&rig, &key, "two").await.expect(201);
    assert_eq!(limit(json!(1)).await["activations"], 2);
    assert_eq!(code(&rig, &key, Some("two")).await, "ok");
    let full = activate(&rig, &key, "three").await;
    let full = full.refused(409, "activations_full");
    assert!(
        full["detail"].as_str().unwrap().starts_with("2 of 1 "),
        "{full}"
    );
    deactivate(&rig, &key, "one").await;
    activate(&rig, &key, "three")
        .await
        .refused(409, "activations_full");

    assert_eq!(limit(Value::Null).await["activations_limit"], Value::Null);
    assert_eq!(code(&rig, &key, Some("three")).await, "ok", "anywhere");
    activate(&rig, &key, "three").await.expect(201);
    let audit = rig.get("/audit?operation=license_change").await.expect(200);
    let details = &audit["data"][0]["details"];
    let told = (&details["from"], &details["to"]);
    let expected = (
        &json!({"activations_limit": 1}),
        &json!({"activations_limit": null}),
    );
    assert_eq!(told, expected);
}

async fn what_is_not_valid_is_activated_nowhere(engine: Engine) {
    let rig = Rig::start(engine).await;
    let Sold {
        customer,
        path,
        key,
    } = sold(&rig, Some(3)).await;
    for machine in ["one", "two"] {
        activate(&rig, &key, machine).await.expect(201);
    }
    let refused = async |expected: &str| {
        // Before anything about activations.
        for machine in ["one", "new"] {
            activate(&rig, &key, machine).await.refused(409, expected);
            assert_eq!(code(&rig, &key, Some(machine)).await, expected);
        }
    };
    let act = async |path: String| rig.post(&path, json!({})).await.expect(200);
    act(format!("{path}/revoke")).await;
    refused("license_revoked").await;
    assert_eq!(deactivate(&rig, &key, "two").await["changed"], true);
    act(format!("{path}/reinstate")).await;
    act(format!("{customer}/suspend")).await;
    refused("customer_suspended").await;
    act(format!("{customer}/expire")).await;
    refused("customer_expired").await;
    act(format!("{customer}/reactivate")).await;
    let end = json!({"expires_at": "2026-01-06T00:00:00Z"});
    rig.as_admin(ROOT, "PATCH", &path, Some(end))
        .await
        .expect(200);
    rig.pass(86_400);
    refused("license_expired").await;
    let later = rig.post(&format!("{path}/renew"), json!({"days": 1})).await;
    later.expect(200);
    assert_eq!(
        code(&rig, &key, Some("one")).await,
        "ok",
        "the place was kept"
    );
}

async fn a_key_that_nobody_has_names_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let Sold { path, key, .. } = sold(&rig, Some(3)).await;
    activate(&rig, "K", "one")
        .await
        .refused(404, "license_not_found");
    let body = json!({"key": "K", "fingerprint": "one"});
    let answer = rig.post("/licenses/deactivate", body).await;
    answer.refused(404, "license_not_found");
    let nowhere = "/licenses/lic_1/activations";
    rig.get(nowhere).await.refused(404, "license_not_found");

    let long = "x".repeat(256);
    for (body, field) in [
        (json!({"key": key}), "fingerprint"),
        (json!({"fingerprint": "one"}), "key"),
        (json!({"key": key, "fingerprint": " "}), "fingerprint"),
        (json!({"key": key, "fingerprint": "a\nb"}), "fingerprint"),
        (json!({"key": key, "fingerprint": long}), "fingerprint"),
        (
            json!({"key": key, "fingerprint": "one", "name": ""}),
            "name",
        ),
        (json!({"key": key, "fingerprint": "one", "seat": 1}), "seat"),
    ] {
        let answer = rig.post("/licenses/activate", body.clone()).await;
        let problem = answer.refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    for call in ["validate", "deactivate"] {
        let body = json!({"key": key, "fingerprint": ""});
        let answer = rig.post(&format!("/licenses/{call}"), body).await;
        let problem = answer.refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], "fingerprint", "{call}");
    }
    for limit in [json!(0), json!(10_001), json!(-1), json!(1.5), json!("2")] {
        let customer = rig.customer(json!({"name": "Acme"})).await;
        let body = json!({"customer_id": id_of(&customer), "product": "Tool",
            "activations_limit": limit});
        let problem = rig.post("/licenses", body).await;
        let problem = problem.refused(422, "body_invalid");
        assert_eq!(
            problem["errors"][0]["field"], "activations_limit",
            "{limit}"
        );
    }
    assert_eq!(active(&rig, &path).await, Vec::<String>::new());
}

async fn another_key_keeps_the_places(engine: Engine) {
    let rig = Rig::start(engine).await;
    let Sold { path, key, .. } = sold(&rig, Some(1)).await;
    let tag = async || {
        let bearer = format!("Bearer {ROOT}");
        let headers = [("authorization", bearer.as_str())];
        let path = format!("/api/v1{path}");
        rig.send("GET", &path, &headers, None)
            .await
            .header("etag")
            .to_owned()
    };
    let first = tag().await;
    activate(&rig, &key, "one").await.expect(201);
    assert_eq!(
        tag().await,
        first,
        "an act of an admin is not out of date by that"
    );
    let body = json!({"activations_limit": 2});
    rig.as_admin(ROOT, "PATCH", &path, Some(body))
        .await
        .expect(200);
    assert_ne!(tag().await, first);

    let reissued = rig.post(&format!("{path}/reissue"), json!({})).await;
    let reissued = reissued.expect(200);
    assert_eq!(reissued["activations"], 1);
    let new = reissued["key"].as_str().unwrap();
    assert_eq!(code(&rig, new, Some("one")).await, "ok");
    activate(&rig, &key, "one")
        .await
        .refused(404, "license_not_found");
    rig.delete(&path).await.expect(204);
    let list = rig.get(&format!("{path}/activations")).await;
    list.refused(404, "license_not_found");
}

async fn places_are_those_of_one_app(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"slug": "other", "name": "Other"});
    rig.post("/apps", body).await.expect(201);
    let token = rig.admin("admin", Some("other")).await;
    let viewer = rig.admin("viewer", None).await;
    let Sold { path, key, .. } = sold(&rig, Some(1)).await;
    let active_one = activate(&rig, &key, "one").await.expect(201);
    let place = Some(json!({"key": key, "fingerprint": "one"}));
    for (method, call, body) in [
        ("POST", "/licenses/activate".to_owned(), place.clone()),
        ("POST", "/licenses/deactivate".to_owned(), place.clone()),
        ("GET", format!("{path}/activations"), None),
        (
            "DELETE",
            format!("{path}/activations/{}", id_of(&active_one)),
            None,
        ),
    ] {
        let theirs = rig.as_admin(&token, method, &call, body.clone()).await;
        theirs.refused(404, "license_not_found");
        let read = rig.as_admin(&viewer, method, &call, body).await;
        if method == "GET" {
            read.expect(200);
        } else {
            read.refused(403, "role_insufficient");
        }
    }
    // One of another licence is not reached through this one.
    let other = sold(&rig, Some(1)).await;
    let wrong = format!("{}/activations/{}", other.path, id_of(&active_one));
    rig.delete(&wrong)
        .await
        .refused(404, "activation_not_found");
    activate(&rig, &other.key, "one").await.expect(201);
    assert_eq!(active(&rig, &path).await, ["one"]);
}

async fn the_dialect_of_apps_has_the_same_places_in_other_clothes(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.post("/apps", json!({"slug": "my-app", "name": "Mine"}))
        .await
        .expect(201);
    let customer = rig
        .post("/apps/my-app/customers", json!({"email": "jane@x.com"}))
        .await
        .expect(201);
    let licenses = "/apps/my-app/licenses";
    let body = json!({"customer_id": id_of(&customer["data"]), "product": "Tool", "key": "K",
        "activations_limit": 1});
    let made = rig.post(licenses, body).await.expect(201)["data"].clone();
    let place = |fingerprint: &str| json!({"key": "K", "fingerprint": fingerprint});
    let taken = rig
        .post(&format!("{licenses}/activate"), place("one"))
        .await;
    let activations = format!("{licenses}/{}/activations", id_of(&made));
    let location = taken.header("location").to_owned();
    let taken = taken.expect(201)["data"].clone();
    assert_eq!(location, format!("/api/v1{activations}"));
    let full = rig
        .post(&format!("{licenses}/activate"), place("two"))
        .await;
    full.refused(409, "activations_full");
    let asked = rig
        .post(&format!("{licenses}/validate"), place("two"))
        .await;
    assert_eq!(asked.expect(200)["data"]["code"], "activation_missing");
    let list = rig.get(&activations).await.expect(200);
    assert_eq!(list["data"][0]["id"], taken["id"]);
    assert_eq!(list["meta"], json!({"total": 1, "page": 1, "per_page": 20}));
    let freed = rig
        .post(&format!("{licenses}/deactivate"), place("one"))
        .await;
    assert_eq!(freed.expect(200)["data"]["changed"], true);
    let again = rig
        .post(&format!("{licenses}/activate"), place("two"))
        .await;
    let again = again.expect(201)["data"].clone();
    rig.delete(&format!("{activations}/{}", id_of(&again)))
        .await
        .expect(204);
    let nobody = activate(&rig, "K", "one").await;
    nobody.refused(404, "license_not_found");
}

async fn the_audit_names_ids_only(engine: Engine) {
    let rig = Rig::start(engine).await;
    let Sold { path, key, .. } = sold(&rig, Some(1)).await;
    let made = activate(&rig, &key, "secret-machine").await.expect(201);
    deactivate(&rig, &key, "secret-machine").await;
    let audit = rig.get("/audit").await.expect(200);
    let told = |index: usize| {
        let entry = &audit["data"][index];
        (entry["operation"].clone(), entry["details"].clone())
    };
    let license = path.replace("/licenses/", "");
    let details =
        |from: u64, to: u64| json!({"id": made["id"], "license": license, "from": from, "to": to});
    assert_eq!(told(0), (json!("activation_delete"), details(1, 0)));
    assert_eq!(told(1), (json!("activation_add"), details(0, 1)));
    assert!(!audit.to_string().contains("secret-machine"));
}

const PLAN: &str = "/plans/stripe/price_basic";

/// Sets what the price that `sub_1` pays gives.
async fn sells(rig: &Rig, limit: Option<u32>) {
    let license = json!({"product": "Tool", "activations_limit": limit});
    let body = json!({"packages": [], "licenses": [license]});
    let put = rig.put(PLAN, body).await;
    assert!(put.status < 300, "{}", put.body);
    let expected = limit.map_or(json!({"product": "Tool"}), |_| license);
    assert_eq!(put.body["licenses"], json!([expected]));
}

async fn a_plan_says_how_many_places_its_licences_have(engine: Engine) {
    let rig = Rig::selling(engine).await;
    sells(&rig, Some(1)).await;
    let event = |number: i64, event_type: &str, status: &str| {
        let subscription = stripe_subscription("sub_1", "cus_1", status);
        let event_type = format!("customer.subscription.{event_type}");
        let id = format!("evt_{number}");
        stripe_event(&id, &event_type, NOW + number, subscription)
    };
    rig.happens(&event(1, "created", "active")).await;
    let license = rig.get("/licenses").await.expect(200)["data"][0].clone();
    assert_eq!(license["activations_limit"], 1);
    let (path, key) = (
        format!("/licenses/{}", id_of(&license)),
        license["key"].as_str().unwrap().to_owned(),
    );
    let limit = async || rig.get(&path).await.expect(200)["activations_limit"].clone();
    activate(&rig, &key, "one").await.expect(201);
    activate(&rig, &key, "two")
        .await
        .refused(409, "activations_full");

    // A change of the plan counts at once.
    sells(&rig, Some(2)).await;
    assert_eq!(limit().await, 2);
    activate(&rig, &key, "two").await.expect(201);
    sells(&rig, Some(1)).await;
    assert_eq!(code(&rig, &key, Some("two")).await, "ok");
    activate(&rig, &key, "three")
        .await
        .refused(409, "activations_full");
    sells(&rig, None).await;
    assert_eq!(limit().await, Value::Null);
    activate(&rig, &key, "three").await.expect(201);

    // That of the licence itself counts before the plan's.
    let body = json!({"activations_limit": 4});
    rig.as_admin(ROOT, "PATCH", &path, Some(body))
        .await
        .expect(200);
    sells(&rig, Some(1)).await;
    assert_eq!(limit().await, 4);
    let body = json!({"activations_limit": null});
    let back = rig.as_admin(ROOT, "PATCH", &path, Some(body)).await;
    assert_eq!(back.expect(200)["activations_limit"], 1);

    // What does not give it now keeps its limit, and its places.
    rig.put("/policy", json!({"suspend_after": "0d"}))
        .await
        .expect(200);
    rig.happens(&event(2, "updated", "past_due")).await;
    assert_eq!(limit().await, 1);
    let held = activate(&rig, &key, "four").await;
    held.refused(409, "customer_suspended");
    rig.happens(&event(3, "updated", "active")).await;
    assert_eq!(code(&rig, &key, Some("one")).await, "ok");
}

on_both_stores! {
    a_place_is_taken_and_given_back,
    a_limit_holds_however_many_ask_at_once,
    a_limited_licence_is_valid_where_it_is_active,
    what_is_not_valid_is_activated_nowhere,
    a_key_that_nobody_has_names_nothing,
    another_key_keeps_the_places,
    places_are_those_of_one_app,
    the_dialect_of_apps_has_the_same_places_in_other_clothes,
    the_audit_names_ids_only,
    a_plan_says_how_many_places_its_licences_have,
}
