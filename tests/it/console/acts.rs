//! Acts on what a customer holds: each asks first, is audited with its reason, and leads back.

use serde_json::{Value, json};

use super::driver::Browser;
use super::visit::{Visit, buys};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{ADMIN_TOKEN, TestServer};

on_both_stores! {
    a_package_by_hand_is_given_and_taken_back_and_given_again,
    an_account_is_linked_parted_and_linked_again,
    a_token_is_rotated_and_revoked_with_a_reason,
    a_licence_is_issued_revoked_and_reinstated,
    a_licence_is_renewed_limited_freed_and_gets_another_key,
    a_package_is_declared_and_a_release_taken_back,
    a_viewer_is_shown_no_act_and_may_do_none,
}

/// The newest entry of an operation in the audit.
async fn audited(server: &TestServer, operation: &str) -> Value {
    let path = format!("/api/v1/audit?operation={operation}&page_size=1");
    let (_, mut audit) = server.get(&path).await;
    audit["data"][0].take()
}

/// What leads back from what a page says was done.
fn undo_of(page: &str) -> String {
    let (before, _) = page
        .split_once("\">Undo…<")
        .unwrap_or_else(|| panic!("{page}"));
    let (_, link) = before.rsplit_once("href=\"").unwrap();
    link.replace("&#38;", "&")
}

async fn a_package_by_hand_is_given_and_taken_back_and_given_again(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let page = format!("/console/customers/{id}");
    let fields = [
        ("package", "acme/extra"),
        ("constraint", "^2.0"),
        ("expires_at", "2199-01-01"),
        ("billing", "ignore"),
        ("reason", "a <gift>"),
    ];
    let given = owner.post(&format!("{page}/grant"), &fields).await;
    let entry = audited(&server, "grant").await;
    assert_eq!(entry["actor"], "admin:root", "{entry}");
    assert_eq!(entry["details"]["reason"], "a <gift>", "{entry}");
    let done = owner.page(given.location()).await;
    assert!(done.contains("reason: a &#60;gift&#62;"), "{done}");
    // What was just given is taken back by the page that shows what that changes.
    let asking = owner.page(&undo_of(&done)).await;
    assert!(asking.contains("Cannot be installed any more"), "{asking}");
    assert!(asking.contains("acme/extra ^2.0"), "{asking}");
    assert!(
        owner.page(&page).await.contains("acme/extra ^2.0"),
        "asking takes nothing"
    );
    let fields = [("package", "acme/extra"), ("reason", "a mistake")];
    let taken = owner.post(&format!("{page}/revoke"), &fields).await;
    let entry = audited(&server, "revoke").await;
    assert_eq!(entry["details"]["reason"], "a mistake", "{entry}");
    let done = owner.page(taken.location()).await;
    assert!(done.contains("Package taken back."), "{done}");
    let again = owner.page(&undo_of(&done)).await;
    for kept in [
        "value=\"acme/extra\"",
        "value=\"^2.0\"",
        "2199-01-01T00:00:00",
        " checked",
    ] {
        assert!(again.contains(kept), "{kept}: {again}");
    }
    let missing = owner.get(&format!("{page}/revoke?package=acme/none")).await;
    assert_eq!(missing.status, 404, "{}", missing.text);
    server.stop_and_give_back().await;
}

