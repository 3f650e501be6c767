//! Webhooks of the app's own: made, tried, watched, sent again, disabled and removed by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;

use super::visit::{Visit, buys};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

on_both_stores! {
    a_hook_is_made_tried_and_sent_to_again,
    a_hook_is_disabled_given_another_secret_and_removed,
    who_may_not_act_on_hooks_sees_no_act,
}

/// A receiver that answers with a status that can be changed.
async fn receiver(status: u16) -> (String, Arc<AtomicU16>) {
    let says = Arc::new(AtomicU16::new(status));
    let answer = |State(says): State<Arc<AtomicU16>>| async move {
        StatusCode::from_u16(says.load(Ordering::SeqCst)).unwrap()
    };
    let router = Router::new().fallback(answer).with_state(Arc::clone(&says));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, says)
}

async fn server(engine: Engine) -> TestServer {
    TestServer::start_with(engine, |environment| {
        environment.insert("TOLLGATE_HOOKS_PRIVATE".into(), "on".into());
    })
    .await
}

/// Makes a hook by the form; its page, and the secret that was shown.
async fn make(owner: &Visit, url: &str, description: &str) -> (String, String) {
    let fields = [
        ("url", url),
        ("kinds", "hook.test, customer.*"),
        ("body", "full"),
        ("description", description),
    ];
    let made = owner.post("/console/hooks", &fields).await.page();
    let (_, rest) = made.split_once("whsec_").unwrap();
    let secret = format!("whsec_{}", rest.split('<').next().unwrap());
    let (_, rest) = made.split_once("/console/hooks/hook_").unwrap();
    let page = format!("/console/hooks/hook_{}", rest.split('"').next().unwrap());
    (page, secret)
}

/// Loads a page until it shows a text.
async fn until(visit: &Visit, path: &str, text: &str) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let page = visit.page(path).await;
        if page.contains(text) {
            return page;
        }
        assert!(Instant::now() < end, "no `{text}`: {page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_hook_is_made_tried_and_sent_to_again(engine: Engine) {
    let server = server(engine).await;
    let owner = Visit::owner(&server).await;
    let (url, says) = receiver(500).await;
    let (page, secret) = make(&owner, &url, "<script>alert(1)</script>").await;
    let list = owner.page("/console/hooks").await;
    assert!(list.contains(&url) && list.contains("enabled"), "{list}");
    assert!(!list.contains("<script>alert"), "{list}");
    let shown = owner.page(&page).await;
    assert!(!shown.contains(&secret), "a secret is shown once: {shown}");
    assert!(shown.contains("hook.test, customer.*"), "{shown}");

    let id = buys(&server, "cus_1", "ann@example.com").await;
    let waits = until(&owner, &page, "Failing since").await;
    assert!(
        waits.contains("500 refused") && waits.contains(&id),
        "{waits}"
    );
    assert!(owner.page("/console/hooks").await.contains("failing"));
    says.store(204, Ordering::SeqCst);
    let tested = owner.post(&format!("{page}/act/test"), &[]).await;
    assert_eq!(tested.location(), format!("{page}?done=test"));
    let delivered = until(&owner, &format!("{page}?state=delivered"), "hook.test<br>").await;
    let (_, rest) = delivered.split_once("/act/resend?delivery=").unwrap();
    let delivery = rest.split(['"', '&']).next().unwrap().to_owned();
    let asked = owner
        .page(&format!("{page}/act/resend?delivery={delivery}"))
        .await;
    assert!(asked.contains("<dd>hook.test</dd>"), "{asked}");
    let again = owner
        .post(&format!("{page}/act/resend"), &[("delivery", &delivery)])
        .await;
    assert_eq!(again.location(), format!("{page}?done=resend"));
    let path = page.replace("/console", "/api/v1/apps/default");
    let twice = server
        .until(
            &format!("{path}/deliveries?state=delivered&kind=hook.test"),
            |it| it["data"].as_array().is_some_and(|all| all.len() == 2),
        )
        .await;
    assert_eq!(twice["data"][0]["change_id"], twice["data"][1]["change_id"]);
    let narrowed = [("delivery", delivery.as_str()), ("state", "delivered")];
    let again = owner.post(&format!("{page}/act/resend"), &narrowed).await;
    let list = format!("{page}?state=delivered&done=resend");
    assert_eq!(again.location(), list, "the list stays as it was");
    let unknown = owner
        .post(&format!("{page}/act/resend"), &[("delivery", "dlv_1")])
        .await;
    assert_eq!(unknown.status, 404, "{}", unknown.text);

    for (field, value) in [
        ("url", "ftp://x"),
        ("kinds", "nothing.such"),
        ("body", "fat"),
    ] {
        let mut fields = vec![("url", url.as_str()), ("kinds", "*"), ("body", "thin")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let refused = owner.post("/console/hooks", &fields).await;
        assert_eq!(refused.status, 422, "{field}: {}", refused.text);
        assert!(refused.text.contains(field), "{}", refused.text);
    }
    server.stop_and_give_back().await;
}

async fn a_hook_is_disabled_given_another_secret_and_removed(engine: Engine) {
    let server = server(engine).await;
    let owner = Visit::owner(&server).await;
    let (url, _says) = receiver(204).await;
    let (page, first) = make(&owner, &url, "billing").await;
    let asked = owner.page(&format!("{page}/act/disable")).await;
    assert!(
        asked.contains(&url) && asked.contains("<dd>0</dd>"),
        "{asked}"
    );
    let fields = [("reason", "moving house")];
    let disabled = owner.post(&format!("{page}/act/disable"), &fields).await;
    assert_eq!(disabled.location(), format!("{page}?done=disable"));
    let shown = owner.page(&page).await;
    assert!(shown.contains("by an admin"), "{shown}");
    assert!(!shown.contains("Send a test"), "{shown}");
    let refused = owner.post(&format!("{page}/act/test"), &[]).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let enabled = owner.post(&format!("{page}/act/enable"), &[]).await;
    assert_eq!(enabled.location(), format!("{page}?done=enable"));

    let rotated = owner.post(&format!("{page}/act/rotate"), &[]).await.page();
    assert!(rotated.contains("whsec_") && !rotated.contains(&first));
    let unknown = owner.get(&format!("{page}/act/paint")).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text);
    let removed = owner.post(&format!("{page}/act/delete"), &fields).await;
    assert_eq!(removed.location(), "/console/hooks?done=delete");
    assert_eq!(owner.get(&page).await.status, 404);
    let audit = owner.page("/console/audit").await;
    assert!(audit.contains("moving house"), "{audit}");
    server.stop_and_give_back().await;
}

