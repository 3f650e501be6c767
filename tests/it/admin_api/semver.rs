//! Packages that are declared `versions: semver`.

use serde_json::{Value, json};

use tollgate::domain::access::plan::PackageGrant;
use tollgate::domain::access::release::Release;
use tollgate::domain::access::versions::Scheme;
use tollgate::domain::id::AppSlug;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::setup::{Environment, prepare};
use tollgate::provider::STRIPE;
use tollgate::store::Actor;

use super::rig::{Answer, NOW, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

const COMMIT: &str = "5d41402abc4b2a76b9719d911017c592ae1f3c25";

async fn declared(rig: &Rig, packages: &[&str]) {
    for package in packages {
        let path = format!("/packages/{}", package.replace('/', "%2F"));
        let body = json!({"versions": "semver"});
        rig.put(&path, body).await.expect(201);
    }
}

/// The code of the access check for a customer.
async fn code(rig: &Rig, customer: &str, package: &str, version: &str) -> String {
    let package = package.replace('/', "%2F").replace('@', "%40");
    let version = version.replace('+', "%2B");
    let path = format!("{customer}/access?package={package}&version={version}");
    let answer = rig.get(&path).await.expect(200);
    answer["code"].as_str().unwrap().to_owned()
}

async fn a_package_is_declared_shown_and_removed(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"versions": "semver"});
    for path in [
        "/packages/left-pad",
        "/packages/@acme%2Fui",
        "/packages/acme/desktop",
    ] {
        rig.get(path).await.refused(404, "package_not_found");
        assert_eq!(
            rig.put(path, body.clone()).await.expect(201)["changed"],
            true
        );
        assert_eq!(
            rig.put(path, body.clone()).await.expect(200)["changed"],
            false
        );
    }
    // A slash may stand as it is, or encoded.
    let shown = rig.get("/packages/@acme/ui").await.expect(200);
    let expected = json!({"package": "@acme/ui", "versions": "semver", "releases": 0});
    assert_eq!(shown, expected);
    let encoded = rig.get("/packages/%40acme%2Fui").await.expect(200);
    assert_eq!(encoded, expected);
    let listed = rig.get("/packages").await.expect(200);
    let names: Vec<&Value> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["package"])
        .collect();
    assert_eq!(names, ["@acme/ui", "acme/desktop", "left-pad"]);

    let composer = json!({"versions": "composer"});
    let back = rig
        .put("/packages/acme/desktop", composer.clone())
        .await
        .expect(200);
    assert_eq!(
        (&back["versions"], &back["changed"]),
        (&json!("composer"), &json!(true))
    );
    let problem = rig
        .put("/packages/left-pad", composer)
        .await
        .refused(422, "body_invalid");
    assert_eq!(problem["errors"][0]["field"], "versions");
    let said = problem["errors"][0]["message"].as_str().unwrap();
    assert!(!said.contains("declared"), "{said}");
    for (body, field) in [
        (json!({"versions": "npm"}), "versions"),
        (json!({}), "versions"),
        (json!({"versions": "semver", "name": "x"}), "name"),
    ] {
        let problem = rig
            .put("/packages/other", body.clone())
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    for path in [
        "/packages/Left-Pad",
        "/packages/@acme",
        "/packages/.hidden",
        "/packages/a%20b",
    ] {
        let problem = rig
            .put(path, body.clone())
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], "package", "{path}");
        rig.get(path).await.refused(404, "package_not_found");
    }
    rig.delete("/packages/@acme/ui").await.expect(204);
    rig.delete("/packages/@acme%2Fui")
        .await
        .refused(404, "package_not_found");
    let viewer = rig.admin("viewer", Some("default")).await;
    let answer = rig
        .as_admin(&viewer, "PUT", "/packages/x", Some(body))
        .await;
    assert_eq!(answer.status, 403);
    let audit = rig.get("/audit?operation=package_put").await.expect(200);
    assert_eq!(audit["data"].as_array().unwrap().len(), 4);
}

