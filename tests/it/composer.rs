//! The Composer repository of each customer.

mod again;
mod moved;
mod odd;
mod real;
pub(crate) mod repository;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use self::repository::{Repository, Served, Shape, VERSIONS, reference};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

const SHAPES: [Shape; 4] = [Shape::Plain, Shape::Minified, Shape::Satis, Shape::Inline];

/// A server with a repository.
struct Rig {
    server: TestServer,
    repository: Repository,
    upstream: Option<Served>,
}

/// An answer to a customer.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }
}

impl Rig {
    /// The repository is a folder, or is served over HTTP behind a password.
    async fn start(engine: Engine, shape: Shape, over_http: bool) -> Self {
        let mut repository = Repository::new(shape, &[]);
        let upstream = if over_http {
            let served = Served::start(&repository, Some("Basic dXNlcjpwYXNz")).await;
            repository.base = format!("{}/", served.base);
            Some(served)
        } else {
            None
        };
        repository.write(VERSIONS);
        let place = match &upstream {
            Some(served) => served.base.clone(),
            None => repository.path().display().to_string(),
        };
        let server = TestServer::start_with(engine, |environment| {
            environment.insert("TOLLGATE_REPOSITORY".into(), place.into());
            environment.insert("TOLLGATE_REPOSITORY_TOKEN".into(), "user:pass".into());
        })
        .await;
        Self {
            server,
            repository,
            upstream,
        }
    }

    /// The repository is a folder whose archives nginx sends.
    async fn behind_nginx(engine: Engine) -> Self {
        let repository = Repository::new(Shape::Plain, VERSIONS);
        let server = TestServer::start_with(engine, |environment| {
            let place = repository.path().display().to_string();
            environment.insert("TOLLGATE_REPOSITORY".into(), place.into());
            environment.insert("TOLLGATE_ACCEL_PREFIX".into(), "/files".into());
        })
        .await;
        Self {
            server,
            repository,
            upstream: None,
        }
    }

