//! The console in a real browser.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tollgate::provider::STRIPE;

use super::driver::Browser;
use super::visit::{buys, buys_at};
use crate::support::stores::Engine;
use crate::support::{ADMIN_TOKEN, TestServer, seconds_from_now, stripe_event};

/// axe-core, which looks for what shuts people out, as its makers publish it in the npm registry.
const AXE: &str = include_str!("../../../fixtures/axe/axe.min.js");

/// A tab, and Return, as the protocol writes keys.
const TAB: &str = "\u{e004}";
const RETURN: &str = "\u{e007}";

async fn sign_in(browser: &Browser, server: &TestServer, token: &str) {
    browser.open(&format!("{}/console", server.base)).await;
    browser.write("#token", token).await;
    browser.press("Sign in").await;
    browser.sees("Sign out").await;
}

/// A server with somebody who pays, somebody whose price is mapped to nothing, and a failed event.
async fn lived_in() -> (TestServer, String) {
    let server = TestServer::start(Engine::Sqlite).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    buys_at(&server, "cus_2", "bob@example.com", "price_new").await;
    for number in 1..=3 {
        let id = format!("evt_broken_{number}");
        let object = json!({"id": "sub_0", "object": "subscription", "status": "active"});
        let updated = "customer.subscription.updated";
        let event = stripe_event(&id, updated, seconds_from_now(0), object);
        server.deliver(STRIPE.name, &event).await;
    }
    let release = json!({"version": "1.0.0", "released_at": "2026-01-01T00:00:00Z"});
    let path = "/api/v1/packages/acme/tool/releases";
    assert!(server.call("POST", path, Some(release)).await.0 < 300);
    (server, id)
}

/// Makes a hook that nobody receives, with a delivery that fails; its page.
async fn hook(server: &TestServer) -> String {
    let hooks = "/api/v1/apps/default/hooks";
    let wanted =
        json!({"url": "https://hooks.invalid/tollgate", "description": "the mailing list"});
    let (status, made) = server.call("POST", hooks, Some(wanted)).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();
    let test = format!("{hooks}/{id}/test");
    assert_eq!(server.call("POST", &test, None).await.0, 202);
    format!("/console/hooks/{id}")
}