async fn grants_of_a_semver_package_are_read_by_semver(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = path_of(&rig.customer(json!({"name": "Acme"})).await);
    let path = format!("{customer}/packages");
    let ui = json!({"package": "@acme/ui", "constraint": ">=1.2, <1.9"});
    // Nobody declared it, so it has no name that Composer knows.
    let problem = rig
        .post(&path, ui.clone())
        .await
        .refused(422, "body_invalid");
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors[0]["field"], "package");
    assert!(
        errors[0]["message"].as_str().unwrap().contains("semver"),
        "{problem}"
    );

    declared(&rig, &["@acme/ui", "left-pad", "acme/desktop"]).await;
    rig.post(&path, ui).await.expect(201);
    let wrong = json!({"package": "left-pad", "constraint": "^1 || ^2"});
    let problem = rig
        .post(&path, wrong.clone())
        .await
        .refused(422, "body_invalid");
    assert_eq!(problem["errors"][0]["field"], "constraint");
    let both = json!({"packages": [{"package": "left-pad"}, wrong]});
    rig.put(&path, both).await.refused(422, "body_invalid");
    let list = json!({"packages": [
        {"package": "acme/tool", "constraint": "^1 || ^2"},
        {"package": "left-pad", "constraint": "1.0 - 2.0"},
    ]});
    let problem = rig.put(&path, list).await.refused(422, "body_invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 1);
    assert_eq!(problem["errors"][0]["field"], "packages[1].constraint");
    let bare = json!({"package": "left-pad", "constraint": "1.2.0"});
    rig.post(&path, bare).await.expect(201);
    let tool = json!({"package": "acme/tool", "constraint": "1.2.0"});
    rig.post(&path, tool).await.expect(201);

    for (package, version, expected) in [
        ("@acme/ui", "1.2.0", "ok"),
        ("@acme/ui", "1.8.10+linux.x64", "ok"),
        ("@Acme/UI", "1.8.10", "ok"),
        ("@acme/ui", "1.9.0", "version_not_allowed"),
        ("@acme/ui", "1.3.0-beta.1", "version_not_allowed"),
        ("@acme/ui", "v1.3.0", "version_not_allowed"),
        ("@acme/ui", "", "ok"),
        ("left-pad", "1.3.0", "ok"),
        ("acme/tool", "1.3.0", "version_not_allowed"),
        ("acme/desktop", "1.0.0", "package_not_granted"),
    ] {
        assert_eq!(
            code(&rig, &customer, package, version).await,
            expected,
            "{package} {version}"
        );
    }
    rig.delete(&format!("{path}/@acme%2Fui")).await.expect(204);
    rig.delete(&format!("{path}/left-pad")).await.expect(204);
}

async fn a_token_sees_the_scheme_of_each_package(engine: Engine) {
    let rig = Rig::start(engine).await;
    declared(&rig, &["@acme/ui"]).await;
    let made = rig.customer(json!({"name": "Acme"})).await;
    let customer = path_of(&made);
    for body in [
        json!({"package": "@acme/ui", "constraint": "^1.2"}),
        json!({"package": "acme/tool", "constraint": "^1.2"}),
    ] {
        rig.post(&format!("{customer}/packages"), body)
            .await
            .expect(201);
    }
    let token = json!({"name": "npm", "packages": ["@acme/*"]});
    let token = rig
        .post(&format!("{customer}/tokens"), token)
        .await
        .expect(201);
    let ask = async |path: &str| -> Answer {
        let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
        rig.send("GET", path, &[("authorization", &bearer)], None)
            .await
    };
    let listed = ask("/access/packages").await.expect(200);
    assert_eq!(listed["packages"].as_object().unwrap().len(), 1, "{listed}");
    let ui = &listed["packages"]["@acme/ui"];
    assert_eq!(
        (&ui["scheme"], &ui["constraint"]),
        (&json!("semver"), &json!("^1.2"))
    );
    let path = "/access?package=@acme%2Fui&version=1.9.0";
    assert_eq!(ask(path).await.expect(200)["code"], "ok");
    let path = "/access?package=acme/tool&version=1.9.0";
    assert_eq!(ask(path).await.expect(403)["code"], "token_scope");
}

