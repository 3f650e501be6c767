//! Signing in, and who may send forms.

use serde_json::json;

use super::visit::{Visit, buys, pages_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{ADMIN_TOKEN, TestServer};

on_both_stores! {
    a_session_begins_with_a_token_and_ends_with_it,
    a_form_counts_only_from_our_own_page_and_session,
    a_viewer_sees_no_act_and_cannot_act,
    an_app_is_a_wall_and_an_owner_looks_at_one_at_a_time,
    no_act_is_taken_from_a_viewer_or_without_the_token_of_the_session,
}

async fn a_session_begins_with_a_token_and_ends_with_it(engine: Engine) {
    let server = TestServer::start(engine).await;
    let nobody = Visit::new(&server.base);
    let sent_away = nobody.get("/console/flags?kind=overdue").await;
    assert_eq!(sent_away.status, 303);
    let target = "/console/sign-in?next=%2Fconsole%2Fflags%3Fkind%3Doverdue";
    assert_eq!(sent_away.location(), target);

    let wrong = nobody.enter("not-a-token", &[]).await;
    assert_eq!(wrong.status, 401, "{}", wrong.text);
    assert!(wrong.text.contains("There is no such admin token"));
    assert!(!wrong.text.contains("not-a-token"), "{}", wrong.text);
    assert!(!wrong.headers.contains_key("set-cookie"));

    let entered = nobody
        .enter(ADMIN_TOKEN, &[("next", "/console/flags")])
        .await;
    assert_eq!(
        (entered.status, entered.location()),
        (303, "/console/flags")
    );
    let cookie = entered.headers["set-cookie"].to_str().unwrap();
    for part in [
        "HttpOnly",
        "SameSite=Strict",
        "Path=/console",
        "Max-Age=43200",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains(ADMIN_TOKEN) && !cookie.contains("Secure"),
        "{cookie}"
    );
    let elsewhere = nobody
        .enter(ADMIN_TOKEN, &[("next", "//evil.example/")])
        .await;
    assert_eq!(elsewhere.location(), "/console");

    // Whoever revokes the token ends the session.
    let viewer = Visit::with_role(&server, "viewer").await;
    viewer.page("/console/customers").await;
    let (_, tokens) = server.get("/api/v1/admin-tokens").await;
    let id = tokens["data"][0]["id"].as_str().unwrap();
    let path = format!("/api/v1/admin-tokens/{id}");
    assert_eq!(server.call("DELETE", &path, None).await.0, 204);
    assert_eq!(viewer.get("/console/customers").await.status, 303);

    let mut owner = Visit::owner(&server).await;
    let left = owner.post("/console/sign-out", &[]).await;
    assert_eq!(left.location(), "/console/sign-in");
    owner.keep_cookie(&left);
    assert_eq!(owner.get("/console").await.status, 303);
    // A cookie that was changed opens nothing.
    let mut forged = Visit::owner(&server).await;
    forged.cookie.push('A');
    assert_eq!(forged.get("/console/customers").await.status, 303);
    server.stop_and_give_back().await;
}

/// Names with values, of a form or of headers.
type Fields<'a> = &'a [(&'a str, &'a str)];

async fn a_form_counts_only_from_our_own_page_and_session(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let path = format!("/console/customers/{id}/act/suspend");
    let csrf = ("csrf", owner.csrf.as_str());
    let app = ("app", "default");
    let refusals: [(&str, Fields<'_>, Fields<'_>, u16, &str); 5] = [
        ("no token", &[app], &[], 403, "form_outdated"),
        (
            "a wrong token",
            &[("csrf", "x"), app],
            &[],
            403,
            "form_outdated",
        ),
        (
            "another app",
            &[csrf, ("app", "other")],
            &[],
            409,
            "app_changed",
        ),
        (
            "another site",
            &[csrf, app],
            &[("sec-fetch-site", "cross-site")],
            403,
            "cross_origin",
        ),
        (
            "another origin",
            &[csrf, app],
            &[("origin", "https://evil.example")],
            403,
            "cross_origin",
        ),
    ];
    for (description, fields, headers, status, code) in refusals {
        let answer = owner.send(&path, fields, headers).await;
        assert_eq!(answer.status, status, "{description}: {}", answer.text);
        assert!(answer.text.contains(code), "{description}: {}", answer.text);
    }
    let (_, customer) = server.get(&format!("/api/v1/customers/{id}")).await;
    assert_eq!(customer["status"], "active");
    // The same form from another's session, even of the same token.
    let other = Visit::owner(&server).await;
    assert_ne!(other.csrf, owner.csrf);
    let answer = other.send(&path, &[csrf, app], &[]).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    server.stop_and_give_back().await;
}

async fn a_viewer_sees_no_act_and_cannot_act(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let viewer = Visit::with_role(&server, "viewer").await;
    let paths = pages_of(&id);
    for path in &paths {
        let page = viewer.page(path).await;
        let forms = page.matches("method=\"post\"").count();
        // Those to search and to sign out.
        assert_eq!(forms, 2, "{path}");
        assert!(!page.contains("/act/"), "{path}");
    }
    let payload = viewer.page("/console/events/evt_began_cus_1").await;
    assert!(payload.contains("show them to admins alone"));
    assert!(!payload.contains("si_1"), "a payload is shown to a viewer");
    for path in [
        format!("/console/customers/{id}/act/suspend"),
        format!("/console/customers/{id}/grant"),
        format!("/console/customers/{id}/tokens"),
        "/console/plans".to_owned(),
        "/console/policy".to_owned(),
        "/console/replays".to_owned(),
        "/console/admins".to_owned(),
        "/console/endpoints/secrets".to_owned(),
        "/console/events/evt_began_cus_1/replay".to_owned(),
    ] {
        let answer = viewer.post(&path, &[("name", "x")]).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
        assert!(answer.text.contains("role_insufficient"), "{path}");
    }
    // An admin does not do what is an owner's.
    let admin = Visit::with_role(&server, "admin").await;
    let secret = [
        ("provider", "stripe"),
        ("secret", "whsec_another0123456789"),
    ];
    let refused = admin.post("/console/endpoints/secrets", &secret).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let page = admin.page("/console/events/evt_began_cus_1").await;
    assert!(page.contains("si_1"), "{page}");
    server.stop_and_give_back().await;
}

/// Whoever writes the form by hand. The acts are those that the sources route, so that a new one is tried.
async fn no_act_is_taken_from_a_viewer_or_without_the_token_of_the_session(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let viewer = Visit::with_role(&server, "viewer").await;
    let owner = Visit::owner(&server).await;
    let acts = super::asks::acts();
    assert!(acts.len() > 30, "{acts:?}");
    let (_, before) = server.get("/api/v1/audit").await;
    for act in acts {
        let parts = act.split('/').map(|part| match part {
            "{id}" if act.starts_with("/customers") => id.as_str(),
            "{act}" => "suspend",
            part if part.starts_with('{') => "x",
            part => part,
        });
        let path = format!("/console{}", parts.collect::<Vec<_>>().join("/"));
        // A key must not open another way.
        for key in ["", "a key"] {
            let refused = viewer.post(&path, &[("idempotency_key", key)]).await;
            assert_eq!(refused.status, 403, "{path}: {}", refused.text);
            assert!(refused.text.contains("role_insufficient"), "{path}");
            let fields = [("app", "default"), ("idempotency_key", key)];
            let forged = owner.send(&path, &fields, &[]).await;
            assert_eq!(forged.status, 403, "{path}: {}", forged.text);
            assert!(forged.text.contains("form_outdated"), "{path}");
            let nobody = Visit::new(&server.base).send(&path, &fields, &[]).await;
            assert_eq!(nobody.location(), "/console/sign-in?lost=1", "{path}");
        }
    }
    let (_, after) = server.get("/api/v1/audit").await;
    assert_eq!(before, after);
    server.stop_and_give_back().await;
}

async fn an_app_is_a_wall_and_an_owner_looks_at_one_at_a_time(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let body = json!({"slug": "other", "name": "Another"});
    assert_eq!(server.call("POST", "/api/v1/apps", Some(body)).await.0, 201);
    let mut owner = Visit::owner(&server).await;
    let switched = owner.post("/console/app", &[("to", "other")]).await;
    assert_eq!(switched.status, 303, "{}", switched.text);
    owner.keep_cookie(&switched);
    "other".clone_into(&mut owner.app);
    assert_eq!(
        owner.get(&format!("/console/customers/{id}")).await.status,
        404
    );
    assert_eq!(
        owner.get("/console/events/evt_began_cus_1").await.status,
        404
    );
    assert!(!owner.page("/console/customers?q=ann").await.contains(&id));
    let suspend = format!("/console/customers/{id}/act/suspend");
    assert_eq!(owner.post(&suspend, &[]).await.status, 404);

    // A token of one app cannot look at another.
    let body = json!({"name": "bound", "role": "owner", "app": "other"});
    let (_, made) = server
        .call("POST", "/api/v1/admin-tokens", Some(body))
        .await;
    let mut bound = Visit::sign_in(&server.base, made["token"].as_str().unwrap()).await;
    bound.read_csrf().await;
    "other".clone_into(&mut bound.app);
    assert_eq!(
        bound.get(&format!("/console/customers/{id}")).await.status,
        404
    );
    let refused = bound.post("/console/app", &[("to", "default")]).await;
    assert_eq!(refused.status, 404, "{}", refused.text);

    // Once the app is deleted, its token opens nothing, and who is good for all apps looks at the one that
    // always exists. What was a form of the deleted one does nothing there.
    let gone = server.call("DELETE", "/api/v1/apps/other", None).await;
    assert_eq!(gone.0, 204);
    assert_eq!(bound.get("/console/customers").await.status, 303);
    let shown = owner.page(&format!("/console/customers/{id}")).await;
    assert!(shown.contains("ann@example.com"), "{shown}");
    let late = owner.post(&suspend, &[]).await;
    assert_eq!(late.status, 409, "{}", late.text);
    assert!(
        late.text.contains("This form is of the app other"),
        "{}",
        late.text
    );
    server.stop_and_give_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_where_the_settings_say() {
    let off = TestServer::start_with(Engine::Sqlite, |environment| {
        environment.insert("TOLLGATE_CONSOLE".into(), "off".into());
    })
    .await;
    for path in [
        "/console",
        "/console/sign-in",
        "/console/assets/x/console.css",
    ] {
        assert_eq!(Visit::new(&off.base).get(path).await.status, 404, "{path}");
    }
    off.stop().await;
    let apart = TestServer::start_with(Engine::Sqlite, |environment| {
        environment.insert("TOLLGATE_OPS_LISTEN".into(), "127.0.0.1:0".into());
    })
    .await;
    assert_eq!(
        Visit::new(&apart.base).get("/console/sign-in").await.status,
        404
    );
    let ops = format!("http://{}", apart.server.ops_address().unwrap());
    Visit::new(&ops).page("/console/sign-in").await;
    apart.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_the_cookie_is_secure_and_no_page_has_anything_inline() {
    let server = TestServer::start_with(Engine::Sqlite, |environment| {
        environment.insert("TOLLGATE_TRUSTED_PROXIES".into(), "127.0.0.1".into());
    })
    .await;
    let id = buys(&server, "cus_1", "<script>alert(1)</script>@example.com").await;
    let proxied = [("x-forwarded-proto", "https")];
    let fields = [("token", ADMIN_TOKEN)];
    let nobody = Visit::new(&server.base);
    let entered = nobody.send("/console/sign-in", &fields, &proxied).await;
    let cookie = entered.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    let owner = Visit::owner(&server).await;
    for path in [
        format!("/console/customers/{id}"),
        format!("/console/customers/{id}/act/freeze"),
        format!("/console/customers/{id}/grant"),
        "/console/customers".to_owned(),
        "/console/events".to_owned(),
        "/console/events/evt_known_cus_1".to_owned(),
        "/console/audit".to_owned(),
        "/console/overview".to_owned(),
        "/console/policy".to_owned(),
    ] {
        let answer = owner.get(&path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        let page = answer.page();
        assert!(!page.contains("<script>"), "{path}: {page}");
        for inline in [" style=", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(inline), "{path} has {inline}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_link_that_the_server_offered_signs_in_once() {
    let server = TestServer::start(Engine::Sqlite).await;
    let path = server.server.sign_in_path(ADMIN_TOKEN).unwrap();
    let mut visit = Visit::new(&server.base);
    let entered = visit.get(&path).await;
    assert_eq!(entered.location(), "/console", "{}", entered.text);
    visit.keep_cookie(&entered);
    assert!(visit.page("/console/overview").await.contains("Sign out"));
    let again = Visit::new(&server.base).get(&path).await;
    assert_eq!(again.status, 401, "{}", again.text);
    assert!(
        again.text.contains("was used before, or has run out"),
        "{}",
        again.text
    );
    assert!(again.headers.get("set-cookie").is_none());
    // The token itself is no such link, and a link stands for no other.
    let by_token = format!("/console/sign-in/{ADMIN_TOKEN}");
    assert_eq!(visit.get(&by_token).await.status, 401);
    let unknown = server.server.sign_in_path("no such token").unwrap();
    assert_eq!(visit.get(&unknown).await.status, 401);
    server.stop().await;
}
