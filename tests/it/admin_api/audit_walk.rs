//! Every call that changes something leaves an entry in the audit: who, from what, to what, and why,
//! and no secret. Which calls there are the description of the API says, so that a new one cannot
//! be forgotten here.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::domain::id::AppSlug;
use tollgate::store::{AuditFilter, AuditRecord, Window};

use super::reasons::taken;
use super::rig::{NOW, Rig, id_of};
use super::tenants::routes;
use crate::composer::repository::{Repository, Served, Shape};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

/// POSTs that change nothing.
const READS: [&str; 4] = [
    "/apps/{slug}/licenses/validate",
    "/constraints/evaluate",
    "/licenses/validate",
    "/policy/simulate",
];

/// Operations whose details tell what there is to tell without a `from`: what is made or removed
/// as a whole, and what is ordered to be done later.
const WITHOUT_FROM: [&str; 15] = [
    "create",
    "delete",
    "purge",
    "event_dismiss",
    "event_dismiss_many",
    "event_replay",
    "event_replay_many",
    "event_replay_cancel",
    "hook_resend",
    "hook_rotate",
    "hook_test",
    "portal_link",
    "reconcile",
    "reconcile_cancel",
    "unflag",
];

const SECRET: &str = "whsec_of_nobody_else_0123456789";

/// Who makes the calls, and what became of them.
struct Walk<'a> {
    rig: &'a Rig,
    token: String,
    actor: String,
    /// What must stand in no entry.
    secrets: Vec<String>,
    /// The calls made, with the path as the description has it.
    made: BTreeSet<(String, String)>,
}

impl Walk<'_> {
    /// Makes a call. `route` is the path as described, with its variable parts' values after it.
    async fn call(
        &mut self,
        (method, route): (&str, &str),
        values: &[&str],
        body: Value,
        operations: &[&str],
    ) -> Value {
        let mut path = route.to_owned();
        for value in values {
            let (start, end) = (path.find('{').unwrap(), path.find('}').unwrap());
            path.replace_range(start..=end, value);
        }
        let before = self.entries().await.last().map_or(0, |entry| entry.seq);
        let mut body = Some(body).filter(|body| !body.is_null());
        let reason = format!("because of {method} {route}");
        let taken = taken(method, route);
        if let Some(taken) = taken {
            taken.put(&mut path, &mut body, &reason);
        }
        let answer = self.rig.as_admin(&self.token, method, &path, body).await;
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        self.made.insert((method.to_owned(), route.to_owned()));
        self.secrets
            .extend(answer.body["token"].as_str().map(str::to_owned));
        self.secrets
            .extend(answer.body["secret"].as_str().map(str::to_owned));

        let mut new = self.entries().await;
        new.retain(|entry| entry.seq > before);
        let found: Vec<&str> = new.iter().map(|it| it.operation.as_str()).collect();
        assert_eq!(found, operations, "{method} {path}: {new:?}");
        for entry in &new {
            assert_eq!(entry.actor, self.actor, "{method} {path}");
            let tells = entry.details.get("from").is_some()
                || WITHOUT_FROM.contains(&entry.operation.as_str());
            assert!(tells, "{method} {path}: {entry:?}");
            let told = entry.details["reason"].as_str();
            let wanted = taken.is_some().then_some(reason.as_str());
            assert_eq!(told, wanted, "{method} {path}: {entry:?}");
        }
        answer.body
    }

    /// All entries, oldest first, but those of apps that are gone.
    async fn entries(&self) -> Vec<AuditRecord> {
        let mut tx = self.rig.store.read().await.unwrap();
        let mut all = Vec::new();
        for app in tx.app_list().await.unwrap() {
            all.extend(entries_of(&mut tx, &app.slug).await);
        }
        all.sort_by_key(|entry| entry.seq);
        all
    }
}

async fn entries_of(tx: &mut tollgate::store::Tx, app: &AppSlug) -> Vec<AuditRecord> {
    let (filter, everything) = (
        AuditFilter::default(),
        Window::Page {
            number: 1,
            size: 1_000,
        },
    );
    tx.audit_list(app, &filter, &everything).await.unwrap().rows
}

/// The calls that may change something, as the API describes itself.
fn described() -> BTreeSet<(String, String)> {
    let changes =
        |(method, route): &(String, String)| method != "GET" && !READS.contains(&route.as_str());
    routes().into_iter().filter(changes).collect()
}

