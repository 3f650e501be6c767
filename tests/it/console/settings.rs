//! Policy, endpoints, packages, admins and the audit.

use super::visit::{Visit, buys};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

on_both_stores! {
    a_policy_is_simulated_and_then_applied,
    a_secret_is_rotated_with_two_in_use,
    packages_admins_and_the_audit_are_shown,
}

async fn a_policy_is_simulated_and_then_applied(engine: Engine) {
    let server = TestServer::start(engine).await;
    buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let form = owner.page("/console/policy").await;
    assert!(
        form.contains("name=\"suspend_after\" value=\"7d\""),
        "{form}"
    );
    let forecast = owner
        .page("/console/policy?on_end=expire&suspend_after=3d&end_after=30d")
        .await;
    assert!(forecast.contains("nobody would change"), "{forecast}");
    assert!(forecast.contains("7d → <b>3d</b>") && forecast.contains("freeze → <b>expire</b>"));
    assert!(!forecast.contains("<code>end_after</code>"), "{forecast}");
    let (_, policy) = server.get("/api/v1/policy").await;
    assert_eq!(policy["suspend_after"], "7d", "looking changed nothing");
    let applied = owner
        .post(
            "/console/policy",
            &[("on_end", "expire"), ("suspend_after", "3d")],
        )
        .await;
    assert_eq!(
        applied.location(),
        "/console/policy?done=put",
        "{}",
        applied.text
    );
    let (_, policy) = server.get("/api/v1/policy").await;
    assert_eq!(
        (&policy["suspend_after"], &policy["on_end"]),
        (&"3d".into(), &"expire".into())
    );
    let wrong = owner.get("/console/policy?suspend_after=soon").await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    server.stop_and_give_back().await;
}

async fn a_secret_is_rotated_with_two_in_use(engine: Engine) {
    let server = TestServer::start(engine).await;
    let owner = Visit::owner(&server).await;
    for secret in [
        "whsec_FIRST0123456789abcdef",
        "whsec_SECOND0123456789abcdef",
    ] {
        let fields = [("provider", "stripe"), ("secret", secret), ("mode", "any")];
        let added = owner.post("/console/endpoints/secrets", &fields).await;
        assert_eq!(
            added.location(),
            "/console/endpoints?done=add",
            "{}",
            added.text
        );
        assert!(!owner.page("/console/endpoints").await.contains(secret));
    }
    let page = owner.page("/console/endpoints").await;
    assert_eq!(page.matches("badge good\">current<").count(), 2, "{page}");
    let (_, secrets) = server
        .get("/api/v1/apps/default/endpoints/stripe/secrets")
        .await;
    let oldest = secrets["data"].as_array().unwrap().last().unwrap();
    let id = oldest["id"].as_str().unwrap();
    let fields = [("provider", "stripe"), ("id", id)];
    let retired = owner.post("/console/endpoints/act/retire", &fields).await;
    assert_eq!(
        retired.location(),
        "/console/endpoints?done=retire",
        "{}",
        retired.text
    );
    let page = owner.page("/console/endpoints").await;
    assert!(page.contains("badge warn\">retiring<"), "{page}");
    let removed = owner.post("/console/endpoints/act/remove", &fields).await;
    assert_eq!(
        removed.location(),
        "/console/endpoints?done=remove",
        "{}",
        removed.text
    );
    let wrong = [("provider", "stripe"), ("secret", "sk_live_0123456789")];
    let refused = owner.post("/console/endpoints/secrets", &wrong).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(!refused.text.contains("sk_live_0123456789"));
    let types = owner.page("/console/endpoints?types=stripe").await;
    assert!(
        types.contains("invoice.paid") && types.contains("never came"),
        "{types}"
    );
    server.stop_and_give_back().await;
}

async fn packages_admins_and_the_audit_are_shown(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let fields = [
        ("package", "acme/tool"),
        ("version", "1.2.0"),
        ("released_at", "2026-01-02"),
    ];
    let named = owner.post("/console/packages", &fields).await;
    let page = owner.page(named.location()).await;
    assert!(
        page.contains("<b>1.2.0</b>") && page.contains("2026-01-02"),
        "{page}"
    );

    let fields = [("name", "Support"), ("role", "viewer"), ("days", "30")];
    let made = owner.post("/console/admins", &fields).await.page();
    let (_, rest) = made.split_once("id=\"secret\">").unwrap();
    let token = rest.split('<').next().unwrap();
    Visit::sign_in(&server.base, token).await;
    assert!(owner.page("/console/admins").await.contains("Support"));
    let (_, tokens) = server.get("/api/v1/admin-tokens").await;
    let token_id = tokens["data"][0]["id"].as_str().unwrap();
    let revoked = owner
        .post(&format!("/console/admins/{token_id}/revoke"), &[])
        .await;
    assert_eq!(revoked.location(), "/console/admins", "{}", revoked.text);

    let audit = owner.page(&format!("/console/audit?customer={id}")).await;
    assert!(
        audit.contains("Customer made") && audit.contains("webhook evt_known_cus_1"),
        "{audit}"
    );
    let admins = owner.page("/console/audit?actor=admin").await;
    assert!(
        admins.contains("release_add") && !admins.contains("Customer made"),
        "{admins}"
    );
    let ordered = owner
        .post("/console/reconciles", &[("provider", "stripe")])
        .await;
    assert_eq!(ordered.status, 409, "no API key: {}", ordered.text);
    let overview = owner.page("/console/overview").await;
    assert!(
        overview.contains("data-poll") && overview.contains("1 active"),
        "{overview}"
    );
    server.stop_and_give_back().await;
}