async fn releases_and_freezing_go_by_semver(engine: Engine) {
    let rig = Rig::start(engine).await;
    declared(&rig, &["@acme/ui"]).await;
    let customer = path_of(&rig.customer(json!({"name": "Acme"})).await);
    let grant = json!({"package": "@acme/ui", "constraint": "^1"});
    rig.post(&format!("{customer}/packages"), grant)
        .await
        .expect(201);
    let releases = "/packages/@acme%2Fui/releases";
    let several = json!({"releases": [
        {"version": "1.10.0", "released_at": "2026-01-02T00:00:00.000Z"},
        {"version": "1.9.0+build.5", "released_at": "2026-01-01T00:00:00.000Z"},
        {"version": "1.11.0", "released_at": "2026-01-04T00:00:00.000Z"},
        {"version": "2.0.0-rc.1", "released_at": "2026-01-01T00:00:00.000Z"},
    ]});
    rig.post(releases, several).await.expect(201);
    // The same version, whatever its build.
    let again = json!({"version": "1.9.0"});
    let again = rig
        .post("/packages/@acme/ui/releases", again)
        .await
        .expect(200);
    assert_eq!(
        (&again["normalized"], &again["released_at"]),
        (&json!("1.9.0"), &json!("2026-01-01T00:00:00.000Z"))
    );
    let wrong = json!({"releases": [{"version": "1.0.0"}, {"version": "v1.0"}]});
    let problem = rig.post(releases, wrong).await.refused(422, "body_invalid");
    assert_eq!(problem["errors"][0]["field"], "releases[1].version");
    rig.post("/packages/left-pad/releases", json!({"version": "1.0.0"}))
        .await
        .refused(404, "package_not_found");
    let listed = rig.get(releases).await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 4);
    let shown = rig.get("/packages/@acme/ui").await.expect(200);
    assert_eq!(shown["releases"], 4);

    let at = json!({"at": "2026-01-03T00:00:00.000Z"});
    let frozen = rig
        .post(&format!("{customer}/freeze"), at)
        .await
        .expect(200);
    let versions: Vec<&Value> = frozen["frozen_versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["version"])
        .collect();
    assert_eq!(versions, ["1.9.0", "1.10.0"], "by precedence");
    for (version, expected) in [
        ("1.9.0", "ok"),
        ("1.9.0+other", "ok"),
        ("1.10.0", "ok"),
        ("1.11.0", "version_not_frozen"),
        ("2.0.0-rc.1", "version_not_allowed"),
    ] {
        assert_eq!(
            code(&rig, &customer, "@acme/ui", version).await,
            expected,
            "{version}"
        );
    }
    let holders = rig.get("/packages/@acme%2Fui/customers").await.expect(200);
    assert_eq!(holders["data"][0]["code"], "ok");

    let wrong = json!({"versions": [
        {"package": "@acme/ui", "version": "1.9"},
        {"package": "acme/tool", "version": "1.9"},
        {"package": "left-pad", "version": "1.0.0"},
    ]});
    let problem = rig
        .post(&format!("{customer}/freeze"), wrong)
        .await
        .refused(422, "body_invalid");
    let fields: Vec<&Value> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["field"])
        .collect();
    assert_eq!(fields, ["versions[0].version", "versions[2].package"]);
    let list = json!({"versions": [{"package": "@acme/ui", "version": "2.0.0-rc.1+x"}]});
    rig.post(&format!("{customer}/freeze"), list)
        .await
        .expect(200);
    assert_eq!(code(&rig, &customer, "@acme/ui", "2.0.0-rc.1").await, "ok");
    assert_eq!(
        code(&rig, &customer, "@acme/ui", "1.9.0").await,
        "version_not_frozen"
    );
}

