//! `tollgate reconcile`, as a user runs it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Output;

use serde_json::json;
use tempfile::TempDir;
use tollgate::domain::id::AppSlug;
use tollgate::provider::STRIPE;
use tollgate::store::Store;

use super::rig::Rig;
use crate::support::environment;
use crate::support::fake_api::{Fault, KEY, List};
use crate::support::program::{err, out, tollgate};
use crate::support::serving::{Serving, quiet_port};
use crate::support::stores::Engine;

struct Seller {
    rig: Rig,
    dir: TempDir,
}

impl Seller {
    async fn start() -> Self {
        Self {
            rig: Rig::start(Engine::Sqlite).await,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn environment(&self) -> BTreeMap<OsString, OsString> {
        let mut environment = environment(self.dir.path());
        environment.insert("STRIPE_API_KEY".into(), KEY.into());
        let base = self.rig.api.base();
        environment.insert("TOLLGATE_STRIPE_API_BASE".into(), base.into());
        environment
    }

    async fn run(&self, more: &[&str]) -> (Output, String) {
        let arguments: Vec<&str> = ["reconcile", "stripe"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        let output = tollgate(&arguments, self.environment()).await;
        let text = format!("{}{}", out(&output), err(&output));
        (output, text)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_import_ends_with_what_is_left_to_do() {
    let seller = Seller::start().await;
    seller.rig.sell(3);
    seller.rig.there.change(List::Subscriptions, "sub_2", |it| {
        it["items"]["data"][0]["price"]["id"] = json!("price_new");
    });
    let (output, text) = seller.run(&["--dry-run"]).await;
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("6 differences; nothing was changed"),
        "{text}"
    );

    let (output, text) = seller.run(&[]).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    for shown in [
        "customers             3 read,      3 missing here,      0 different",
        "subscriptions         3 read,      3 missing here,      0 different",
        "6 differences, 6 repaired",
        "these prices are paid for and give nothing",
        "price_new",
        "1 running subscription of 1 customer",
        "/api/v1/plans/stripe/price_new?app=default",
    ] {
        assert!(text.contains(shown), "`{shown}`:\n{text}");
    }
    assert!(!text.contains(KEY), "{text}");

    let (output, text) = seller.run(&[]).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("nothing differs"), "{text}");

    seller.rig.there.remove(List::Subscriptions, "sub_1");
    let (output, text) = seller.run(&[]).await;
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("1 subscription is kept here and not listed by stripe: sub_1"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_key_may_not_read_is_said() {
    let seller = Seller::start().await;
    seller.rig.sell(1);
    let mut environment = seller.environment();
    let plans = json!({"module-1": ["acme/ui"]}).to_string();
    environment.insert("STRIPE_PRICE_MAPPING".into(), plans.into());
    let run = async || {
        let output = tollgate(&["reconcile", "stripe"], environment.clone()).await;
        (
            output.status.code(),
            format!("{}{}", out(&output), err(&output)),
        )
    };
    // Six lists are read before.
    seller.rig.api.fail(6, Fault::Status(403, None));
    let (code, text) = run().await;
    assert_eq!(code, Some(0), "{text}");
    let said = "features       not compared: the API key may not read them (fault)";
    assert!(text.contains(said), "{text}");

    seller.rig.api.fail(6, Fault::Status(403, None));
    let (_, text) = run().await;
    assert!(text.contains("nothing differs in what was read"), "{text}");

    let (_, text) = run().await;
    assert!(!text.contains("not compared"), "{text}");
    assert!(text.contains("nothing differs\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_said() {
    let seller = Seller::start().await;
    let mut environment = seller.environment();
    environment.remove(&OsString::from("STRIPE_API_KEY"));
    environment.remove(&OsString::from("TOLLGATE_STRIPE_API_BASE"));
    let output = tollgate(&["reconcile", "stripe"], environment).await;
    let text = err(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no API key of stripe"), "{text}");
    assert!(text.contains("set STRIPE_API_KEY"), "{text}");

    let (output, text) = seller.run(&["--app", "none"]).await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("there is no app `none`; `tollgate app list`"),
        "{text}"
    );

    let seller = Seller::start().await;
    let mut environment = seller.environment();
    environment.insert("STRIPE_API_KEY".into(), "sk_live_wrong".into());
    let output = tollgate(&["reconcile", "stripe"], environment).await;
    let text = format!("{}{}", out(&output), err(&output));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the API key was refused with 401"), "{text}");
    assert!(!text.contains("sk_live_wrong"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_api_of_a_provider_answers_is_known_as_such() {
    let seller = Seller::start().await;
    seller.rig.sell(1);
    for fault in [
        Fault::Garbled,
        Fault::Status(302, None),
        Fault::Status(307, None),
    ] {
        seller.rig.api.fail(0, fault);
        let (output, text) = seller.run(&[]).await;
        assert_eq!(output.status.code(), Some(1), "{text}");
        let said = "as of something else than the provider's API: look at TOLLGATE_STRIPE_API_BASE";
        assert!(text.contains(said), "{fault:?}: {text}");
    }
    let (output, text) = seller.run(&[]).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
}

/// A command is run in some shell, whose settings need not be those of the servers.
#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_leaves_the_settings_of_the_servers_as_they_are() {
    let seller = Seller::start().await;
    seller.rig.sell(1);
    let mut theirs = seller.environment();
    theirs.insert("TOLLGATE_CONNECTED_ACCOUNTS".into(), "acct_1".into());
    let listen = format!("127.0.0.1:{}", quiet_port());
    theirs.insert("TOLLGATE_LISTEN".into(), listen.into());
    drop(Serving::start(&theirs).await);
    let kept = async || {
        let file = seller.dir.path().join("tollgate.db");
        let store = Store::open_sqlite(&file).await.unwrap();
        let app = AppSlug::default_app();
        let mut tx = store.read().await.unwrap();
        let key = tx.api_key_find(&app, STRIPE.name).await.unwrap();
        let settings = tx.app_find(&app).await.unwrap().unwrap().settings;
        let plans = tx.plan_list(&app).await.unwrap();
        drop(tx);
        store.close().await;
        (key.map(|it| it.sealed), settings, plans)
    };
    let before = kept().await;
    assert!(before.0.is_some() && !before.2.is_empty(), "{before:?}");

    let mut other = seller.environment();
    other.remove(&OsString::from("STRIPE_PRICE_MAPPING"));
    let mut without_key = other.clone();
    without_key.remove(&OsString::from("STRIPE_API_KEY"));
    other.insert("STRIPE_API_KEY".into(), "sk_live_wrong".into());
    for (arguments, environment, said) in [
        (
            &["--dry-run"][..],
            &without_key,
            "differences; nothing was changed",
        ),
        (&["--app", "none"], &without_key, "there is no app `none`"),
        (&[], &other, "differences, "),
        (
            &[],
            &without_key,
            "the plans of these settings are not those in the store",
        ),
    ] {
        let arguments = [&["reconcile", "stripe"][..], arguments].concat();
        let output = tollgate(&arguments, environment.clone()).await;
        let text = format!("{}{}", out(&output), err(&output));
        assert!(text.contains(said), "{text}");
        assert_eq!(kept().await, before, "{arguments:?}");
    }
}