async fn an_account_is_linked_parted_and_linked_again(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let bob = buys(&server, "cus_2", "bob@example.com").await;
    let owner = Visit::owner(&server).await;
    let page = format!("/console/customers/{ann}");
    let fields = [("account", "cus_2"), ("reason", "one person")];
    let linked = owner.post(&format!("{page}/link"), &fields).await;
    let done = owner.page(linked.location()).await;
    assert!(done.contains("Linked."), "{done}");
    let entry = audited(&server, "pin_account").await;
    assert_eq!(entry["details"]["reason"], "one person", "{entry}");
    assert_eq!(server.get(&format!("/api/v1/customers/{bob}")).await.0, 404);

    let asking = owner.page(&undo_of(&done)).await;
    assert!(asking.contains("Part cus_2 from"), "{asking}");
    assert_eq!(
        server.get(&format!("/api/v1/customers/{bob}")).await.0,
        404,
        "asking parts nothing"
    );
    // The list of accounts leads to the same page, and says all that names the account.
    let shown = owner.page(&page).await;
    let link = "/part?account=cus_2&#38;provider=stripe&#38;mode=live";
    assert!(shown.contains(link), "{shown}");
    let fields = [
        ("account", "cus_2"),
        ("provider", "stripe"),
        ("mode", "live"),
        ("reason", "two persons"),
    ];
    let parted = owner.post(&format!("{page}/part"), &fields).await;
    assert!(
        parted
            .location()
            .starts_with(&format!("{page}?done=part&undo=link")),
        "{}",
        parted.text
    );
    // It has the customer back that it had brought along.
    let (status, customer) = server.get(&format!("/api/v1/customers/{bob}")).await;
    assert_eq!(
        (status, &customer["status"]),
        (200, &json!("active")),
        "{customer}"
    );
    let done = owner.page(parted.location()).await;
    let again = owner.page(&undo_of(&done)).await;
    assert!(
        again.contains("value=\"cus_2\"") && again.contains("Link it"),
        "{again}"
    );
    let foreign = owner.get(&format!("{page}/part?account=cus_2")).await;
    assert_eq!(foreign.status, 404, "{}", foreign.text);
    server.stop_and_give_back().await;
}

async fn a_token_is_rotated_and_revoked_with_a_reason(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let page = format!("/console/customers/{id}");
    let fields = [("name", "ci"), ("expires_at", "2001-01-01")];
    let past = owner.post(&format!("{page}/tokens"), &fields).await;
    assert_eq!(past.status, 422, "{}", past.text);
    let fields = [("name", "ci"), ("expires_at", "2199-01-01")];
    owner.post(&format!("{page}/tokens"), &fields).await.page();
    let (_, tokens) = server.get(&format!("/api/v1/customers/{id}/tokens")).await;
    let token = &tokens["data"][0];
    assert_eq!(token["expires_at"], "2199-01-01T00:00:00.000Z", "{token}");
    let of_token = format!("{page}/tokens/{}", token["id"].as_str().unwrap());
    let asking = owner.page(&format!("{of_token}/rotate")).await;
    let prefix = token["prefix"].as_str().unwrap();
    assert!(
        asking.contains(prefix) && asking.contains("never"),
        "{asking}"
    );
    let fields = [("overlap", "0"), ("reason", "it leaked")];
    let rotated = owner
        .post(&format!("{of_token}/rotate"), &fields)
        .await
        .page();
    assert!(
        rotated.contains("The text before does not work any more."),
        "{rotated}"
    );
    let entry = audited(&server, "token_rotate").await;
    assert_eq!(entry["details"]["reason"], "it leaked", "{entry}");
    assert_eq!(entry["details"]["previous_until"], Value::Null, "{entry}");
    let asking = owner.page(&format!("{of_token}/revoke")).await;
    assert!(
        asking.contains("whoever uses it is refused at once"),
        "{asking}"
    );
    let revoked = owner
        .post(
            &format!("{of_token}/revoke"),
            &[("reason", "left the firm")],
        )
        .await;
    assert_eq!(revoked.location(), format!("{page}?done=token"));
    let entry = audited(&server, "token_revoke").await;
    assert_eq!(entry["details"]["reason"], "left the firm", "{entry}");
    assert_eq!(owner.get(&format!("{of_token}/revoke")).await.status, 404);
    server.stop_and_give_back().await;
}

