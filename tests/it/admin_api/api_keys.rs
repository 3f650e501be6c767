//! Keys of the providers' APIs: set, never shown, of the mode of the webhooks.

use serde_json::json;

use super::rig::Rig;
use crate::support::stores::{Engine, on_both_stores};

const PATH: &str = "/apps/default/endpoints/stripe/api-key";
const LIVE: &str = "rk_live_TESTONLY0123456789abcdef";

async fn a_key_is_set_sealed_and_never_shown(engine: Engine) {
    let rig = Rig::start(engine).await;
    let shown = rig.put(PATH, json!({"key": LIVE})).await.expect(200);
    assert_eq!(
        (&shown["mode"], &shown["provider"]),
        (&json!("live"), &json!("stripe"))
    );
    assert!(!shown.to_string().contains(LIVE), "{shown}");
    let audit = rig.get("/audit?operation=api_key_put").await.expect(200);
    assert_eq!(audit["data"][0]["details"]["to"]["mode"], "live", "{audit}");
    for (place, cell) in rig.place.contents().await {
        let text = String::from_utf8_lossy(&cell);
        assert!(!text.contains(LIVE), "{place}");
    }
    rig.delete(PATH).await.expect(204);
    rig.delete(PATH).await.refused(404, "api_key_not_found");
}

async fn a_key_of_another_mode_than_the_secrets_is_refused(engine: Engine) {
    let rig = Rig::start(engine).await;
    let secret = json!({"secret": "whsec_TESTONLY0123456789abcdef0123456789", "mode": "test"});
    let secrets = "/apps/default/endpoints/stripe/secrets";
    rig.post(secrets, secret).await.expect(201);
    let refused = rig.put(PATH, json!({"key": LIVE})).await;
    let refused = refused.refused(422, "body_invalid");
    assert_eq!(
        refused["errors"][0]["message"],
        "is a live key, and the endpoint's webhook secrets are test ones"
    );
    let test = json!({"key": "sk_test_TESTONLY0123456789abcdef"});
    rig.put(PATH, test).await.expect(200);
}

async fn what_is_no_key_of_the_provider_is_refused_and_only_owners_set_one(engine: Engine) {
    let rig = Rig::start(engine).await;
    for wrong in [
        "",
        "whsec_TESTONLY0123456789abcdef0123456789",
        "pdl_live_apikey_01testonly",
        "pk_live_TESTONLY0123456789",
        "two words",
    ] {
        let refused = rig.put(PATH, json!({"key": wrong})).await;
        let refused = refused.refused(422, "body_invalid");
        assert_eq!(refused["errors"][0]["field"], "key", "{wrong}: {refused}");
    }
    let admin = rig.admin("admin", None).await;
    let body = Some(json!({"key": LIVE}));
    let refused = rig.as_admin(&admin, "PUT", PATH, body).await;
    assert_eq!(refused.status, 403);
    rig.put("/apps/none/endpoints/stripe/api-key", json!({"key": LIVE}))
        .await
        .refused(404, "app_not_found");
}

on_both_stores!(
    a_key_is_set_sealed_and_never_shown,
    a_key_of_another_mode_than_the_secrets_is_refused,
    what_is_no_key_of_the_provider_is_refused_and_only_owners_set_one,
);
