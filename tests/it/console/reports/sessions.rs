//! Sessions: forms sent after the end of one, copies of its cookie, and pages that go on asking.

use crate::console::visit::{Visit, buys};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

on_both_stores! {
    a_form_of_an_ended_session_leads_back_to_its_page,
    a_copy_of_the_cookie_is_worth_nothing_after_signing_out,
    a_part_that_is_asked_for_after_the_end_loads_the_page_again,
}

async fn a_form_of_an_ended_session_leads_back_to_its_page(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let mut ended = Visit::new(&server.base);
    ended.csrf.clone_from(&owner.csrf);
    let page = format!("/console/customers/{ann}?kind=acts");
    let tokens = format!("/console/customers/{ann}/tokens");
    let fields = [
        ("csrf", owner.csrf.as_str()),
        ("app", "default"),
        ("name", "ci"),
    ];
    let referer = format!("{}{page}", server.base);
    let sent = ended.send(&tokens, &fields, &[("referer", &referer)]).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    let sign_in = ended.page(sent.location()).await;
    assert!(
        sign_in.contains("nothing of what you sent was done"),
        "{sign_in}"
    );
    let (_, next) = sign_in.split_once("name=\"next\" value=\"").unwrap();
    assert_eq!(next.split('"').next().unwrap(), page);
    let (_, made) = server.get(&format!("/api/v1/customers/{ann}/tokens")).await;
    assert_eq!(made["meta"]["total"], 0, "{made}");
    // A page of another host, or none, leads to the first page of the console.
    for referer in [
        "https://evil.example/x",
        "https://evil.example/console-x",
        "",
        "%",
    ] {
        let sent = ended.send(&tokens, &fields, &[("referer", referer)]).await;
        assert_eq!(sent.location(), "/console/sign-in?lost=1", "{referer}");
    }
    let looked = ended.get("/console/customers").await;
    assert!(!looked.location().contains("lost"), "{}", looked.location());
    server.stop_and_give_back().await;
}

/// <https://github.com/TheHive-Project/TheHive/issues/1058>, and many like it: signing out has the browser
/// forget the cookie, and whoever has a copy goes on.
async fn a_copy_of_the_cookie_is_worth_nothing_after_signing_out(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    // Looking at an app makes another cookie of the same session.
    let mut tab = Visit::new(&server.base);
    let again = owner.post("/console/app", &[("to", "default")]).await;
    tab.keep_cookie(&again);
    tab.csrf.clone_from(&owner.csrf);
    assert_ne!(tab.cookie, owner.cookie);
    let other = Visit::owner(&server).await;
    assert_eq!(owner.post("/console/sign-out", &[]).await.status, 303);
    for copy in [&owner, &tab] {
        let looked = copy.get("/console/customers").await;
        assert_eq!(looked.status, 303, "{}", looked.text);
        assert!(looked.location().starts_with("/console/sign-in"));
        let suspend = format!("/console/customers/{ann}/act/suspend");
        let acted = copy.post(&suspend, &[]).await;
        assert!(
            acted.location().contains("lost=1"),
            "{} {}",
            acted.status,
            acted.text
        );
    }
    let (_, customer) = server.get(&format!("/api/v1/customers/{ann}")).await;
    assert_eq!(customer["status"], "active");
    // Other sessions of the same token go on.
    other.page("/console/customers").await;
    server.stop_and_give_back().await;
}

/// <https://github.com/HangfireIO/Hangfire/issues/861>: a page that asks for news goes on asking after its
/// session has ended, and shows nothing of it.
async fn a_part_that_is_asked_for_after_the_end_loads_the_page_again(engine: Engine) {
    let server = TestServer::start(engine).await;
    let owner = Visit::owner(&server).await;
    let ask = || owner.get_with("/console/overview", &[("hx-request", "true")]);
    assert_eq!(ask().await.status, 200);
    assert_eq!(owner.post("/console/sign-out", &[]).await.status, 303);
    let ended = ask().await;
    assert_eq!(ended.status, 401, "{}", ended.text);
    assert_eq!(ended.headers["hx-refresh"], "true");
    assert_eq!(ended.text, "");
    server.stop_and_give_back().await;
}
