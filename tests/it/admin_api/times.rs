//! Times: kept with every digit, shown in one form, limited at both ends.

use serde_json::{Value, json};

use super::rig::{NOW, ROOT, Rig, basic, id_of, path_of};
use crate::support::description::is_shown_time;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

/// A customer, a licence, a token, a grant, a release and a subscription, all at odd nanoseconds.
async fn everything(rig: &Rig) -> Value {
    rig.pass_nanos(123_456_789);
    let own = json!({"since": "2026-01-05T12:00:00Z"});
    let body = json!({"name": "Ada", "email": "ada@x.com", "metadata": own});
    let customer = rig.customer(body).await;
    let path = path_of(&customer);
    let end = "2027-02-01T00:00:00.987654321Z";
    let token = json!({"name": "ci", "expires_at": end});
    rig.post(&format!("{path}/tokens"), token).await.expect(201);
    let grant = json!({"package": "a/lib", "expires_at": end});
    rig.post(&format!("{path}/packages"), grant)
        .await
        .expect(201);
    let license = json!({"customer_id": id_of(&customer), "product": "app", "expires_at": end});
    rig.post("/licenses", license).await.expect(201);
    for (version, at) in [
        ("1.0.0", "2026-01-01T00:00:00.5Z"),
        ("1.1.0", "2026-01-01T00:00:00.500000001Z"),
    ] {
        let release = json!({"version": version, "released_at": at});
        rig.post("/packages/a/lib/releases", release)
            .await
            .expect(201);
    }
    let mut subscription = stripe_subscription("sub_1", "cus_1", "active");
    subscription["cancel_at"] = json!(NOW + 90_000);
    let event = stripe_event(
        "evt_1",
        "customer.subscription.created",
        NOW - 9,
        subscription,
    );
    rig.happens(&event).await;
    let freeze = json!({"at": "2026-01-01T00:00:00.5Z"});
    rig.post(&format!("{path}/freeze"), freeze)
        .await
        .expect(200);
    customer
}

async fn every_time_is_shown_in_one_form(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = everything(&rig).await;
    let path = path_of(&customer);
    let mut seen = 0;
    for path in [
        "/audit".to_owned(),
        "/events".to_owned(),
        "/events/evt_1".to_owned(),
        "/customers".to_owned(),
        "/licenses".to_owned(),
        "/packages/a/lib/releases".to_owned(),
        path.clone(),
        format!("{path}/explain"),
        format!("{path}/timeline"),
        format!("{path}/tokens"),
        format!("{path}/packages"),
        format!("{path}/export"),
        "/customers/by-external/cus_1".to_owned(),
        "/apps/default/customers".to_owned(),
    ] {
        let answer = rig.get(&path).await.expect(200);
        check(&answer, &path, &mut seen);
    }
    assert!(seen > 50, "{seen}");
    let shown = rig.get(&path).await.expect(200);
    assert_eq!(shown["created_at"], "2026-01-05T12:00:00.123Z");
    let own = json!({"since": "2026-01-05T12:00:00Z"});
    assert_eq!(shown["metadata"], own, "nobody else's text is touched");
}

/// Checks all texts that begin as a time does, but for the bytes of others and stored rows.
fn check(value: &Value, at: &str, seen: &mut u32) {
    match value {
        Value::Object(fields) => {
            let of_others = ["payload", "metadata", "stored"];
            for (name, value) in fields {
                if !of_others.contains(&name.as_str()) {
                    check(value, &format!("{at} {name}"), seen);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|it| check(it, at, seen)),
        Value::String(text) => {
            for word in text.split([' ', ',', ';']) {
                let word = word.trim_end_matches(['.', ')', ':']);
                if word.starts_with("20") && word.contains('T') && word.contains(':') {
                    assert!(is_shown_time(word), "{at}: {text}");
                    *seen += 1;
                }
            }
        }
        _ => (),
    }
}

async fn what_is_kept_has_every_digit(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = everything(&rig).await;
    let token = basic(customer["token"].as_str().unwrap());
    // Shown alike, and a nanosecond apart.
    for (version, status) in [("1.0.0", 200), ("1.1.0", 403)] {
        let path = format!("/access?package=a/lib&version={version}");
        let headers = [("authorization", token.as_str())];
        let answer = rig.send("GET", &path, &headers, None).await;
        assert_eq!(answer.status, status, "{version}: {}", answer.body);
    }
}

async fn a_time_that_was_shown_is_understood(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = everything(&rig).await;
    let at = customer["created_at"].as_str().unwrap();
    rig.pass_nanos(1_000_000);
    let later = rig.customer(json!({"name": "Bob"})).await;
    let listed = rig
        .get(&format!("/customers?created_after={at}&email="))
        .await
        .expect(200);
    let ids: Vec<&Value> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert_eq!(ids, [&later["id"]], "those after it, and not its own");
    let events = rig.get("/events").await.expect(200);
    let at = events["data"][0]["received_at"].as_str().unwrap();
    let since = rig.get(&format!("/events?since={at}")).await.expect(200);
    assert_eq!(since["meta"]["total"], 1);
}

async fn the_limit_of_times_is_named(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Ada"})).await;
    let tokens = format!("{}/tokens", path_of(&customer));
    for (at, message) in [
        (
            "9999-12-31T23:59:59Z",
            "must be before 2262-04-11T23:47:16Z, the limit of times here",
        ),
        (
            "0001-01-01T00:00:00Z",
            "must be after 1677-09-21T00:12:44Z, the first of times here",
        ),
        ("tomorrow", "must be a time such as 2026-01-31T09:30:00Z"),
    ] {
        let answer = rig
            .post(&tokens, json!({"name": "ci", "expires_at": at}))
            .await
            .refused(422, "body_invalid");
        assert_eq!(answer["errors"][0]["message"], message, "{at}");
        let answer = rig
            .as_admin(ROOT, "GET", &format!("/events?since={at}"), None)
            .await
            .refused(422, "query_invalid");
        assert_eq!(answer["errors"][0]["message"], message, "{at}");
    }
}

on_both_stores! {
    every_time_is_shown_in_one_form,
    what_is_kept_has_every_digit,
    a_time_that_was_shown_is_understood,
    the_limit_of_times_is_named,
}