async fn every_call_that_changes_something_is_audited(engine: Engine) {
    let rig = Rig::start(engine).await;
    let account = stripe_customer("cus_1", "one@x.com");
    rig.happens(&stripe_event(
        "evt_1",
        "customer.created",
        NOW - 50,
        account,
    ))
    .await;
    let object = json!({"id": "sub_1", "object": "subscription", "customer": "cus_1",
        "status": "active", "items": {"data": [{"price": {"id": "price_without_plan"}}]}});
    let subscribed = "customer.subscription.created";
    rig.happens(&stripe_event("evt_2", subscribed, NOW - 40, object))
        .await;
    let body = json!({"name": "walker", "role": "owner"});
    let owner = rig.post("/admin-tokens", body).await.expect(201);
    let token = owner["token"].as_str().unwrap().to_owned();
    let mut walk = Walk {
        rig: &rig,
        actor: format!("admin:{}", id_of(&owner)),
        secrets: vec![SECRET.to_owned(), token.clone()],
        token,
        made: BTreeSet::new(),
    };
    tenants(&mut walk).await;
    customers(&mut walk).await;
    what_is_sold(&mut walk).await;

    let described = described();
    let missing: Vec<_> = described.difference(&walk.made).collect();
    assert!(missing.is_empty(), "not walked: {missing:?}");
    let written = format!("{:?}", walk.entries().await);
    for secret in &walk.secrets {
        assert!(!written.contains(secret.as_str()), "{secret}");
    }
}

async fn tenants(walk: &mut Walk<'_>) {
    let none = Value::Null;
    let body = json!({"slug": "acme", "name": "Acme"});
    walk.call(("POST", "/apps"), &[], body, &["app_create"])
        .await;
    let body = json!({"name": "Acme Inc"});
    walk.call(("PATCH", "/apps/{slug}"), &["acme"], body, &["app_rename"])
        .await;
    let body = json!({"connected_accounts": ["acct_1"]});
    walk.call(("PUT", "/apps/{slug}"), &["acme"], body, &["app_settings"])
        .await;
    let body = json!({"reason": "a migration"});
    let pause = ("POST", "/apps/{slug}/pause");
    walk.call(pause, &["acme"], body, &["app_pause"]).await;
    let resume = ("POST", "/apps/{slug}/resume");
    walk.call(resume, &["acme"], json!({}), &["app_resume"])
        .await;
    let secrets = "/apps/{slug}/endpoints/{provider}/secrets";
    let at = ["acme", "stripe"];
    let body = json!({"secret": SECRET});
    let made = walk
        .call(("POST", secrets), &at, body, &["secret_add"])
        .await;
    let one = format!("{secrets}/{{id}}");
    let at = ["acme", "stripe", &id_of(&made)];
    let body = json!({"expires_at": "2026-02-01T00:00:00Z"});
    walk.call(("PATCH", &one), &at, body, &["secret_expire"])
        .await;
    walk.call(("DELETE", &one), &at, none.clone(), &["secret_delete"])
        .await;

    let key = "/apps/{slug}/endpoints/{provider}/api-key";
    let at = ["acme", "stripe"];
    let text = "rk_live_of_nobody_else";
    walk.secrets.push(text.to_owned());
    let body = json!({"key": text});
    walk.call(("PUT", key), &at, body, &["api_key_put"]).await;
    walk.call(("DELETE", key), &at, none.clone(), &["api_key_delete"])
        .await;

    let hooks = "/apps/{slug}/hooks";
    let body = json!({"url": "https://x.example/hook"});
    let made = walk
        .call(("POST", hooks), &["acme"], body, &["hook_create"])
        .await;
    let one = format!("{hooks}/{{id}}");
    let id = id_of(&made);
    let at = ["acme", id.as_str()];
    let body = json!({"description": "ours"});
    walk.call(("PATCH", &one), &at, body, &["hook_change"])
        .await;
    let rotate = format!("{one}/rotate-secret");
    walk.call(("POST", &rotate), &at, json!({}), &["hook_rotate"])
        .await;
    let trial = format!("{one}/test");
    let tried = walk
        .call(("POST", &trial), &at, json!({}), &["hook_test"])
        .await;
    let resend = format!("{one}/deliveries/{{delivery}}/resend");
    let of = ["acme", id.as_str(), &id_of(&tried)];
    walk.call(("POST", &resend), &of, json!({}), &["hook_resend"])
        .await;
    walk.call(("DELETE", &one), &at, none.clone(), &["hook_delete"])
        .await;

    let body = json!({"name": "ci", "role": "viewer", "app": "acme"});
    let made = ["admin_token_create"];
    let made = walk.call(("POST", "/admin-tokens"), &[], body, &made).await;
    let revoke = ("DELETE", "/admin-tokens/{id}");
    let id = id_of(&made);
    walk.call(revoke, &[&id], none.clone(), &["admin_token_revoke"])
        .await;
    of_an_app(walk).await;
}