async fn a_licence_is_issued_revoked_and_reinstated(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let fields = [
        ("product", "desktop"),
        ("expires_at", "2190-01-01"),
        ("limit", "2"),
        ("reason", "sold by mail"),
    ];
    let path = format!("/console/customers/{id}/licenses");
    let issued = owner.post(&path, &fields).await;
    let page = issued.location().split('?').next().unwrap().to_owned();
    let entry = audited(&server, "license_create").await;
    assert_eq!(entry["details"]["reason"], "sold by mail", "{entry}");
    let shown = owner.page(&page).await;
    assert!(
        shown.contains("badge good\">valid<") && shown.contains("0 of 2 taken"),
        "{shown}"
    );
    let api = page.replace("/console", "/api/v1");
    let (_, license) = server.get(&api).await;
    let key = license["key"].as_str().unwrap();
    assert!(shown.contains(key), "{shown}");

    let asking = owner.page(&format!("{page}/act/revoke")).await;
    assert!(asking.contains("valid → license_revoked"), "{asking}");
    assert_eq!(
        server.get(&api).await.1["status"],
        "active",
        "asking changes nothing"
    );
    let fields = [("reason", "charged back")];
    let revoked = owner.post(&format!("{page}/act/revoke"), &fields).await;
    let done = owner.page(revoked.location()).await;
    assert!(
        done.contains("Revoked.") && done.contains("charged back"),
        "{done}"
    );
    assert_eq!(server.get(&api).await.1["revoked_reason"], "charged back");
    assert_eq!(undo_of(&done), format!("{page}/act/reinstate"));
    let again = owner.post(&format!("{page}/act/revoke"), &[]).await;
    assert_eq!(again.location(), format!("{page}?done=unchanged"));
    let fields = [("reason", "was an error")];
    let reinstated = owner.post(&format!("{page}/act/reinstate"), &fields).await;
    assert!(
        reinstated.location().contains("undo=revoke"),
        "{}",
        reinstated.text
    );
    let entry = audited(&server, "license_reinstate").await;
    assert_eq!(entry["details"]["reason"], "was an error", "{entry}");
    server.stop_and_give_back().await;
}

async fn a_licence_is_renewed_limited_freed_and_gets_another_key(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let fields = [
        ("product", "desktop"),
        ("expires_at", "2190-01-01"),
        ("limit", "2"),
    ];
    let path = format!("/console/customers/{id}/licenses");
    let issued = owner.post(&path, &fields).await;
    let page = issued.location().split('?').next().unwrap().to_owned();
    let api = page.replace("/console", "/api/v1");
    let (_, license) = server.get(&api).await;
    let key = license["key"].as_str().unwrap();
    for fingerprint in ["one", "two"] {
        let body = json!({"key": key, "fingerprint": fingerprint});
        let activate = "/api/v1/licenses/activate";
        assert_eq!(server.call("POST", activate, Some(body)).await.0, 201);
    }
    let asking = owner
        .page(&format!("{page}/act/renew?expires_at=2191-01-01"))
        .await;
    assert!(
        asking.contains("2190-01-01T00:00:00.000Z → 2191-01-01T00:00:00.000Z"),
        "{asking}"
    );
    let fields = [("expires_at", "2191-01-01")];
    let renewed = owner.post(&format!("{page}/act/renew"), &fields).await;
    assert_eq!(renewed.location(), format!("{page}?done=renew"));
    let earlier = owner
        .get(&format!("{page}/act/renew?expires_at=2180-01-01"))
        .await;
    assert_eq!(earlier.status, 422, "{}", earlier.text);
    let limited = owner
        .post(&format!("{page}/act/limit"), &[("limit", "5")])
        .await;
    let done = owner.page(limited.location()).await;
    assert!(done.contains("2 of 5 taken"), "{done}");
    let back = owner.page(&undo_of(&done)).await;
    assert!(back.contains("5 → 2"), "{back}");
    let none = owner
        .post(&format!("{page}/act/limit"), &[("limit", "0")])
        .await;
    assert_eq!(none.status, 422, "{}", none.text);

    let (_, places) = server.get(&format!("{api}/activations")).await;
    let place = places["data"][0]["id"].as_str().unwrap();
    let freed = owner
        .post(&format!("{page}/activations/{place}/free"), &[])
        .await;
    assert_eq!(
        freed.location(),
        format!("{page}?done=free"),
        "{}",
        freed.text
    );
    let asking = owner.page(&format!("{page}/act/free")).await;
    assert!(asking.contains("1 → 0"), "{asking}");
    let fields = [("reason", "a new office")];
    owner.post(&format!("{page}/act/free"), &fields).await;
    let entry = audited(&server, "activation_delete").await;
    let expected = json!({"id": null, "license": license["id"], "from": 1, "to": 0,
        "reason": "a new office"});
    assert_eq!(entry["details"], expected, "{entry}");
    assert_eq!(server.get(&api).await.1["activations"], 0);

    let rekeyed = owner.post(&format!("{page}/act/reissue"), &[]).await.page();
    let (_, license) = server.get(&api).await;
    assert_ne!(license["key"], key);
    assert!(
        rekeyed.contains(license["key"].as_str().unwrap()),
        "{rekeyed}"
    );
    let deleted = owner.post(&format!("{page}/act/delete"), &[]).await;
    assert_eq!(
        deleted.location(),
        format!("/console/customers/{id}?done=license")
    );
    assert_eq!(owner.get(&page).await.status, 404);
    assert_eq!(owner.get(&format!("{page}/act/vanish")).await.status, 404);
    server.stop_and_give_back().await;
}

