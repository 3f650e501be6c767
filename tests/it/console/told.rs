//! What pages tell: what was just done, once, and times, in UTC.

use serde_json::json;
use tollgate::domain::time::Timestamp;

use super::driver::Browser;
use super::visit::Visit;
use crate::support::serving::{Serving, quiet_port};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{ADMIN_TOKEN, TestServer, call, client, environment, seconds_from_now};

on_both_stores! {
    what_was_done_is_not_said_on_the_next_page_of_a_list,
}

const SAID: &str = "class=\"notice\"";

async fn what_was_done_is_not_said_on_the_next_page_of_a_list(engine: Engine) {
    let server = TestServer::start(engine).await;
    let hooks = "/api/v1/apps/default/hooks";
    let body = json!({"url": "https://hooks.invalid/x"});
    let (status, made) = server.call("POST", hooks, Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();
    for _ in 0..51 {
        let (status, sent) = server
            .call("POST", &format!("{hooks}/{id}/test"), None)
            .await;
        assert_eq!(status, 202, "{sent}");
    }
    let owner = Visit::owner(&server).await;
    let page = format!("/console/hooks/{id}");
    let first = owner.page(&format!("{page}?done=test")).await;
    assert!(first.contains(SAID), "{first}");
    let (_, rest) = first.split_once("page 1 of 2").unwrap();
    let (_, rest) = rest.split_once("href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&#38;", "&");
    let second = owner.page(&format!("{page}{next}")).await;
    assert!(second.contains("page 2 of 2"), "{second}");
    assert!(!second.contains(SAID), "{second}");
    server.stop_and_give_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_not_said_when_the_page_is_loaded_again() {
    let server = TestServer::start(Engine::Sqlite).await;
    let body = json!({"name": "Ann"});
    let (_, made) = server.call("POST", "/api/v1/customers", Some(body)).await;
    let page = format!("/console/customers/{}", made["id"].as_str().unwrap());
    let link = server.server.sign_in_path(ADMIN_TOKEN).unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("{}{link}", server.base)).await;
    browser.sees("Sign out").await;
    browser
        .open(&format!("{}{page}/act/suspend", server.base))
        .await;
    browser.press("Suspend").await;
    browser.sees("Suspended. Nothing can be installed").await;
    let address = browser.run("return location.href", json!([])).await;
    assert_eq!(address, format!("{}{page}", server.base));
    // It opens what the address says now, as loading the page again does.
    browser.open(address.as_str().unwrap()).await;
    browser.sees("Sign out").await;
    let text = browser.text("body").await;
    assert!(text.contains("Reactivate"), "{text}");
    assert!(!text.contains("Suspended. Nothing can be"), "{text}");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_in_utc_wherever_the_server_stands() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = environment(dir.path());
    let listen = format!("127.0.0.1:{}", quiet_port());
    settings.insert("TOLLGATE_LISTEN".into(), listen.into());
    settings.insert("TZ".into(), "America/New_York".into());
    let server = Serving::start(&settings).await;
    let client = client();
    let body = json!({"name": "Ann"});
    let customers = "/api/v1/customers";
    let (status, made) = call(&client, &server.base, "POST", customers, Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();

    // New York is four hours or five behind.
    let at = made["created_at"].as_str().unwrap();
    let now = seconds_from_now(0);
    let apart = Timestamp::parse(at).unwrap().seconds().abs_diff(now);
    assert!(at.ends_with('Z') && apart < 3_600, "{at}");
    let mut owner = Visit::sign_in(&server.base, ADMIN_TOKEN).await;
    owner.read_csrf().await;
    let page = format!("/console/customers/{id}");
    let shown = owner.page(&page).await;
    let (day, time) = at.split_once('T').unwrap();
    let minute = format!(">{day} {}</time>", &time[..5]);
    assert!(shown.contains(&minute), "no {minute}: {shown}");
    assert!(shown.contains("Times and days are in UTC."), "{shown}");

    // A day that is filled in begins in UTC too.
    let fields = [("name", "ci"), ("expires_at", "2099-07-01")];
    owner.post(&format!("{page}/tokens"), &fields).await.page();
    let shown = owner.page(&page).await;
    assert!(shown.contains(">2099-07-01 00:00</time>"), "{shown}");
    let tokens = format!("{customers}/{id}/tokens");
    let (_, made) = call(&client, &server.base, "GET", &tokens, None).await;
    assert!(made.to_string().contains("2099-07-01T00:00:00"), "{made}");
    server.terminate();
}