/// The calls that name the app in their path.
async fn of_an_app(walk: &mut Walk<'_>) {
    let none = Value::Null;
    let made = ["create", "token_create"];
    let customers = "/apps/{slug}/customers";
    let body = json!({"email": "ada@x.com"});
    let customer = walk.call(("POST", customers), &["acme"], body, &made).await;
    let id = id_of(&customer["data"]);
    let get_or_create = format!("{customers}/get-or-create");
    let body = json!({"email": "bob@x.com"});
    walk.call(("POST", &get_or_create), &["acme"], body, &made)
        .await;
    let (one, at) = (format!("{customers}/{{id}}"), ["acme", id.as_str()]);
    for method in ["PUT", "PATCH"] {
        let body = json!({"user_id": method});
        walk.call((method, &one), &at, body, &["update_profile"])
            .await;
    }
    let licenses = "/apps/{slug}/licenses";
    let body = json!({"customer_id": id, "product": "Tool"});
    let license = walk
        .call(("POST", licenses), &["acme"], body, &["license_create"])
        .await;
    acts_on_a_license(walk, licenses, &["acme"], &license["data"]).await;
    walk.call(("DELETE", &one), &at, none, &["delete", "purge"])
        .await;
}

async fn acts_on_a_license(walk: &mut Walk<'_>, licenses: &str, within: &[&str], license: &Value) {
    let id = id_of(license);
    let at = &[within, &[id.as_str()]].concat()[..];
    let one = format!("{licenses}/{{id}}");
    let activate = format!("{licenses}/activate");
    let place = json!({"key": license["key"], "fingerprint": "f"});
    let added = ["activation_add"];
    let active = walk
        .call(("POST", &activate), within, place.clone(), &added)
        .await;
    let deactivate = format!("{licenses}/deactivate");
    let removed = ["activation_delete"];
    walk.call(("POST", &deactivate), within, place.clone(), &removed)
        .await;
    let again = walk.call(("POST", &activate), within, place, &added).await;
    let [active, again] = [&active, &again].map(|it| it.get("data").unwrap_or(it)["id"].clone());
    assert_ne!(active, again);
    let activation = format!("{one}/activations/{{activation_id}}");
    let place = [at, &[again.as_str().unwrap()]].concat();
    walk.call(("DELETE", &activation), &place, json!(null), &removed)
        .await;
    let end = json!({"expires_at": "2027-01-01T00:00:00Z"});
    walk.call(("PATCH", &one), at, end, &["license_change"])
        .await;
    for (act, body, operation) in [
        ("revoke", json!({}), "license_revoke"),
        ("reinstate", json!({}), "license_reinstate"),
        ("renew", json!({"days": 30}), "license_renew"),
        ("reissue", json!({}), "license_reissue"),
    ] {
        let route = format!("{one}/{act}");
        walk.call(("POST", &route), at, body, &[operation]).await;
    }
    walk.call(("DELETE", &one), at, json!(null), &["license_delete"])
        .await;
}