async fn a_package_is_declared_and_a_release_taken_back(engine: Engine) {
    let server = TestServer::start(engine).await;
    let owner = Visit::owner(&server).await;
    let fields = [
        ("package", "acme/tool"),
        ("version", "1.0.0"),
        ("released_at", "2026-01-01"),
        ("reason", "a press kit"),
    ];
    owner.post("/console/packages", &fields).await;
    let entry = audited(&server, "release_add").await;
    assert_eq!(entry["details"]["reason"], "a press kit", "{entry}");
    let asking = "/console/packages/declare?package=acme%2Ftool&versions=semver";
    let asking = owner.page(asking).await;
    assert!(asking.contains("composer → semver"), "{asking}");
    assert!(asking.contains("1 releases"), "{asking}");
    let (_, package) = server.get("/api/v1/packages/acme/tool").await;
    assert_eq!(package["versions"], "composer", "asking changes nothing");
    let fields = [
        ("package", "acme/tool"),
        ("versions", "semver"),
        ("reason", "it is an npm package"),
    ];
    let declared = owner.post("/console/packages/declare", &fields).await;
    let entry = audited(&server, "package_put").await;
    assert_eq!(
        entry["details"]["reason"], "it is an npm package",
        "{entry}"
    );
    let done = owner.page(declared.location()).await;
    assert!(done.contains("Declared."), "{done}");
    let back = owner.page(&undo_of(&done)).await;
    assert!(back.contains("semver → composer"), "{back}");

    let listed = owner.page("/console/packages?package=acme%2Ftool").await;
    let link = "/console/packages/remove?package=acme%2Ftool&#38;version=1%2E0%2E0";
    assert!(listed.contains(link), "{listed}");
    let asking = owner.page(&link.replace("&#38;", "&")).await;
    assert!(asking.contains("2026-01-01T00:00:00.000Z"), "{asking}");
    let fields = [("package", "acme/tool"), ("version", "1.0.0")];
    let removed = owner.post("/console/packages/remove", &fields).await;
    let done = owner.page(removed.location()).await;
    let back = owner.page(undo_of(&done).split('#').next().unwrap()).await;
    assert!(
        back.contains("value=\"1.0.0\"") && back.contains("2026-01-01T"),
        "{back}"
    );
    // There is nothing to read again without a repository, and the page says so.
    let refused = owner.post("/console/packages/refresh", &[]).await;
    assert_eq!(refused.status, 404, "{}", refused.text);
    assert!(
        refused.text.contains("repository_missing"),
        "{}",
        refused.text
    );
    server.stop_and_give_back().await;
}