fn pages(id: &str, hook: &str) -> Vec<(&'static str, String)> {
    let pages = [
        ("overview", "/console/overview"),
        ("customers", "/console/customers"),
        ("events", "/console/events"),
        ("event", "/console/events/evt_began_cus_1"),
        ("failed-event", "/console/events/evt_broken_1?try=1"),
        ("replay", "/console/replays/new?outcome=failed"),
        ("flags", "/console/flags"),
        ("policy", "/console/policy?on_end=expire"),
        ("plans", "/console/plans"),
        ("packages", "/console/packages?package=acme/tool"),
        ("endpoints", "/console/endpoints?types=stripe"),
        ("hooks", "/console/hooks"),
        ("reconciles", "/console/reconciles"),
        ("audit", "/console/audit"),
        ("admins", "/console/admins"),
        ("apps", "/console/apps"),
    ];
    let customer = format!("/console/customers/{id}");
    let suspend = format!("/console/customers/{id}/act/suspend");
    let grant = format!("/console/customers/{id}/grant?package=acme/tool");
    let of_one = [
        ("hook", hook.to_owned()),
        ("customer", customer),
        ("suspend", suspend),
        ("grant", grant),
    ];
    let pages = pages
        .into_iter()
        .map(|(name, path)| (name, path.to_owned()));
    pages.chain(of_one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_found_suspended_and_active_again() {
    let (server, _) = lived_in().await;
    let browser = Browser::start().await;
    sign_in(&browser, &server, ADMIN_TOKEN).await;
    browser.write("#search", "ann@example.com").await;
    browser.keys(RETURN).await;
    browser.sees("What would Composer get?").await;
    let why = browser.text(".summary").await;
    assert!(!why.is_empty(), "the page says why");

    browser.press("Suspend…").await;
    browser.sees("Cannot be installed any more").await;
    browser.write("#reason", "asked by mail").await;
    browser.press("Suspend").await;
    browser.sees("Suspended. Nothing can be installed").await;
    browser.sees("asked by mail").await;
    browser.write("#package", "acme/tool").await;
    browser.write("#version", "1.0.0").await;
    browser.press("Ask").await;
    browser.sees("Your subscription is suspended").await;

    browser.press("Reactivate…").await;
    browser.press("Reactivate").await;
    browser.sees("Active again.").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_is_mapped_events_replayed_and_a_policy_applied() {
    let (server, _) = lived_in().await;
    let browser = Browser::start().await;
    sign_in(&browser, &server, ADMIN_TOKEN).await;
    let open = async |path: &str| browser.open(&format!("{}{path}", server.base)).await;
    open("/console/flags").await;
    browser
        .write("input[name=packages]", "acme/tool ^1.0")
        .await;
    browser.press("Map this price").await;
    browser
        .sees("Everybody who pays this price has its packages now.")
        .await;

    open("/console/events").await;
    browser.sees("Failures by cause").await;
    browser.press("Replay…").await;
    browser.sees("each link tries one").await;
    browser.write("#pace", "1").await;
    browser.press("Replay 3").await;
    browser.sees("of 3 are in the queue").await;
    browser.press("Stop it…").await;
    browser.press("Cancel the replay").await;
    browser.sees("canceled").await;

    open("/console/policy").await;
    browser.write("#suspend_after", "2d").await;
    browser.press("See who would change").await;
    browser.sees("nobody would change").await;
    browser.press("Apply it").await;
    browser.sees("It is in force.").await;

    open("/console/endpoints").await;
    for secret in [
        "whsec_FIRST0123456789abcdef",
        "whsec_SECOND0123456789abcdef",
    ] {
        browser.press("Rotate: add a secret").await;
        browser.write("#secret-stripe", secret).await;
        browser.press("Add").await;
        browser.sees("Both secrets verify now").await;
    }
    let retire = "document.querySelector('a[href*=\"act/retire\"]').click()";
    browser.run(retire, json!([])).await;
    browser.press("Retire it").await;
    browser.sees("retiring").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_alone_suffice_and_a_script_in_a_name_does_not_run() {
    let server = TestServer::start(Engine::Sqlite).await;
    let name = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>";
    let body = json!({"name": name, "email": "mallory@example.com"});
    let (status, made) = server.call("POST", "/api/v1/customers", Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("{}/console", server.base)).await;
    // The field has the focus already.
    browser.keys(ADMIN_TOKEN).await;
    browser.keys(RETURN).await;
    browser.sees("Sign out").await;
    browser.keys("/").await;
    browser.keys("mallory@example.com").await;
    browser.keys(RETURN).await;
    browser.sees("What would Composer get?").await;
    browser.sees("<script>").await;
    let title = browser.run("return document.title", json!([])).await;
    assert!(title.as_str().unwrap().starts_with("<script>"), "{title}");
    // The first stop leads past the menu; everything behind it can be reached.
    browser.run("document.body.focus()", json!([])).await;
    browser.keys(TAB).await;
    let first = browser
        .run("return document.activeElement.textContent", json!([]))
        .await;
    assert_eq!(first, "Skip to the page");
    let mut reached = false;
    for _ in 0..40 {
        browser.keys(TAB).await;
        let here = browser
            .run("return document.activeElement.textContent", json!([]))
            .await;
        if here == "Suspend…" {
            reached = true;
            break;
        }
    }
    assert!(reached, "the acts are out of reach");
    browser.keys(RETURN).await;
    browser
        .sees("for other admins; the customer does not see it")
        .await;
    browser.keys("by keys").await;
    browser.keys(RETURN).await;
    browser.sees("Suspended.").await;
    let (_, customer) = server.get(&format!("/api/v1/customers/{id}")).await;
    assert_eq!(customer["status_reason"], "by keys", "{customer}");
    let complaints = browser.complaints().await;
    assert_eq!(complaints, Vec::<String>::new());
    browser.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_no_violation_on_any_page() {
    let (server, id) = lived_in().await;
    let hook = hook(&server).await;
    let browser = Browser::start().await;
    browser
        .open(&format!("{}/console/sign-in", server.base))
        .await;
    let mut wrong = violations(&browser, "sign-in").await;
    sign_in(&browser, &server, ADMIN_TOKEN).await;
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        for (name, path) in pages(&id, &hook) {
            browser.open(&format!("{}{path}", server.base)).await;
            wrong.extend(violations(&browser, &format!("{name}, {scheme}")).await);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    browser.close().await;
    server.stop().await;
}

pub(super) async fn violations(browser: &Browser, page: &str) -> Vec<String> {
    let script = format!(
        "{AXE}; return axe.run(document).then((found) => found.violations.map((it) =>
            [it.id, it.help, it.nodes.map((node) => node.html).join(' ')].join(': ')));"
    );
    let found = browser.run(&script, json!([])).await;
    let found = found.as_array().cloned().unwrap_or_default();
    let told = found.iter().filter_map(Value::as_str);
    told.map(|it| format!("{page}: {it}")).collect()
}

/// Takes pictures of all pages, into the folder that `PICTURES` names, if it names one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; deploy/dev/pictures keeps what it makes"]
async fn pictures() {
    let unnamed = tempfile::tempdir().unwrap();
    let named = std::env::var_os("PICTURES").map(std::path::PathBuf::from);
    let folder = named.unwrap_or_else(|| unnamed.path().to_owned());
    let (server, id) = lived_in().await;
    let hook = hook(&server).await;
    let browser = Browser::start().await;
    sign_in(&browser, &server, ADMIN_TOKEN).await;
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        for (size, width, height) in [("wide", 1280, 860), ("narrow", 390, 844)] {
            browser.resize(width, height).await;
            for (name, path) in pages(&id, &hook) {
                browser.open(&format!("{}{path}", server.base)).await;
                let picture = STANDARD.decode(browser.picture().await).unwrap();
                let file = folder.join(format!("{name}-{scheme}-{size}.png"));
                std::fs::write(file, picture).unwrap();
            }
        }
    }
    browser.close().await;
    server.stop().await;
}