async fn customers(walk: &mut Walk<'_>) {
    let none = Value::Null;
    let made = ["create", "token_create"];
    let body = json!({"name": "Ada", "email": "ada@x.com"});
    let customer = walk.call(("POST", "/customers"), &[], body, &made).await;
    let body = json!({"name": "Bob"});
    let get_or_create = ("POST", "/customers/get-or-create");
    let other = walk.call(get_or_create, &[], body, &made).await;
    let id = id_of(&customer);
    let at = [id.as_str()];
    for method in ["PUT", "PATCH"] {
        let body = json!({"user_id": method});
        walk.call((method, "/customers/{id}"), &at, body, &["update_profile"])
            .await;
    }
    for act in ["suspend", "expire", "freeze", "reactivate"] {
        let route = format!("/customers/{{id}}/{act}");
        walk.call(("POST", &route), &at, json!({}), &[act]).await;
    }

    let link = ("POST", "/customers/{id}/portal-link");
    walk.call(link, &at, json!({"expires_in": 60}), &["portal_link"])
        .await;

    let accounts = "/customers/{id}/accounts";
    let body = json!({"account": "stripe_cus_9"});
    let linked = ["pin_account", "update_external_id", "link_account"];
    walk.call(("POST", accounts), &at, body, &linked).await;
    let account = format!("{accounts}/{{account}}");
    let value = [id.as_str(), "cus_9"];
    let parted = [
        "pin_account",
        "update_external_id",
        "create",
        "link_account",
    ];
    walk.call(("DELETE", &account), &value, none.clone(), &parted)
        .await;

    let packages = "/customers/{id}/packages";
    let body = json!({"package": "acme/one", "constraint": "^1.0"});
    walk.call(("POST", packages), &at, body, &["grant"]).await;
    let body = json!({"packages": [{"package": "acme/one"}, {"package": "acme/two"}]});
    walk.call(("PUT", packages), &at, body, &["grant"]).await;
    let one = format!("{packages}/{{package}}");
    let value = [id.as_str(), "acme%2Fone"];
    walk.call(("DELETE", &one), &value, none.clone(), &["revoke"])
        .await;
    let two = format!("{packages}/{{vendor}}/{{name}}");
    let value = [id.as_str(), "acme", "two"];
    walk.call(("DELETE", &two), &value, none.clone(), &["revoke"])
        .await;

    let tokens = "/customers/{id}/tokens";
    let body = json!({"name": "ci"});
    let made = walk
        .call(("POST", tokens), &at, body, &["token_create"])
        .await;
    let token = id_of(&made);
    let value = [id.as_str(), token.as_str()];
    let one = format!("{tokens}/{{token_id}}");
    let rotate = format!("{one}/rotate");
    walk.call(("POST", &rotate), &value, none.clone(), &["token_rotate"])
        .await;
    walk.call(("DELETE", &one), &value, none.clone(), &["token_revoke"])
        .await;
    let regenerate = ("POST", "/customers/{id}/token/regenerate");
    let both = ["token_revoke", "token_create"];
    walk.call(regenerate, &at, none.clone(), &both).await;
    let first = ("DELETE", "/customers/{id}/token");
    walk.call(first, &at, none.clone(), &["token_revoke"]).await;

    let body = json!({"customer_id": id, "product": "Tool"});
    let license = walk
        .call(("POST", "/licenses"), &[], body, &["license_create"])
        .await;
    acts_on_a_license(walk, "/licenses", &[], &license).await;
    let delete = ("DELETE", "/customers/{id}");
    let other = id_of(&other);
    walk.call(delete, &[&other], none, &["delete", "purge"])
        .await;
}

async fn what_is_dismissed(walk: &mut Walk<'_>) {
    for id in ["evt_failed_1", "evt_failed_2"] {
        let broken = stripe_event(id, "customer.subscription.updated", NOW, json!({"id": "s"}));
        walk.rig.has_failed(&broken).await;
    }
    let dismiss = ("POST", "/events/{id}/dismiss");
    walk.call(dismiss, &["evt_failed_1"], json!({}), &["event_dismiss"])
        .await;
    let dismiss = ("POST", "/events/dismiss");
    let body = json!({"filter": {}});
    walk.call(dismiss, &[], body, &["event_dismiss_many"]).await;
}

