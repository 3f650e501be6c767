//! The settings of an app: through the API, and by the environment of the app `default`.

use serde_json::{Value, json};
use tollgate::domain::app_settings::SettingsLayer;
use tollgate::domain::id::AppSlug;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::setup::{Environment, prepare};
use tollgate::store::Actor;

use super::rig::{ROOT, Rig};
use crate::support::stores::{Engine, on_both_stores};

async fn patch(rig: &Rig, app: &str, body: Value) -> crate::admin_api::rig::Answer {
    let path = format!("/apps/{app}");
    rig.as_admin(ROOT, "PATCH", &path, Some(body)).await
}

/// Starts a server anew whose environment names these connected accounts.
async fn restart(rig: &Rig, connected_accounts: Option<&[&str]>) {
    let order = Order {
        app: AppSlug::default_app(),
        actor: Actor::Operator,
        now: rig.now(),
        reason: None,
    };
    let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let environment = Environment {
        settings: SettingsLayer {
            connected_accounts: connected_accounts.map(named),
            ..SettingsLayer::default()
        },
        ..Environment::default()
    };
    prepare(&rig.store, &order, Some(&environment))
        .await
        .unwrap();
}

async fn connected_accounts_are_named_and_unnamed(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.post("/apps", json!({"slug": "acme", "name": "Acme"}))
        .await
        .expect(201);
    let named = json!({"connected_accounts": ["acct_2", "acct_1", "acct_2"]});
    let shown = patch(&rig, "acme", named).await.expect(200);
    assert_eq!(shown["connected_accounts"], json!(["acct_1", "acct_2"]));
    assert_eq!(shown["name"], "Acme");
    let shown = patch(&rig, "acme", json!({"name": "New"}))
        .await
        .expect(200);
    assert_eq!(shown["connected_accounts"], json!(["acct_1", "acct_2"]));
    assert_eq!(shown, rig.get("/apps/acme").await.expect(200));
    let other = rig.get("/apps/default").await.expect(200);
    assert_eq!(other["connected_accounts"], json!([]));
    let cleared = patch(&rig, "acme", json!({"connected_accounts": null})).await;
    assert_eq!(cleared.expect(200)["connected_accounts"], json!([]));

    let wrong = json!({"name": "", "connected_accounts": ["acct_1", "ACCT_1", "cus_1", "acct_"]});
    let wrong = patch(&rig, "acme", wrong).await;
    let errors = wrong.refused(422, "body_invalid")["errors"].clone();
    let fields: Vec<&Value> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["field"])
        .collect();
    assert_eq!(
        fields,
        [
            "name",
            "connected_accounts[1]",
            "connected_accounts[2]",
            "connected_accounts[3]"
        ]
    );
    let said = "`ACCT_1` is not a connected account (`acct_` in lower case, then letters, digits and \
                `_`)";
    assert_eq!(errors[1]["message"], said);
    let text = patch(&rig, "acme", json!({"connected_accounts": "acct_1"})).await;
    text.refused(422, "body_invalid");
    let many: Vec<String> = (0..1_001).map(|number| format!("acct_{number}")).collect();
    let many = patch(&rig, "acme", json!({"connected_accounts": many})).await;
    many.refused(422, "body_invalid");
    patch(&rig, "none", json!({"name": "A"}))
        .await
        .refused(404, "app_not_found");
}

async fn what_the_environment_says_is_read_only(engine: Engine) {
    let rig = Rig::start(engine).await;
    let ours = json!({"connected_accounts": ["acct_1"]});
    patch(&rig, "default", ours.clone()).await.expect(200);
    restart(&rig, Some(&["acct_2"])).await;
    let shown = rig.get("/apps/default").await.expect(200);
    assert_eq!(shown["connected_accounts"], json!(["acct_2"]));
    patch(&rig, "default", ours)
        .await
        .refused(409, "setting_read_only");
    patch(&rig, "default", json!({"name": "Shop"}))
        .await
        .expect(200);
    restart(&rig, None).await;
    let shown = rig.get("/apps/default").await.expect(200);
    assert_eq!(shown["connected_accounts"], json!(["acct_1"]));
    let audit = rig.get("/audit?operation=app_settings").await.expect(200);
    assert_eq!(audit["meta"]["total"], 3);
}

on_both_stores! {
    connected_accounts_are_named_and_unnamed,
    what_the_environment_says_is_read_only,
}
