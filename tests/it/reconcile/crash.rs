//! A comparison that is cut short, and goes on.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::domain::id::AppSlug;
use tollgate::domain::reconcile::ReconcileStatus;
use tollgate::pipeline::reconcile::{self, Wanted};
use tollgate::provider::STRIPE;
use tollgate::store::Store;

use crate::support::fake_api::{FakeApi, Generated, KEY};
use crate::support::program::{err, out, tollgate};
use crate::support::{PATIENCE, environment};

/// Several pages of each list.
const COUNT: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_killed_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Generated {
        count: COUNT,
        is_stripe: true,
    };
    let api = FakeApi::serve(STRIPE.name, Arc::new(objects)).await;
    api.set_page(50);
    let mut environment = environment(dir.path());
    environment.insert("STRIPE_API_KEY".into(), KEY.into());
    environment.insert("TOLLGATE_STRIPE_API_BASE".into(), api.base().into());
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["reconcile", "stripe"])
        .env_clear()
        .envs(&environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while api.asked().len() < 15 {
        assert!(started.elapsed() < PATIENCE, "it does not ask");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = api.asked().len();
    let output = tollgate(&["reconcile", "stripe"], environment).await;
    let text = format!("{}{}", out(&output), err(&output));
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(" goes on with "), "{text}");
    let again = &api.asked()[before..];
    assert!(
        !again[0].contains("/customers") || again[0].contains("starting_after"),
        "it began anew: {again:?}"
    );

    let store = Store::open_sqlite(&dir.path().join("tollgate.db"))
        .await
        .unwrap();
    let window = tollgate::store::Window::Page { number: 1, size: 9 };
    let listed = reconcile::list(&store, &AppSlug::default_app(), &window).await;
    let listed = listed.unwrap().rows;
    assert_eq!(listed.len(), 1, "one order");
    assert_eq!(listed[0].status(), ReconcileStatus::Finished);
    let total = listed[0].found.total();
    let all = (COUNT * 3) as u64;
    assert_eq!((total.read, total.missing), (all, all), "each once");
    let wanted = Wanted {
        provider: STRIPE.name,
        since: None,
        dry_run: false,
    };
    let again = super::rig::run(&store, &api.apis(), &AppSlug::default_app(), wanted).await;
    assert_eq!(again.found.drift(), 0, "{:?}", again.found);
}