async fn what_is_sold(walk: &mut Walk<'_>) {
    let none = Value::Null;
    let plan = "/plans/{provider}/{price_id}";
    let value = ["stripe", "price_1"];
    let body = json!({"packages": [{"package": "acme/one"}]});
    walk.call(("PUT", plan), &value, body, &["plan_put"]).await;
    walk.call(("DELETE", plan), &value, none.clone(), &["plan_delete"])
        .await;
    let plan = "/plans/{provider}/{account}/{price_id}";
    let value = ["stripe", "acct_1", "price_1"];
    let body = json!({"packages": [{"package": "acme/one"}]});
    walk.call(("PUT", plan), &value, body, &["plan_put"]).await;
    walk.call(("DELETE", plan), &value, none.clone(), &["plan_delete"])
        .await;
    let flags = walk.rig.get("/flags").await.expect(200);
    let flag = id_of(&flags["data"][0]);
    let clear = ("DELETE", "/flags/{id}");
    walk.call(clear, &[&flag], none.clone(), &["unflag"]).await;
    let releases = ("POST", "/packages/{vendor}/{name}/releases");
    let body = json!({"version": "1.0.0"});
    walk.call(releases, &["acme", "one"], body, &["release_add"])
        .await;
    let whole: &[&str] = &["@acme%2Fui"];
    let parts: &[&str] = &["@acme", "ui"];
    for (route, values) in [
        ("/packages/{package}", whole),
        ("/packages/{vendor}/{name}", parts),
    ] {
        let body = json!({"versions": "semver"});
        let put = &["package_put"];
        walk.call(("PUT", route), values, body, put).await;
        walk.call(("DELETE", route), values, none.clone(), &["package_delete"])
            .await;
    }
    let releases = ("POST", "/packages/{package}/releases");
    let body = json!({"version": "1.0.0"});
    walk.call(releases, &["acme%2Ftwo"], body, &["release_add"])
        .await;
    let release = ("DELETE", "/packages/{package}/releases/{version}");
    let value = ["acme%2Ftwo", "1.0"];
    walk.call(release, &value, none.clone(), &["release_remove"])
        .await;
    let has = [("acme/one", "1.1.0", "2026-01-01T00:00:00Z")];
    let repository = Repository::new(Shape::Inline, &has);
    let served = Served::start(&repository, Some("Bearer rep_of_nobody_else")).await;
    walk.secrets.push("rep_of_nobody_else".to_owned());
    let body = json!({"repository": {"url": served.base, "token": "rep_of_nobody_else"}});
    let change = ("PATCH", "/apps/{slug}");
    walk.call(change, &["default"], body, &["app_registry"])
        .await;
    let refresh = ("POST", "/packages/refresh");
    walk.call(refresh, &[], Value::Null, &["release_add"]).await;
    let release = ("DELETE", "/packages/{vendor}/{name}/releases/{version}");
    let value = ["acme", "one", "1.0.0"];
    walk.call(release, &value, none.clone(), &["release_remove"])
        .await;
    let body = json!({"force": true});
    walk.call(
        ("POST", "/events/{id}/replay"),
        &["evt_1"],
        body,
        &["event_replay"],
    )
    .await;
    let body = json!({"filter": {}});
    walk.call(
        ("POST", "/events/replay"),
        &[],
        body,
        &["event_replay_many"],
    )
    .await;
    let listed = walk.rig.get("/replays").await.expect(200);
    let replay = listed["data"][0]["id"].as_str().unwrap();
    let cancel = ("POST", "/replays/{id}/cancel");
    walk.call(cancel, &[replay], json!({}), &["event_replay_cancel"])
        .await;
    let body = json!({"provider": "stripe"});
    let ordered = walk
        .call(("POST", "/reconciles"), &[], body, &["reconcile"])
        .await;
    let reconcile = ordered["id"].as_str().unwrap();
    let cancel = ("POST", "/reconciles/{id}/cancel");
    walk.call(cancel, &[reconcile], json!({}), &["reconcile_cancel"])
        .await;
    what_is_dismissed(walk).await;
    let body = json!({"on_end": "expire"});
    walk.call(("PUT", "/policy"), &[], body, &["policy_put"])
        .await;
    walk.call(("DELETE", "/apps/{slug}"), &["acme"], none, &["app_delete"])
        .await;
}

async fn what_an_event_changed_stands_in_the_audit_too(engine: Engine) {
    let rig = Rig::start(engine).await;
    let account = stripe_customer("cus_1", "one@x.com");
    let object = |status: &str| {
        json!({"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status,
            "items": {"data": [{"price": {"id": "price_1"}}]}})
    };
    let created = "customer.subscription.created";
    let updated = "customer.subscription.updated";
    let events = [
        stripe_event("evt_1", "customer.created", NOW - 50, account),
        stripe_event("evt_2", created, NOW - 40, object("active")),
        stripe_event("evt_3", updated, NOW - 30, object("past_due")),
        stripe_event("evt_4", updated, NOW - 20, object("active")),
        stripe_event("evt_5", "price.created", NOW - 10, json!({"id": "price_1"})),
    ];
    for event in &events {
        rig.happens(event).await;
        let id = event["id"].as_str().unwrap();
        let shown = rig.get(&format!("/events/{id}")).await.expect(200);
        let changes = shown["changes"].as_array().unwrap();
        let audit = rig
            .get(&format!("/audit?event_id={id}&page_size=100"))
            .await;
        let audit = audit.expect(200);
        let mut entries = audit["data"].as_array().unwrap().clone();
        entries.reverse();
        assert_eq!(entries.len(), changes.len(), "{id}: {audit}");
        for (entry, change) in entries.iter().zip(changes) {
            assert_eq!(entry["operation"], change["operation"], "{id}");
            assert_eq!(entry["customer_id"], change["customer"], "{id}");
            assert_eq!(entry["actor"], format!("event:stripe:{id}"));
        }
        assert_eq!(changes.is_empty(), id == "evt_5", "{id}: {shown}");
    }
}

on_both_stores! {
    every_call_that_changes_something_is_audited,
    what_an_event_changed_stands_in_the_audit_too,
}
