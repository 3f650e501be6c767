//! `tollgate reconcile`, as a user runs it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Output;

use serde_json::json;
use tempfile::TempDir;

use super::rig::Rig;
use crate::support::environment;
use crate::support::fake_api::{Fault, KEY, List};
use crate::support::program::{err, out, tollgate};
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