async fn a_plan_gives_a_semver_package_at_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    let account = stripe_customer("cus_1", "one@x.com");
    let paid = stripe_subscription("sub_1", "cus_1", "active");
    let events = [
        stripe_event("evt_1", "customer.created", NOW - 50, account),
        stripe_event("evt_2", "customer.subscription.created", NOW - 40, paid),
    ];
    rig.happen(&events).await;
    let plan = "/plans/stripe/price_basic";
    let body = json!({"packages": [{"package": "left-pad", "constraint": "~1.2, >=1.2.3"}]});
    let problem = rig
        .put(plan, body.clone())
        .await
        .refused(422, "body_invalid");
    assert_eq!(problem["errors"][0]["field"], "packages[0].package");
    declared(&rig, &["left-pad"]).await;
    rig.put(plan, body).await.expect(201);
    let customer = rig.get("/customers/by-external/cus_1").await.expect(200);
    let customer = path_of(&customer);
    for (version, expected) in [
        ("1.2.3", "ok"),
        ("1.2.2", "version_not_allowed"),
        ("1.3.0", "version_not_allowed"),
    ] {
        assert_eq!(
            code(&rig, &customer, "left-pad", version).await,
            expected,
            "{version}"
        );
    }
    let wrong = json!({"packages": [{"package": "left-pad", "constraint": "1.2.3 || 2"}]});
    let problem = rig.put(plan, wrong).await.refused(422, "body_invalid");
    assert_eq!(problem["errors"][0]["field"], "packages[0].constraint");
}

