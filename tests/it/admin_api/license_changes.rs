//! Licences after they were issued: another end, other metadata, another key, none of it.

use serde_json::{Value, json};

use super::rig::{Answer, ROOT, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};

const DAY: u64 = 86_400;
/// No tag of anything.
const OLD: &str = "\"00000000000000000000000000000000\"";

/// Issues a licence; its path and its key.
async fn issued(rig: &Rig, expires_at: Option<&str>) -> (String, String) {
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let body = json!({"customer_id": id_of(&customer), "product": "Tool",
        "expires_at": expires_at, "metadata": {"seats": 5}});
    let made = rig.post("/licenses", body).await.expect(201);
    let key = made["key"].as_str().unwrap().to_owned();
    (format!("/licenses/{}", id_of(&made)), key)
}

async fn patch(rig: &Rig, path: &str, body: Value) -> Answer {
    rig.as_admin(ROOT, "PATCH", path, Some(body)).await
}

async fn code(rig: &Rig, key: &str) -> String {
    let asked = rig.post("/licenses/validate", json!({"key": key})).await;
    asked.expect(200)["code"].as_str().unwrap().to_owned()
}

async fn an_end_and_metadata_are_changed_and_cleared(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (path, key) = issued(&rig, Some("2026-02-01T00:00:00Z")).await;
    let change = async |body: Value| patch(&rig, &path, body).await.expect(200);
    let shown = |license: &Value| (license["expires_at"].clone(), license["metadata"].clone());

    let changed = change(json!({"expires_at": "2026-03-01T12:00:00+02:00"})).await;
    let end = json!("2026-03-01T10:00:00.000Z");
    assert_eq!(shown(&changed), (end.clone(), json!({"seats": 5})));
    assert_eq!(changed["changed"], true);
    let same = change(json!({"expires_at": "2026-03-01T10:00:00Z"})).await;
    assert_eq!(same["changed"], false);
    assert_eq!(change(json!({})).await["changed"], false);
    let changed = change(json!({"metadata": {"note": "x"}})).await;
    assert_eq!(shown(&changed), (end, json!({"note": "x"})));
    let cleared = change(json!({"expires_at": null, "metadata": null})).await;
    assert_eq!(shown(&cleared), (Value::Null, json!({})));
    let mut read = rig.get(&path).await.expect(200);
    read["changed"] = json!(true);
    assert_eq!(read, cleared);

    rig.pass(400 * DAY);
    assert_eq!(code(&rig, &key).await, "ok", "it never ends");
    for (body, field) in [
        (json!({"expires_at": "tomorrow"}), "expires_at"),
        (json!({"expires_at": "2026-01-01T00:00:00Z"}), "expires_at"),
        (json!({"metadata": []}), "metadata"),
        (json!({"activations_limit": 0}), "activations_limit"),
        (json!({"activations_limit": 10_001}), "activations_limit"),
        (json!({"activations_limit": "5"}), "activations_limit"),
        (json!({"product": "Other"}), "product"),
        (json!({"key": "K"}), "key"),
    ] {
        let refused = patch(&rig, &path, body.clone()).await;
        let problem = refused.refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    let nobody = patch(&rig, "/licenses/lic_1", json!({})).await;
    nobody.refused(404, "license_not_found");
}

async fn a_renewal_counts_from_the_end_or_from_now(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (path, key) = issued(&rig, Some("2026-02-01T00:00:00Z")).await;
    let renew = format!("{path}/renew");
    let renewed = async |body: Value| {
        let answer = rig.post(&renew, body).await.expect(200);
        answer["expires_at"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        renewed(json!({"days": 28})).await,
        "2026-03-01T00:00:00.000Z"
    );
    let until = json!({"expires_at": "2026-04-01T00:00:00Z"});
    assert_eq!(renewed(until.clone()).await, "2026-04-01T00:00:00.000Z");
    let again = rig.post(&renew, until).await.expect(200);
    assert_eq!(again["changed"], false);

    // 2026-07-24T12:00:00Z, months after the end.
    rig.pass(200 * DAY);
    assert_eq!(code(&rig, &key).await, "license_expired");
    rig.post(&format!("{path}/revoke"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        renewed(json!({"days": 1})).await,
        "2026-07-25T12:00:00.000Z"
    );
    assert_eq!(
        code(&rig, &key).await,
        "license_revoked",
        "it stays revoked"
    );
    rig.post(&format!("{path}/reinstate"), json!({}))
        .await
        .expect(200);
    assert_eq!(code(&rig, &key).await, "ok");

    let later = "2026-08-01T00:00:00Z";
    for (body, field) in [
        (json!({}), "expires_at"),
        (json!({"days": 0}), "days"),
        (json!({"days": 36_501}), "days"),
        (json!({"days": -1}), "days"),
        (json!({"days": 1, "expires_at": later}), "days"),
        (json!({"expires_at": "2026-07-25T00:00:00Z"}), "expires_at"),
        (json!({"expires_at": null}), "expires_at"),
    ] {
        let refused = rig.post(&renew, body.clone()).await;
        let problem = refused.refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    let (endless, _) = issued(&rig, None).await;
    let refused = rig
        .post(&format!("{endless}/renew"), json!({"days": 1}))
        .await;
    refused.refused(409, "license_endless");
}

async fn a_reissued_licence_has_another_key(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (path, old) = issued(&rig, None).await;
    let reissued = rig.post(&format!("{path}/reissue"), json!({})).await;
    let reissued = reissued.expect(200);
    let new = reissued["key"].as_str().unwrap();
    assert_ne!(new, old);
    assert_eq!(rig.get(&path).await.expect(200), reissued);
    assert_eq!(code(&rig, &old).await, "license_unknown");
    assert_eq!(
        code(&rig, &new.to_lowercase()).await,
        "ok",
        "it was made here"
    );
}

async fn a_deleted_licence_frees_its_key(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let body = json!({"customer_id": id_of(&customer), "product": "Tool", "key": "OLD-KEY"});
    let made = rig.post("/licenses", body.clone()).await.expect(201);
    let path = format!("/licenses/{}", id_of(&made));
    rig.delete(&path).await.expect(204);
    rig.get(&path).await.refused(404, "license_not_found");
    rig.delete(&path).await.refused(404, "license_not_found");
    assert_eq!(code(&rig, "OLD-KEY").await, "license_unknown");
    let again = rig.post("/licenses", body).await.expect(201);
    assert_ne!(again["id"], made["id"]);
    assert_eq!(code(&rig, "OLD-KEY").await, "ok");
}

async fn each_change_is_made_of_the_state_that_was_read(engine: Engine) {
    let rig = Rig::start(engine).await;
    let bearer = format!("Bearer {ROOT}");
    for base in ["/api/v1", "/api/v1/apps/default"] {
        let (path, _) = issued(&rig, Some("2026-02-01T00:00:00Z")).await;
        let one = format!("{base}{path}");
        let headers = [("authorization", bearer.as_str())];
        let read = rig.send("GET", &one, &headers, None).await;
        let first = read.header("etag").to_owned();
        let mut tag = first.clone();
        assert!(!tag.is_empty(), "{base}");
        for (method, end, body) in [
            ("PATCH", "", json!({"metadata": {"seats": 6}})),
            ("PATCH", "", json!({"activations_limit": 5})),
            ("POST", "/renew", json!({"days": 3})),
            ("POST", "/reissue", json!({})),
            ("POST", "/revoke", json!({})),
            ("POST", "/reinstate", json!({})),
            ("DELETE", "", json!(null)),
        ] {
            let (asked, body) = (format!("{one}{end}"), Some(body).filter(|it| !it.is_null()));
            let place = format!("{method} {asked}");
            let send = async |tag: &str| {
                let headers = [headers[0], ("if-match", tag)];
                rig.send(method, &asked, &headers, body.clone()).await
            };
            for stale in [OLD, first.as_str()] {
                if stale != tag {
                    send(stale).await.refused(412, "precondition_failed");
                }
            }
            let done = send(&tag).await;
            assert!(done.status < 300, "{place}: {}", done.body);
            let next = done.header("etag").to_owned();
            if method != "DELETE" {
                let now = rig.send("GET", &one, &headers, None).await;
                assert_eq!(now.header("etag"), next, "{place}");
                assert_ne!(next, tag, "{place}");
                tag = next;
            }
        }
    }
}

on_both_stores! {
    an_end_and_metadata_are_changed_and_cleared,
    a_renewal_counts_from_the_end_or_from_now,
    a_reissued_licence_has_another_key,
    a_deleted_licence_frees_its_key,
    each_change_is_made_of_the_state_that_was_read,
}