async fn a_viewer_is_shown_no_act_and_may_do_none(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let page = format!("/console/customers/{id}");
    let owner = Visit::owner(&server).await;
    owner
        .post(&format!("{page}/grant"), &[("package", "acme/extra")])
        .await;
    owner
        .post(&format!("{page}/tokens"), &[("name", "ci")])
        .await;
    let issued = owner
        .post(&format!("{page}/licenses"), &[("product", "desktop")])
        .await;
    let license = issued.location().split('?').next().unwrap().to_owned();
    let (_, tokens) = server.get(&format!("/api/v1/customers/{id}/tokens")).await;
    let token = tokens["data"][0]["id"].as_str().unwrap();
    let viewer = Visit::with_role(&server, "viewer").await;
    for shown in [
        page.as_str(),
        license.as_str(),
        "/console/packages?package=acme/extra",
    ] {
        let text = viewer
            .page(&format!("{shown}?done=grant&undo=revoke&with=package%3Dx"))
            .await;
        for act in [
            "/act/",
            "/part?",
            "/revoke",
            "/rotate",
            "/licenses\"",
            "/declare",
            "/refresh",
        ] {
            assert!(!text.contains(act), "{shown}, {act}: {text}");
        }
        assert!(!text.contains("Undo"), "{text}");
    }
    let (_, found) = server.get(&license.replace("/console", "/api/v1")).await;
    let key = found["key"].as_str().unwrap();
    assert!(
        !viewer.page(&license).await.contains(key),
        "a key is for those who act"
    );
    let acts = [
        format!("{page}/act/suspend"),
        format!("{page}/grant"),
        format!("{page}/revoke"),
        format!("{page}/link"),
        format!("{page}/part"),
        format!("{page}/tokens/{token}/rotate"),
        format!("{page}/tokens/{token}/revoke"),
        format!("{license}/act/revoke"),
        format!("{license}/act/free"),
        "/console/packages/declare".to_owned(),
        "/console/packages/remove".to_owned(),
    ];
    for act in acts {
        let asked = format!("{act}?package=acme/extra&account=cus_1&versions=semver");
        assert_eq!(viewer.get(&asked).await.status, 403, "{act}");
        let fields = [
            ("package", "acme/extra"),
            ("account", "cus_1"),
            ("versions", "semver"),
        ];
        assert_eq!(viewer.post(&act, &fields).await.status, 403, "{act}");
    }
    for act in [
        format!("{page}/licenses"),
        "/console/packages/refresh".to_owned(),
    ] {
        assert_eq!(
            viewer.post(&act, &[("product", "x")]).await.status,
            403,
            "{act}"
        );
    }
    server.stop_and_give_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_customer_holds_is_seen_to_in_a_browser() {
    let server = TestServer::start(Engine::Sqlite).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    buys(&server, "cus_2", "bob@example.com").await;
    let link = server.server.sign_in_path(ADMIN_TOKEN).unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("{}{link}", server.base)).await;
    browser.sees("Sign out").await;
    let page = format!("{}/console/customers/{id}", server.base);
    let mut wrong = Vec::new();
    let mut look = async |name: &str| {
        wrong.extend(super::browser::violations(&browser, name).await);
    };
    browser.open(&page).await;
    browser.press("Link an account…").await;
    browser.write("#account", "cus_2").await;
    browser.press("Show the effect").await;
    browser.sees("The effect").await;
    look("link").await;
    browser.write("#reason", "one person").await;
    browser.press("Link it").await;
    browser.sees("Linked.").await;
    browser.press("Undo…").await;
    browser.sees("Part cus_2").await;
    look("part").await;
    browser.press("Part it").await;
    browser.sees("Billing account parted.").await;

    browser.write("#token-name", "ci").await;
    browser.press("Make").await;
    browser.sees("The new access token").await;
    browser.press("Done").await;
    browser.press("Rotate… ci").await;
    browser.sees("The text that it has now still works").await;
    look("rotate").await;
    browser.press("Rotate it").await;
    browser.sees("still works for 24 hours").await;
    browser.press("Done").await;
    browser.press("Revoke… ci").await;
    look("revoke-token").await;
    browser.press("Revoke it").await;
    browser.sees("Access token revoked.").await;

    browser.press("Issue a licence").await;
    browser.write("#license-product", "desktop").await;
    browser.press("Issue it").await;
    browser.sees("Where it is in use").await;
    look("licence").await;
    browser.press("Revoke…").await;
    browser.sees("valid → license_revoked").await;
    browser.write("#reason", "charged back").await;
    look("revoke-licence").await;
    browser.press("Do it").await;
    browser.sees("It is valid nowhere.").await;
    browser.press("Undo…").await;
    browser.press("Do it").await;
    browser.sees("Reinstated.").await;

    browser
        .open(&format!("{page}/grant?package=acme/extra"))
        .await;
    browser.press("Give it").await;
    browser.sees("Package given.").await;
    browser.press("Take back… acme/extra").await;
    browser.sees("Cannot be installed any more").await;
    look("revoke").await;
    browser.press("Take it back").await;
    browser.sees("Package taken back.").await;

    browser
        .open(&format!("{}/console/packages", server.base))
        .await;
    browser.write("#declared", "acme/tool").await;
    browser.press("Show the effect").await;
    browser.sees("Versions are read as").await;
    look("declare").await;
    browser.press("Declare it").await;
    browser.sees("Declared.").await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
    server.stop().await;
}