async fn who_may_not_act_on_hooks_sees_no_act(engine: Engine) {
    let server = server(engine).await;
    let owner = Visit::owner(&server).await;
    let (url, _says) = receiver(204).await;
    let (page, _) = make(&owner, &url, "billing").await;
    let (viewer, admin) = (
        Visit::with_role(&server, "viewer").await,
        Visit::with_role(&server, "admin").await,
    );
    let shown = viewer.page(&page).await;
    // Those to search and to sign out.
    assert_eq!(shown.matches("method=\"post\"").count(), 2, "{shown}");
    assert!(!shown.contains("/act/"), "{shown}");
    let shown = admin.page(&page).await;
    assert!(
        shown.contains("/act/test") && !shown.contains("/act/disable"),
        "{shown}"
    );
    // The path of an address may be a secret.
    for (visit, sees) in [(&viewer, false), (&admin, false), (&owner, true)] {
        for page in [page.as_str(), "/console/hooks"] {
            let shown = visit.page(page).await;
            let origin = url.strip_suffix("/hook").unwrap();
            assert!(shown.contains(origin), "{shown}");
            assert_eq!(shown.contains(&url), sees, "{shown}");
        }
    }
    for act in ["enable", "rotate", "disable", "delete"] {
        for visit in [&viewer, &admin] {
            let answer = visit.post(&format!("{page}/act/{act}"), &[]).await;
            assert_eq!(answer.status, 403, "{act}: {}", answer.text);
        }
    }
    assert_eq!(
        viewer.post(&format!("{page}/act/test"), &[]).await.status,
        403
    );
    let fields = [("url", url.as_str()), ("body", "full")];
    assert_eq!(admin.post("/console/hooks", &fields).await.status, 403);
    server.stop_and_give_back().await;
}