    /// Makes a customer with grants; its path and its token.
    async fn customer(&self, grants: &[(&str, &str)]) -> (String, String) {
        let (status, made) = self
            .server
            .call("POST", "/api/v1/customers", Some(json!({"name": "Ada"})))
            .await;
        assert_eq!(status, 201, "{made}");
        let path = format!("/api/v1/customers/{}", made["id"].as_str().unwrap());
        for (package, constraint) in grants {
            let grant = json!({"package": package, "constraint": constraint});
            self.post(&format!("{path}/packages"), grant).await;
        }
        (path, made["token"].as_str().unwrap().to_owned())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.server.call("POST", path, Some(body)).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    async fn ask(&self, token: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(reqwest::Method::GET, token, path, headers).await
    }

    async fn send(
        &self,
        method: reqwest::Method,
        token: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let url = format!("{}{path}", self.server.base);
        let mut request = self.server.client.request(method, url);
        if !token.is_empty() {
            request = request.basic_auth("token", Some(token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            bytes: answer.bytes().await.unwrap().to_vec(),
        }
    }

    /// What Composer sees of a package, from both of its files, each version with all its fields.
    async fn seen(&self, token: &str, package: &str) -> BTreeMap<String, Map<String, Value>> {
        let mut seen = BTreeMap::new();
        for end in ["", "~dev"] {
            let answer = self
                .ask(token, &format!("/composer/p2/{package}{end}.json"), &[])
                .await;
            assert_eq!(answer.status, 200, "{package}{end}: {}", answer.json());
            let document = answer.json();
            assert_eq!(document["minified"], "composer/2.0");
            let mut version = Map::new();
            for differs in document["packages"][package].as_array().unwrap() {
                for (field, value) in differs.as_object().unwrap() {
                    if value == "__unset" {
                        version.remove(field);
                    } else {
                        version.insert(field.clone(), value.clone());
                    }
                }
                let name = version["version"].as_str().unwrap().to_owned();
                assert_eq!(name.contains("dev"), end == "~dev", "{name}");
                seen.insert(name, version.clone());
            }
        }
        seen
    }

    /// Fetches an archive at the address that the metadata gives.
    async fn archive(&self, token: &str, version: &Map<String, Value>) -> Answer {
        let url = version["dist"]["url"].as_str().unwrap();
        let path = url.strip_prefix(&self.server.base).unwrap();
        self.ask(token, path, &[]).await
    }

    /// Compares what is listed, what can be fetched, and what the access check says, for every
    /// version that the repository has; returns what is listed.
    async fn agreed(&self, token: &str, package: &str) -> Vec<String> {
        let (_, all_token) = self.customer(&[(package, "*")]).await;
        let all = self.seen(&all_token, package).await;
        let seen = self.seen(token, package).await;
        assert!(all.len() >= seen.len() && !all.is_empty());
        for (version, fields) in &all {
            let query = format!("/access?package={package}&version={version}");
            let checked = self.ask(token, &query, &[]).await;
            let allowed = checked.json()["allowed"] == json!(true);
            assert_eq!(
                seen.contains_key(version),
                allowed,
                "{version}: {}",
                checked.json()
            );
            let archive = self.archive(token, fields).await;
            assert_eq!(archive.status, if allowed { 200 } else { 403 }, "{version}");
            if allowed {
                assert_eq!(seen[version], *fields, "{version} is as it was");
            } else {
                let warning = archive.json()["warning"].as_str().unwrap().to_owned();
                assert!(warning.contains(version), "{warning}");
            }
        }
        seen.into_keys().collect()
    }
}

async fn the_list_the_archives_and_the_access_check_agree(engine: Engine) {
    for (index, shape) in SHAPES.into_iter().enumerate() {
        let rig = Rig::start(engine, shape, index % 2 == 0).await;
        for (constraint, expected) in [
            ("^1.0", vec!["1.0.0", "1.1.0", "1.x-dev"]),
            ("1.0.0", vec!["1.0.0"]),
            ("^2.0", vec!["2.0.0", "2.1.0-beta1"]),
            ("dev-main", vec!["dev-main"]),
            ("^7", vec![]),
            (
                "*",
                vec![
                    "1.0.0",
                    "1.1.0",
                    "1.x-dev",
                    "2.0.0",
                    "2.1.0-beta1",
                    "dev-main",
                ],
            ),
        ] {
            let (_, token) = rig.customer(&[("acme/tool", constraint)]).await;
            let listed = rig.agreed(&token, "acme/tool").await;
            assert_eq!(listed, expected, "{shape:?} {constraint}");
        }
        rig.server.stop().await;
    }
}

async fn what_is_listed_is_what_the_repository_says_at_addresses_here(engine: Engine) {
    for (index, shape) in SHAPES.into_iter().enumerate() {
        let rig = Rig::start(engine, shape, index % 2 == 1).await;
        let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
        let seen = rig.seen(&token, "acme/tool").await;
        for (version, fields) in &seen {
            assert_eq!(fields["require"], json!({"php": ">=5.3"}), "{shape:?}");
            assert_eq!(
                fields.contains_key("abandoned"),
                version == "1.0.0",
                "{shape:?}"
            );
            assert!(!fields.contains_key("source"), "{fields:?}");
            assert!(!fields.contains_key("notification-url"), "{fields:?}");
            let dist = &fields["dist"];
            assert_eq!(dist["reference"], reference(version), "{shape:?}");
            assert_eq!(dist["type"], "tar");
            let archive = rig.archive(&token, fields).await;
            assert_eq!(archive.status, 200, "{shape:?} {version}");
            let content = String::from_utf8_lossy(&archive.bytes).into_owned();
            assert!(content.contains(version), "{shape:?} {version}");
        }
        if let Some(upstream) = &rig.upstream {
            let asked = upstream.asked();
            assert!(
                asked
                    .iter()
                    .all(|it| it.headers.contains_key("authorization"))
            );
        }
        rig.server.stop().await;
    }
}

async fn a_package_of_semver_is_no_package_of_composer(engine: Engine) {
    let rig = Rig::start(engine, Shape::Plain, false).await;
    let (path, token) = rig.customer(&[("acme/tool", "^1.0")]).await;
    let seen = rig.seen(&token, "acme/tool").await;
    let archive = seen["1.0.0"]["dist"]["url"].as_str().unwrap();
    let archive = archive.replace(&rig.server.base, "");
    assert_eq!(rig.ask(&token, &archive, &[]).await.status, 200);
    let semver = json!({"versions": "semver"});
    let declare = "/api/v1/packages/acme/tool";
    let (status, answer) = rig.server.call("PUT", declare, Some(semver)).await;
    assert_eq!(status, 201, "{answer}");
    // Whoever is let in nowhere is told that, whatever is asked for.
    let (held, held_token) = rig.customer(&[("acme/tool", "^1.0")]).await;
    rig.post(&format!("{held}/suspend"), json!({})).await;
    for path in [
        "/composer/p2/acme/tool.json",
        "/composer/p2/acme/tool~dev.json",
        &archive,
    ] {
        let answer = rig.ask(&token, path, &[]).await;
        assert_eq!(answer.status, 404, "{path}");
        let answer = rig.ask(&held_token, path, &[]).await;
        let warning = answer.json()["warning"].as_str().unwrap_or("").to_owned();
        assert_eq!(answer.status, 403, "{path}: {warning}");
        assert!(warning.starts_with("Your subscription is suspended: "));
    }
    let root = rig.ask(&token, "/composer/packages.json", &[]).await;
    let nothing = json!({"packages": [], "available-packages": []});
    assert_eq!(root.json(), nothing, "Composer would ask for everything");
    let access = "/access?package=acme/tool&version=1.9.0";
    assert_eq!(rig.ask(&token, access, &[]).await.status, 200);
    // What it released is still known, and the repository adds nothing.
    rig.post("/api/v1/packages/refresh", json!({})).await;
    let known = "/api/v1/packages/acme/tool";
    let (_, known) = rig.server.call("GET", known, None).await;
    assert_eq!(
        (&known["versions"], &known["releases"]),
        (&json!("semver"), &json!(4))
    );
    let (status, answer) = rig.server.call("DELETE", declare, None).await;
    assert_eq!(status, 204, "{answer}");
    let again = rig.seen(&token, "acme/tool").await;
    assert_eq!(again, seen, "{path}");
    rig.server.stop().await;
}

async fn a_customer_sees_its_packages_and_nothing_of_others(engine: Engine) {
    let rig = Rig::start(engine, Shape::Plain, false).await;
    let (path, token) = rig
        .customer(&[("acme/tool", "^1.0"), ("acme/absent", "*")])
        .await;
    let root = rig.ask(&token, "/composer/packages.json", &[]).await;
    assert_eq!(root.status, 200);
    assert_eq!(
        root.json(),
        json!({
            "packages": [], "metadata-url": "/composer/p2/%package%.json",
            "available-packages": ["acme/tool"],
        })
    );
    assert_eq!(root.header("cache-control"), "private");
    assert_eq!(root.header("content-type"), "application/json");
    assert_eq!(root.header("last-modified"), "");

    for (name, status) in [
        ("/composer/p2/acme/tool.json", 200),
        ("/composer/p2/ACME/Tool.json", 200),
        ("/composer/p2/acme/other.json", 404),
        ("/composer/p2/acme/other~dev.json", 404),
        ("/composer/p2/symfony/console.json", 404),
        ("/composer/p2/acme/absent.json", 404),
        ("/composer/p2/acme/..%2ftool.json", 404),
        ("/composer/p2/acme/tool", 404),
        ("/composer/dist/acme/tool/1.0.0-0123456789abcdef.tar", 404),
        ("/composer/dist/acme/other/1.0.0-0123456789abcdef.tar", 404),
        ("/composer/dist/acme/tool/..%2f..%2fpackages.json", 404),
        ("/composer/dist/..%2f../x/packages.json", 404),
    ] {
        let answer = rig.ask(&token, name, &[]).await;
        assert_eq!(answer.status, status, "{name} {}", answer.json());
        // Without a token nobody learns what there is.
        let answer = rig.ask("", name, &[]).await;
        assert!([401, 404].contains(&answer.status), "{name}");
    }
    // Composer would print a warning for each public package.
    let other = rig
        .ask(&token, "/composer/p2/symfony/console.json", &[])
        .await;
    assert_eq!(other.json()["code"], "package_not_granted");
    assert!(other.json().get("warning").is_none());

    // A token for some packages only.
    let narrow = json!({"name": "n", "packages": ["acme/o*"]});
    let narrow = rig.post(&format!("{path}/tokens"), narrow).await;
    let narrow = narrow["token"].as_str().unwrap();
    let root = rig.ask(narrow, "/composer/packages.json", &[]).await;
    assert_eq!(root.json()["available-packages"], json!([]));
    let answer = rig.ask(narrow, "/composer/p2/acme/tool.json", &[]).await;
    assert_eq!(answer.status, 404);

    // Two customers never share an answer.
    let (_, richer) = rig.customer(&[("acme/tool", "*")]).await;
    let tag = |answer: &Answer| answer.header("etag").to_owned();
    let one = rig.ask(&token, "/composer/p2/acme/tool.json", &[]).await;
    let other = rig.ask(&richer, "/composer/p2/acme/tool.json", &[]).await;
    assert_ne!(tag(&one), tag(&other));
    let known = tag(&one);
    let known = [("if-none-match", known.as_str())];
    let again = rig.ask(&token, "/composer/p2/acme/tool.json", &known).await;
    assert_eq!((again.status, again.bytes.len()), (304, 0));
    let again = rig
        .ask(&richer, "/composer/p2/acme/tool.json", &known)
        .await;
    assert_eq!(again.status, 200);
    rig.server.stop().await;
}

async fn held_customers_are_told_why(engine: Engine) {
    let rig = Rig::start(engine, Shape::Plain, false).await;
    let (path, token) = rig.customer(&[("acme/tool", "*")]).await;
    let seen = rig.seen(&token, "acme/tool").await;
    let archive = seen["1.0.0"]["dist"]["url"].as_str().unwrap();
    let archive = archive.strip_prefix(&rig.server.base).unwrap().to_owned();
    let paths = [
        "/composer/packages.json",
        "/composer/p2/acme/tool.json",
        &archive,
    ];
    for path in paths {
        let answer = rig.ask("", path, &[]).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer.header("www-authenticate").starts_with("Basic "),
            "{path}"
        );
        assert_eq!(rig.ask("tok_wrong", path, &[]).await.status, 401, "{path}");
    }

    let reason = json!({"reason": "known only to the admin"});
    rig.post(&format!("{path}/suspend"), reason).await;
    let told = async |expected: &str| {
        for path in paths {
            let answer = rig.ask(&token, path, &[]).await;
            assert_eq!(answer.status, 403, "{path}");
            // Composer prints it only if it is exactly this type.
            assert_eq!(answer.header("content-type"), "application/json");
            let warning = answer.json()["warning"].as_str().unwrap().to_owned();
            assert!(warning.starts_with(expected), "{warning}");
            assert!(!warning.contains("known only"), "{warning}");
        }
    };
    told("Your subscription is suspended: its packages").await;
    let message = json!({"held_message": {
        "text": "please pay your invoice.", "url": "https://acme.example/pay",
    }});
    let (status, app) = rig
        .server
        .call("PATCH", "/api/v1/apps/default", Some(message.clone()))
        .await;
    assert_eq!(
        (status, &app["held_message"]),
        (200, &message["held_message"])
    );
    told("Your subscription is suspended: please pay your invoice. https://acme.example/pay").await;
    rig.post(&format!("{path}/reactivate"), json!({})).await;
    assert_eq!(rig.agreed(&token, "acme/tool").await.len(), 6);
    rig.post(&format!("{path}/expire"), json!({})).await;
    told("Your subscription has ended: please pay").await;
    rig.server.stop().await;
}

async fn frozen_customers_keep_what_was_released_until_then(engine: Engine) {
    for shape in [Shape::Minified, Shape::Inline] {
        let rig = Rig::start(engine, shape, shape == Shape::Minified).await;
        // Nobody has told of any release, and nobody has asked for any.
        let (path, token) = rig.customer(&[("acme/tool", "*")]).await;
        rig.post(
            &format!("{path}/freeze"),
            json!({"at": "2026-02-01T00:00:00.000Z"}),
        )
        .await;
        let listed = rig.agreed(&token, "acme/tool").await;
        assert_eq!(listed, ["1.0.0", "1.1.0", "2.0.0"], "{shape:?}");
        // From a lock file Composer asks for archives alone.
        let (path, other) = rig.customer(&[("acme/other", "*")]).await;
        let seen = rig.seen(&other, "acme/other").await;
        rig.post(
            &format!("{path}/freeze"),
            json!({"at": "2026-02-01T00:00:00.000Z"}),
        )
        .await;
        assert_eq!(rig.archive(&other, &seen["1.0.0"]).await.status, 200);

        let exactly = json!({"versions": [{"package": "acme/tool", "version": "1.1.0"}]});
        let (path, token) = rig.customer(&[("acme/tool", "*")]).await;
        rig.post(&format!("{path}/freeze"), exactly).await;
        assert_eq!(
            rig.agreed(&token, "acme/tool").await,
            ["1.1.0"],
            "{shape:?}"
        );
        rig.server.stop().await;
    }
}

async fn releases_are_recorded_with_their_times_and_an_admins_word_stays(engine: Engine) {
    let rig = Rig::start(engine, Shape::Plain, true).await;
    let known = json!({"version": "v1.1", "released_at": "2020-01-01T00:00:00.000Z"});
    rig.post("/api/v1/packages/acme/tool/releases", known).await;
    let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
    let refreshed = rig.post("/api/v1/packages/refresh", json!({})).await;
    assert_eq!(
        (&refreshed["packages"], &refreshed["failed"]),
        (&json!(1), &json!([]))
    );
    let times = async || {
        let (_, listed) = rig.server.get("/api/v1/packages/acme/tool/releases").await;
        let listed = listed["data"].as_array().unwrap().clone();
        let pair = |it: &Value| {
            let text = |name: &str| it[name].as_str().unwrap().to_owned();
            (text("version"), text("released_at"))
        };
        listed
            .iter()
            .map(pair)
            .collect::<BTreeMap<String, String>>()
    };
    let expected = BTreeMap::from(
        [
            ("1.0.0", "2026-01-01T00:00:00.000Z"),
            ("v1.1", "2020-01-01T00:00:00.000Z"),
            ("2.0.0", "2026-02-01T00:00:00.000Z"),
            ("2.1.0-beta1", "2026-02-10T00:00:00.000Z"),
        ]
        .map(|(version, at)| (version.to_owned(), at.to_owned())),
    );
    assert_eq!(times().await, expected);
    // What an archive is made of, the repository knows.
    let (_, listed) = rig.server.get("/api/v1/packages/acme/tool/releases").await;
    let listed = listed["data"].as_array().unwrap().iter();
    let made_of = listed.map(|it| (it["version"].as_str(), it["reference"].as_str()));
    let made_of: BTreeMap<_, _> = made_of.collect();
    for (version, spelled) in [("1.0.0", "1.0.0"), ("1.1.0", "v1.1")] {
        let expected = reference(version);
        assert_eq!(
            made_of[&Some(spelled)],
            Some(expected.as_str()),
            "{made_of:?}"
        );
    }

    // What is published is there at once, without a time from now, and never in the future.
    let mut versions = VERSIONS.to_vec();
    versions.push(("acme/tool", "3.0.0", ""));
    versions.push(("acme/tool", "3.1.0", "2999-01-01T00:00:00+00:00"));
    rig.repository.write(&versions);
    let refreshed = rig.post("/api/v1/packages/refresh", json!({})).await;
    assert_eq!(refreshed["releases_added"], 2);
    assert!(rig.seen(&token, "acme/tool").await.contains_key("3.0.0"));
    let year = |it: &String| it[..4].parse::<i32>().unwrap();
    let times = times().await;
    assert!(
        year(&times["3.0.0"]) < 2900 && year(&times["3.1.0"]) < 2900,
        "{times:?}"
    );
    let (_, audit) = rig
        .server
        .get("/api/v1/audit?actor=admin&operation=release_add")
        .await;
    assert!(!audit["data"].as_array().unwrap().is_empty(), "{audit}");
    rig.server.stop().await;
}

async fn metadata_of_a_server_is_kept_while_it_does_not_answer(engine: Engine) {
    let rig = Rig::start(engine, Shape::Plain, true).await;
    let upstream = rig.upstream.as_ref().unwrap();
    let (_, token) = rig
        .customer(&[("acme/tool", "*"), ("acme/other", "*")])
        .await;
    let before = rig.seen(&token, "acme/tool").await;
    rig.seen(&token, "acme/tool").await;
    let of_metadata = |asked: &[repository::Asked]| {
        let tool = asked
            .iter()
            .filter(|it| it.path.ends_with("/p2/acme/tool.json"));
        tool.count()
    };
    let asked = upstream.asked();
    assert!(
        of_metadata(&asked) <= 2,
        "asked for again and again: {asked:?}"
    );
    // Asked again, it is asked whether it has changed.
    rig.post("/api/v1/packages/refresh", json!({})).await;
    let asked = upstream.asked();
    let again = asked
        .iter()
        .find(|it| it.path.ends_with("/p2/acme/tool.json"));
    assert!(again.unwrap().headers.contains_key("if-modified-since"));

    upstream.break_down(true);
    assert_eq!(rig.seen(&token, "acme/tool").await, before);
    let archive = rig.archive(&token, &before["1.0.0"]).await;
    assert_eq!(
        (archive.status, archive.json()["code"].as_str()),
        (503, Some("repository_unavailable"))
    );
    let (status, refused) = rig
        .server
        .call("POST", "/api/v1/packages/refresh", None)
        .await;
    assert_eq!(
        (status, &refused["code"]),
        (503, &json!("repository_unavailable"))
    );
    rig.server.stop().await;
}

async fn archives_are_sent_in_parts_and_not_twice(engine: Engine) {
    for over_http in [false, true] {
        let rig = Rig::start(engine, Shape::Plain, over_http).await;
        let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
        let seen = rig.seen(&token, "acme/tool").await;
        let url = seen["1.0.0"]["dist"]["url"].as_str().unwrap();
        let path = url.strip_prefix(&rig.server.base).unwrap();
        let whole = rig.ask(&token, path, &[]).await;
        assert_eq!(whole.header("cache-control"), "private");
        assert_eq!(whole.header("accept-ranges"), "bytes");
        let part = rig.ask(&token, path, &[("range", "bytes=512-1023")]).await;
        assert_eq!(part.status, 206, "{over_http}");
        assert_eq!(part.bytes, whole.bytes[512..1024]);
        assert_eq!(
            part.header("content-range"),
            format!("bytes 512-1023/{}", whole.bytes.len())
        );
        let beyond = rig.ask(&token, path, &[("range", "bytes=999999-")]).await;
        assert_eq!(beyond.status, 416, "{over_http}");
        let head = rig.send(reqwest::Method::HEAD, &token, path, &[]).await;
        assert_eq!((head.status, head.bytes.len()), (200, 0), "{over_http}");
        assert_eq!(head.header("content-length"), whole.bytes.len().to_string());
        let tag = whole.header("etag");
        assert!(!tag.is_empty(), "{over_http}");
        let known = rig.ask(&token, path, &[("if-none-match", tag)]).await;
        assert_eq!((known.status, known.bytes.len()), (304, 0), "{over_http}");
        let at = whole.header("last-modified");
        let known = rig.ask(&token, path, &[("if-modified-since", at)]).await;
        assert_eq!(known.status, 304, "{over_http}");
        rig.server.stop().await;
    }
}

async fn archives_are_handed_to_nginx_where_it_has_them(engine: Engine) {
    let rig = Rig::behind_nginx(engine).await;
    let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
    let seen = rig.seen(&token, "acme/tool").await;
    let archive = rig.archive(&token, &seen["1.0.0"]).await;
    let expected = format!(
        "/files/dist/acme/tool/acme-tool-1.0.0%2B{}.tar",
        reference("1.0.0")
    );
    assert_eq!(archive.header("x-accel-redirect"), expected);
    assert_eq!((archive.status, archive.bytes.len()), (200, 0));
    assert_eq!(archive.header("cache-control"), "private");
    rig.server.stop().await;
}

async fn each_app_has_a_repository_of_its_own(engine: Engine) {
    let server = TestServer::start(engine).await;
    let repository = Repository::new(Shape::Plain, VERSIONS);
    let upstream = Served::start(&repository, Some("Bearer rep_secret")).await;
    let other = json!({"slug": "other", "name": "Other"});
    let (status, _) = server.call("POST", "/api/v1/apps", Some(other)).await;
    assert_eq!(status, 201);
    let patch = async |body: Value| server.call("PATCH", "/api/v1/apps/other", Some(body)).await;
    let (status, app) =
        patch(json!({"repository": {"url": upstream.base, "token": "rep_secret"}})).await;
    let shown = json!({"url": format!("{}/", upstream.base), "token_set": true});
    assert_eq!((status, &app["repository"]), (200, &shown));
    let (_, app) = server.get("/api/v1/apps/other").await;
    assert_eq!(app["repository"], shown);
    let (_, audit) = server.get("/api/v1/audit?app=other").await;
    assert!(!audit.to_string().contains("rep_secret"));

    let customer = json!({"email": "ada@example.com"});
    let (_, made) = server
        .call(
            "POST",
            "/api/v1/apps/other/customers",
            Some(customer.clone()),
        )
        .await;
    let (token, id) = (made["data"]["token"].as_str(), made["data"]["id"].as_str());
    assert!(token.is_some() && id.is_some(), "{made}");
    let (_, mine) = server
        .call("POST", "/api/v1/customers", Some(customer))
        .await;
    let ask = async |token: &str| {
        let url = format!("{}/composer/packages.json", server.base);
        let answer = server
            .client
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(ask(token.unwrap()).await.0, StatusCode::OK);
    let (status, refused) = ask(mine["token"].as_str().unwrap()).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::NOT_FOUND, &json!("repository_missing"))
    );

    // The token stays with the server that it was given for.
    let elsewhere = format!("{}/", upstream.base.replace("127.0.0.1", "localhost"));
    let moved = json!({"repository": {"url": format!("{}/sub", upstream.base)}});
    assert_eq!(patch(moved).await.1["repository"]["token_set"], json!(true));
    let moved = json!({"repository": {"url": elsewhere}});
    assert_eq!(
        patch(moved).await.1["repository"]["token_set"],
        json!(false)
    );
    for (repository, field) in [
        (json!({"url": "/etc"}), "repository.url"),
        (json!({"url": "file:///etc"}), "repository.url"),
        (
            json!({"url": "https://user:pw@a.example/"}),
            "repository.url",
        ),
        (
            json!({"url": "https://a.example/", "token": "a\nb"}),
            "repository.token",
        ),
        (
            json!({"url": "https://a.example/", "path": "x"}),
            "repository.path",
        ),
    ] {
        let (status, refused) = patch(json!({"repository": repository})).await;
        let fields = refused["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["field"].clone());
        let fields: BTreeSet<String> = fields.map(|it| it.as_str().unwrap().to_owned()).collect();
        assert_eq!(
            (status, fields),
            (422, BTreeSet::from([field.to_owned()])),
            "{refused}"
        );
    }
    let (_, app) = patch(json!({"repository": null})).await;
    assert_eq!(app["repository"], Value::Null);
    assert_eq!(ask(token.unwrap()).await.0, StatusCode::NOT_FOUND);

    // Whoever has one app alone cannot make the server ask what it likes.
    let owner = json!({"name": "o", "role": "owner", "app": "other"});
    let (_, owner) = server
        .call("POST", "/api/v1/admin-tokens", Some(owner))
        .await;
    let request = server
        .client
        .patch(format!("{}/api/v1/apps/other", server.base));
    let request = request.bearer_auth(owner["token"].as_str().unwrap());
    let body = json!({"repository": {"url": "http://169.254.169.254/"}});
    let answer = request.json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    server.stop().await;
}

async fn the_repository_of_the_environment_is_not_changed_by_the_api(engine: Engine) {
    let rig = Rig::start(engine, Shape::Plain, false).await;
    let (_, app) = rig.server.get("/api/v1/apps/default").await;
    let place = rig.repository.path().display().to_string();
    assert_eq!(app["repository"], json!({"url": place, "token_set": true}));
    let change = json!({"repository": {"url": "https://a.example/"}});
    let (status, refused) = rig
        .server
        .call("PATCH", "/api/v1/apps/default", Some(change))
        .await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("setting_read_only"))
    );
    rig.server.stop().await;
}

on_both_stores! {
    the_list_the_archives_and_the_access_check_agree,
    what_is_listed_is_what_the_repository_says_at_addresses_here,
    a_customer_sees_its_packages_and_nothing_of_others,
    a_package_of_semver_is_no_package_of_composer,
    held_customers_are_told_why,
    frozen_customers_keep_what_was_released_until_then,
    releases_are_recorded_with_their_times_and_an_admins_word_stays,
    metadata_of_a_server_is_kept_while_it_does_not_answer,
    archives_are_sent_in_parts_and_not_twice,
    archives_are_handed_to_nginx_where_it_has_them,
    each_app_has_a_repository_of_its_own,
    the_repository_of_the_environment_is_not_changed_by_the_api,
}