async fn another_scheme_must_read_everything_that_is_there(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig.customer(json!({"name": "Acme"})).await;
    let customer = path_of(&made);
    let path = format!("{customer}/packages");
    let grant = json!({"package": "acme/tool", "constraint": "^1 || ^2"});
    rig.post(&path, grant).await.expect(201);
    let plan = json!({"packages": [{"package": "acme/tool", "constraint": "1.0 - 2.0"}]});
    rig.put("/plans/stripe/price_x", plan).await.expect(201);
    for version in ["1.0.0", "1.1", "2.0.0-beta1", "dev-main"] {
        let release = json!({"version": version});
        rig.post("/packages/acme/tool/releases", release)
            .await
            .expect(201);
    }
    let declare = "/packages/acme%2Ftool";
    let semver = json!({"versions": "semver"});
    let problem = rig
        .put(declare, semver.clone())
        .await
        .refused(409, "package_in_use");
    let said = problem["detail"].as_str().unwrap();
    let id = id_of(&made);
    for part in [
        "price_x",
        id.as_str(),
        "the release 1.1 ",
        "the release dev-main ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("2.0.0-beta1"), "{said}");
    assert_eq!(rig.get(declare).await.expect(200)["versions"], "composer");
    assert_eq!(code(&rig, &customer, "acme/tool", "v1.2").await, "ok");

    // What both can read changes its meaning, and nothing is lost.
    let other = json!({"package": "acme/kit", "constraint": "^1.0"});
    rig.put(&path, json!({"packages": [other]}))
        .await
        .expect(200);
    for version in ["1.0.0", "1.1.0-beta1"] {
        let release = json!({"version": version, "released_at": "2026-01-01T00:00:00.000Z",
            "reference": format!("of-{version}")});
        rig.post("/packages/acme/kit/releases", release)
            .await
            .expect(201);
    }
    assert_eq!(code(&rig, &customer, "acme/kit", "1.1.0-beta1").await, "ok");
    rig.put("/packages/acme/kit", semver).await.expect(201);
    let beta = code(&rig, &customer, "acme/kit", "1.1.0-beta1").await;
    assert_eq!(beta, "version_not_allowed");
    let known = rig.get("/packages/acme/kit/releases").await.expect(200);
    for version in ["1.1.0-beta1", "1.0.0"] {
        let release = json!({"package": "acme/kit", "version": version, "normalized": version,
            "released_at": "2026-01-01T00:00:00.000Z", "reference": format!("of-{version}")});
        let all = known["data"].as_array().unwrap();
        assert!(all.contains(&release), "{version}: {known}");
    }
    let again = json!({"version": "1.0.0+again"});
    rig.post("/packages/acme/kit/releases", again)
        .await
        .expect(200);
    rig.delete("/packages/acme/kit").await.expect(204);
    let known = rig.get("/packages/acme/kit/releases").await.expect(200);
    assert_eq!(known["data"].as_array().unwrap().len(), 2);
    assert_eq!(code(&rig, &customer, "acme/kit", "1.1.0-beta1").await, "ok");

    // A name that Composer does not have cannot lose its declaration while something names it.
    declared(&rig, &["left-pad"]).await;
    rig.post(&path, json!({"package": "left-pad"}))
        .await
        .expect(201);
    rig.delete("/packages/left-pad")
        .await
        .refused(409, "package_in_use");
    rig.delete(&format!("{path}/left-pad")).await.expect(204);
    for version in ["1.0.0", "1.1.0"] {
        let release = json!({"version": version});
        rig.post("/packages/left-pad/releases", release)
            .await
            .expect(201);
    }
    let problem = rig
        .delete("/packages/left-pad")
        .await
        .refused(409, "package_in_use");
    let said = problem["detail"].as_str().unwrap();
    for part in [
        "the release 1.0.0 (",
        "the release 1.1.0 (",
        "vendor/package",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("declared"), "{said}");
    for version in ["1.0.0+build", "1.1.0"] {
        rig.delete(&format!("/packages/left-pad/releases/{version}"))
            .await
            .expect(204);
    }
    rig.delete("/packages/left-pad").await.expect(204);
}

async fn what_stands_in_the_way_of_a_scheme_can_be_removed(engine: Engine) {
    let rig = Rig::start(engine).await;
    for version in ["1.0.0+linux", "1.1", "dev-main"] {
        let release = json!({"version": version});
        rig.post("/packages/acme/tool/releases", release)
            .await
            .expect(201);
    }
    let semver = json!({"versions": "semver"});
    let declare = async || rig.put("/packages/acme/tool", semver.clone()).await;
    declare().await.refused(409, "package_in_use");
    for version in ["1.1.0", "dev-main"] {
        rig.delete(&format!("/packages/acme/tool/releases/{version}"))
            .await
            .expect(204);
    }
    declare().await.expect(201);

    // A release of another scheme, as an older server may have left it.
    let app = AppSlug::default_app();
    let old = Release::new(Scheme::Composer, "acme/tool", "v2.0", rig.now()).unwrap();
    let mut tx = rig.store.begin().await.unwrap();
    tx.release_put(&app, &[old], rig.now()).await.unwrap();
    tx.commit().await.unwrap();
    rig.delete("/packages/acme%2Ftool/releases/v2.0.0")
        .await
        .refused(404, "release_not_found");
    for version in ["v2.0", "1.0.0"] {
        rig.delete(&format!("/packages/acme%2Ftool/releases/{version}"))
            .await
            .expect(204);
    }
    assert_eq!(
        rig.get("/packages/acme/tool").await.expect(200)["releases"],
        0
    );
}

/// Names that are those of calls too.
async fn any_name_can_be_written_in_a_path(engine: Engine) {
    let rig = Rig::start(engine).await;
    let semver = json!({"versions": "semver"});
    for (path, name) in [
        ("%72efresh", "refresh"),
        ("acme%2Freleases", "acme/releases"),
        ("acme%2Fcustomers", "acme/customers"),
        ("%40acme%2Freleases", "@acme/releases"),
    ] {
        let plain = format!("/packages/{name}");
        let refused = rig.put(&plain, semver.clone()).await;
        assert_eq!(refused.status, 405, "{name}: {}", refused.body);
        let path = format!("/packages/{path}");
        rig.put(&path, semver.clone()).await.expect(201);
        let releases = format!("{path}/releases");
        rig.post(&releases, json!({"version": "1.0.0"}))
            .await
            .expect(201);
        let shown = rig.get(&path).await.expect(200);
        let expected = json!({"package": name, "versions": "semver", "releases": 1});
        assert_eq!(shown, expected);
        rig.get(&format!("{path}/customers")).await.expect(200);
        rig.delete(&format!("{releases}/1.0.0")).await.expect(204);
        rig.delete(&path).await.expect(204);
    }
}

/// A Composer repository has no such package, whatever it has under its name.
async fn a_path_of_composers_gives_no_semver_package(engine: Engine) {
    let rig = Rig::start(engine).await;
    declared(&rig, &["acme/desktop"]).await;
    let made = rig.customer(json!({"name": "Acme"})).await;
    let grant = json!({"package": "acme/desktop", "constraint": ">=1.0.0-0"});
    rig.post(&format!("{}/packages", path_of(&made)), grant)
        .await
        .expect(201);
    let release = json!({"version": "1.0.0", "reference": COMMIT});
    rig.post("/packages/acme/desktop/releases", release)
        .await
        .expect(201);
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let ask = async |headers: &[(&str, &str)]| -> Answer {
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        rig.send("GET", "/access", &all, None).await
    };
    for uri in [
        "/p2/acme/desktop.json",
        "/p2/acme/desktop~dev.json",
        "/dist/acme/desktop/1.0.0.zip",
        "/dist/acme/desktop/1.0.0-abcdef.zip",
        "/dist/acme/desktop/acme-desktop-1.0.0-abcdef.zip",
        &format!("/dist/acme/desktop/{COMMIT}.zip"),
    ] {
        let nginx = ask(&[("x-original-uri", uri)]).await;
        let code = (nginx.status, &nginx.body["code"]);
        assert_eq!(code, (403, &json!("package_not_granted")), "{uri}");
        let passed_on = if uri.starts_with("/p2") { 404 } else { 403 };
        let caddy = ask(&[("x-forwarded-uri", uri)]).await;
        let code = (caddy.status, &caddy.body["code"]);
        assert_eq!(code, (passed_on, &json!("package_not_granted")), "{uri}");
    }
    let both = [
        ("x-tollgate-package", "acme/desktop"),
        ("x-original-uri", "/p2/acme/desktop.json"),
    ];
    assert_eq!(ask(&both).await.status, 403);
    for version in ["1.0.0", "1.0.0-abcdef"] {
        let named = [
            ("x-tollgate-package", "acme/desktop"),
            ("x-tollgate-version", version),
        ];
        let answer = ask(&named).await.expect(200);
        assert_eq!(answer["version"], version);
    }
    assert_eq!(
        ask(&[("x-original-uri", "/packages.json")]).await.status,
        200
    );
}

async fn a_plan_that_waits_keeps_its_scheme_too(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.restarts_with_plan(&["acme/tool"]).await;
    let plans = rig.get("/plans").await.expect(200);
    let price = plans["data"][0]["price_id"].as_str().unwrap().to_owned();
    let body = json!({"packages": [{"package": "acme/tool", "constraint": "^1 || ^2"}]});
    rig.put(&format!("/plans/stripe/{price}"), body)
        .await
        .expect(200);
    rig.put("/packages/acme/tool", json!({"versions": "semver"}))
        .await
        .refused(409, "package_in_use");
}

async fn the_settings_declare_what_their_plans_name(engine: Engine) {
    let rig = Rig::start(engine).await;
    let starts = async |semver: &[&str], grants: &[(&str, &str)]| {
        let order = Order {
            app: AppSlug::default_app(),
            actor: Actor::Operator,
            now: rig.now(),
            reason: None,
        };
        let grant = |&(package, constraint): &(&str, &str)| PackageGrant {
            package: package.to_owned(),
            constraint: constraint.to_owned(),
        };
        let grants = grants.iter().map(grant).collect();
        let environment = Environment {
            plans: vec![(STRIPE.name, "price_1".to_owned(), grants)],
            semver_packages: semver.iter().map(|&it| it.to_owned()).collect(),
            ..Environment::default()
        };
        let prepared = prepare(&rig.store, &order, Some(&environment)).await;
        prepared.unwrap();
    };
    let scheme = async |path: &str| rig.get(path).await.expect(200)["versions"].clone();
    starts(&[], &[("acme/tool", "^1 || ^2")]).await;
    // The plan that named it otherwise is gone by then.
    starts(
        &["@acme/ui", "acme/tool"],
        &[("@acme/ui", "1.2.0"), ("acme/tool", "^1")],
    )
    .await;
    assert_eq!(scheme("/packages/@acme/ui").await, "semver");
    assert_eq!(scheme("/packages/acme/tool").await, "semver");
    starts(&[], &[("acme/tool", "^1")]).await;
    assert_eq!(scheme("/packages/acme/tool").await, "semver", "it stays");

    // What an admin granted is not taken away by a start.
    let customer = path_of(&rig.customer(json!({"name": "Acme"})).await);
    let grant = json!({"package": "acme/kit", "constraint": "^1 || ^2"});
    rig.post(&format!("{customer}/packages"), grant)
        .await
        .expect(201);
    starts(&["acme/kit"], &[("acme/kit", "^1")]).await;
    assert_eq!(scheme("/packages/acme/kit").await, "composer");
    assert_eq!(code(&rig, &customer, "acme/kit", "v2.1").await, "ok");
}

async fn a_constraint_is_tried_out_in_either_scheme(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = "/constraints/evaluate";
    let versions = json!(["1.2.0", "1.9.0", "1.10.0-rc.1", "1.2", "1.2.0+linux"]);
    for (scheme, expected, meaning) in [
        (json!(null), [true, false, false, true, true], "==1.2.0.0"),
        (
            json!("composer"),
            [true, false, false, true, true],
            "==1.2.0.0",
        ),
        (json!("semver"), [true, true, false, false, true], "^1.2.0"),
    ] {
        let mut body = json!({"constraint": "1.2.0", "versions": versions});
        if scheme.is_string() {
            body["scheme"] = scheme.clone();
        }
        let answer = rig.post(path, body).await.expect(200);
        let results = answer["results"].as_array().unwrap();
        let allowed: Vec<bool> = results
            .iter()
            .map(|it| it["allowed"].as_bool().unwrap())
            .collect();
        assert_eq!(allowed, expected, "{scheme}");
        assert_eq!(answer["meaning"], meaning);
        assert_eq!(answer["scheme"], scheme.as_str().unwrap_or("composer"));
    }
    let body = json!({"constraint": "^1 || ^2", "versions": [], "scheme": "semver"});
    rig.post(path, body)
        .await
        .refused(422, "constraint_invalid");
    let body = json!({"constraint": "^1", "versions": [], "scheme": "npm"});
    let problem = rig.post(path, body).await.refused(422, "body_invalid");
    assert_eq!(problem["errors"][0]["field"], "scheme");
}

on_both_stores! {
    a_package_is_declared_shown_and_removed,
    grants_of_a_semver_package_are_read_by_semver,
    a_token_sees_the_scheme_of_each_package,
    releases_and_freezing_go_by_semver,
    a_plan_gives_a_semver_package_at_once,
    another_scheme_must_read_everything_that_is_there,
    what_stands_in_the_way_of_a_scheme_can_be_removed,
    any_name_can_be_written_in_a_path,
    a_path_of_composers_gives_no_semver_package,
    a_plan_that_waits_keeps_its_scheme_too,
    the_settings_declare_what_their_plans_name,
    a_constraint_is_tried_out_in_either_scheme,
}
