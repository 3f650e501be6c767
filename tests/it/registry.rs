//! A real Composer at a real nginx and a real Caddy with the configurations of `deploy`: let in and
//! kept out as a customer's status changes. Slow, for what it installs: `deploy/dev/test --slow`.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate::provider::STRIPE;

use crate::support::stores::Engine;
use crate::support::{
    PATIENCE, TestServer, client, seconds_from_now, stripe_customer, stripe_event,
    stripe_subscription,
};

/// The versions of `acme/tool` that the repository has. The plan `price_basic` buys `^1.0`.
const VERSIONS: [&str; 3] = ["1.0.0", "1.1.0", "2.0.0"];

/// A port that nobody listens on. Whoever takes it before nginx makes the test fail, not pass.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A server of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    Nginx,
    Caddy,
}

/// A server of files with its repository, ended when dropped.
struct Registry {
    folder: TempDir,
    base: String,
    server: Child,
}

impl Registry {
    async fn start(server: Files, tollgate: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        write_repository(&folder.path().join("files"), &base);
        let (prefix, files) = (folder.path().join("server"), folder.path().join("files"));
        fs::create_dir_all(&prefix).unwrap();
        let server = match server {
            Files::Nginx => start_nginx(&prefix, &files, port, tollgate),
            Files::Caddy => start_caddy(&prefix, &files, port, tollgate),
        };
        let registry = Self {
            folder,
            base,
            server,
        };
        registry.wait().await;
        registry
    }

    async fn wait(&self) {
        let (client, started) = (client(), Instant::now());
        while client.get(&self.base).send().await.is_err() {
            assert!(started.elapsed() < PATIENCE, "it does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs `composer install` of a fresh project with a token; its output and what was installed.
    async fn install(&self, token: Option<&str>, constraint: &str) -> (Output, Option<String>) {
        let project = tempfile::tempdir_in(self.folder.path()).unwrap();
        let (base, token) = (self.base.clone(), token.map(str::to_owned));
        let constraint = constraint.to_owned();
        tokio::task::spawn_blocking(move || {
            write_project(project.path(), &base, token.as_deref(), &constraint);
            let output = composer(project.path());
            let installed = fs::read_to_string(project.path().join("vendor/acme/tool/VERSION"));
            (output, installed.ok())
        })
        .await
        .unwrap()
    }

    /// Asks for a path with a token. A client cannot ask about something else beside it.
    async fn asked(&self, path: &str, token: &str) -> reqwest::Response {
        let client = client();
        let get = |path: String| client.get(path).basic_auth("token", Some(token));
        let url = format!("{}{path}", self.base);
        let answer = get(url.clone()).send().await.unwrap();
        let headers = get(url.clone())
            .header("x-tollgate-package", "acme/tool")
            .header("x-tollgate-version", "1.0.0")
            .header("x-forwarded-uri", "/dist/acme/tool/1.0.0.tar")
            .header("x-original-uri", "/dist/acme/tool/1.0.0.tar");
        let query = get(format!("{url}?package=acme/tool&version=1.0.0"));
        for (what, other) in [("headers", headers), ("a query", query)] {
            let other = other.send().await.unwrap();
            assert_eq!(other.status(), answer.status(), "{path} with {what}");
        }
        answer
    }

    #[track_caller]
    fn assert_refused((output, installed): &(Output, Option<String>), status: &str) {
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{text}");
        assert_eq!(*installed, None, "{text}");
        assert!(text.contains(status), "{text}");
    }

    #[track_caller]
    fn assert_installed((output, installed): &(Output, Option<String>), version: &str) {
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(installed.as_deref(), Some(version), "{text}");
        assert!(output.status.success(), "{text}");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It runs in the foreground without workers of its own, so this ends all of it.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Metadata and archives, as a static Composer repository has them.
fn write_repository(files: &Path, base: &str) {
    fs::create_dir_all(files.join("p2/acme")).unwrap();
    let listed: Vec<Value> = VERSIONS
        .iter()
        .map(|version| {
            let dist = format!("dist/acme/tool/{version}.tar");
            write_archive(&files.join(&dist), version);
            json!({
                "name": "acme/tool", "version": version, "type": "library",
                "dist": { "type": "tar", "url": format!("{base}/{dist}") },
            })
        })
        .collect();
    for (version, name) in [
        ("1.1.0", "acme-tool-1.1.0-abc123"),
        ("2.0.0", "acme-tool-2.0.0-abc123"),
        ("1.1.0", "1.1.0+build"),
        ("2.0.0", "2.0.0+build"),
    ] {
        write_archive(&files.join(format!("dist/acme/tool/{name}.tar")), version);
    }
    let root = json!({
        "packages": [], "metadata-url": "/p2/%package%.json", "available-packages": ["acme/tool"],
    });
    fs::write(files.join("packages.json"), root.to_string()).unwrap();
    let package = json!({ "packages": { "acme/tool": listed } });
    fs::write(files.join("p2/acme/tool.json"), package.to_string()).unwrap();
}

fn write_archive(archive: &Path, version: &str) {
    let content = tempfile::tempdir().unwrap();
    fs::write(content.path().join("VERSION"), version).unwrap();
    fs::write(
        content.path().join("composer.json"),
        r#"{"name": "acme/tool"}"#,
    )
    .unwrap();
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(archive).arg("-C").arg(content.path());
    assert!(
        tar.args(["VERSION", "composer.json"])
            .status()
            .unwrap()
            .success()
    );
}

/// Runs Caddy with the configuration of `deploy/caddy`, with this test's three values below the marks.
fn start_caddy(prefix: &Path, files: &Path, port: u16, tollgate: &str) -> Child {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/caddy/Caddyfile");
    let mut server = fs::read_to_string(file).unwrap();
    let address = tollgate.strip_prefix("http://").unwrap();
    for (marked, value) in [
        (
            "http://127.0.0.1:8081 {",
            format!("http://127.0.0.1:{port} {{"),
        ),
        (
            "forward_auth 127.0.0.1:8080 {",
            format!("forward_auth {address} {{"),
        ),
        (
            "root * /srv/composer-repository",
            format!("root * {}", files.display()),
        ),
    ] {
        let lines: Vec<&str> = server.lines().map(str::trim).collect();
        let at = lines.iter().position(|line| *line == marked).unwrap();
        assert!(lines[at - 1].starts_with("# <- "), "{marked}");
        server = server.replace(marked, &value);
    }
    let global = "{\n\tadmin off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n";
    fs::write(prefix.join("Caddyfile"), format!("{global}{server}")).unwrap();
    Command::new("caddy")
        .args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"])
        .current_dir(prefix)
        // Where it keeps what it knows.
        .env("HOME", prefix)
        .env("XDG_DATA_HOME", prefix)
        .env("XDG_CONFIG_HOME", prefix)
        .stdin(Stdio::null())
        .spawn()
        .expect("Caddy is installed by `deploy/dev/test --slow`")
}

/// Runs nginx with the configuration of `deploy/nginx`, with this test's three values in the marked
/// places.
fn start_nginx(prefix: &Path, files: &Path, port: u16, tollgate: &str) -> Child {
    let deploy = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/nginx"));
    let mut server = fs::read_to_string(deploy.join("composer-repository.conf")).unwrap();
    let address = tollgate.strip_prefix("http://").unwrap();
    for (marked, value) in [
        ("server 127.0.0.1:8080;", format!("server {address};")),
        (
            "listen 127.0.0.1:8081;",
            format!("listen 127.0.0.1:{port};"),
        ),
        (
            "root /srv/composer-repository;",
            format!("root {};", files.display()),
        ),
    ] {
        let found: Vec<_> = server
            .lines()
            .filter(|line| line.contains(marked))
            .collect();
        assert!(found.len() == 1 && found[0].contains("# <-"), "{marked}");
        server = server.replace(marked, &value);
    }
    fs::write(prefix.join("composer-repository.conf"), server).unwrap();
    for part in ["tollgate-question.conf", "tollgate-answer.conf"] {
        fs::copy(deploy.join(part), prefix.join(part)).unwrap();
    }
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = paths
        .map(|path| format!("{path}_temp_path {path};\n"))
        .concat();
    let main = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}include composer-repository.conf;\n}}\n"
    );
    fs::write(prefix.join("nginx.conf"), main).unwrap();
    Command::new("nginx")
        .arg("-p")
        .arg(prefix)
        .args(["-c", "nginx.conf", "-e", "stderr"])
        .stdin(Stdio::null())
        .spawn()
        .expect("nginx is installed by `deploy/dev/test --slow`")
}

fn write_project(project: &Path, base: &str, token: Option<&str>, constraint: &str) {
    let composer = json!({
        "require": { "acme/tool": constraint },
        "repositories": [{ "type": "composer", "url": base }, { "packagist.org": false }],
        // nginx speaks plain HTTP here; in service it stands behind TLS.
        "config": { "secure-http": false },
    });
    fs::write(project.join("composer.json"), composer.to_string()).unwrap();
    if let Some(token) = token {
        let host = base.strip_prefix("http://").unwrap();
        let auth = json!({ "http-basic": { host: { "username": "token", "password": token } } });
        fs::write(project.join("auth.json"), auth.to_string()).unwrap();
    }
}

fn composer(project: &Path) -> Output {
    Command::new("composer")
        .args(["install", "--no-interaction", "--no-ansi", "--no-plugins"])
        .current_dir(project)
        .env("COMPOSER_HOME", project.join("home"))
        // Every answer comes from the repository.
        .env("COMPOSER_CACHE_DIR", "/dev/null")
        .env("COMPOSER_ALLOW_SUPERUSER", "1")
        .stdin(Stdio::null())
        .output()
        .expect("composer is installed by `deploy/dev/test --slow`")
}

/// Makes a paying customer by webhooks, with a token; the customer's path and the token.
async fn paying_customer(server: &TestServer) -> (String, String) {
    let now = seconds_from_now(-100);
    let contact = stripe_customer("cus_1", "ada@example.com");
    let bought = stripe_subscription("sub_1", "cus_1", "active");
    for event in [
        stripe_event("evt_1", "customer.created", now, contact),
        stripe_event("evt_2", "customer.subscription.created", now + 1, bought),
    ] {
        server.deliver(STRIPE.name, &event).await;
    }
    let (_, customer) = server
        .get("/api/v1/customers/by-external/stripe_cus_1")
        .await;
    let path = format!("/api/v1/customers/{}", customer["id"].as_str().unwrap());
    let body = json!({ "name": "composer" });
    let (status, made) = server
        .call("POST", &format!("{path}/tokens"), Some(body))
        .await;
    assert_eq!(status, 201, "{made}");
    (path, made["token"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx and Composer: deploy/dev/test --slow"]
async fn composer_is_let_in_and_kept_out_as_the_status_changes() {
    over(Files::Nginx, "503").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Caddy and Composer: deploy/dev/test --slow"]
async fn the_same_with_caddy() {
    over(Files::Caddy, "502").await;
}

/// `unavailable` is the status while Tollgate is away.
async fn over(files: Files, unavailable: &str) {
    let server = TestServer::start(Engine::Sqlite).await;
    let registry = Registry::start(files, &server.base).await;
    let (path, token) = paying_customer(&server).await;
    let token = Some(token.as_str());

    Registry::assert_refused(&registry.install(None, "^1.0").await, "401");
    let refused = registry.install(Some("tok_wrong"), "^1.0").await;
    Registry::assert_refused(&refused, "401");
    Registry::assert_refused(&refused, "This access token is not known here");
    Registry::assert_installed(&registry.install(token, "^1.0").await, "1.1.0");
    Registry::assert_installed(&registry.install(token, "1.0.0").await, "1.0.0");
    // The plan buys ^1.0.
    let refused = registry.install(token, "^2.0").await;
    Registry::assert_refused(&refused, "403");
    Registry::assert_refused(
        &refused,
        "Your subscription does not cover acme/tool 2.0.0.",
    );

    // All tries of a payment fail, which has no grace; it comes after all.
    let overdue = stripe_subscription("sub_1", "cus_1", "unpaid");
    let event = stripe_event(
        "evt_3",
        "customer.subscription.updated",
        seconds_from_now(-50),
        overdue,
    );
    server.deliver(STRIPE.name, &event).await;
    let refused = registry.install(token, "^1.0").await;
    Registry::assert_refused(&refused, "Your subscription is suspended: ");
    let paid = stripe_subscription("sub_1", "cus_1", "active");
    let event = stripe_event(
        "evt_4",
        "customer.subscription.updated",
        seconds_from_now(-40),
        paid,
    );
    server.deliver(STRIPE.name, &event).await;
    Registry::assert_installed(&registry.install(token, "^1.0").await, "1.1.0");

    // An admin freezes, and ends.
    let only = json!({ "versions": [{ "package": "acme/tool", "version": "1.0.0" }] });
    let (status, frozen) = server
        .call("POST", &format!("{path}/freeze"), Some(only))
        .await;
    assert_eq!((status, &frozen["status"]), (200, &json!("frozen")));
    Registry::assert_installed(&registry.install(token, "1.0.0").await, "1.0.0");
    Registry::assert_refused(&registry.install(token, "^1.0").await, "403");
    let (status, _) = server.call("POST", &format!("{path}/expire"), None).await;
    assert_eq!(status, 200);
    Registry::assert_refused(&registry.install(token, "1.0.0").await, "403");

    // Without Tollgate nobody is let in.
    server.stop().await;
    Registry::assert_refused(&registry.install(token, "1.0.0").await, unavailable);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx: deploy/dev/test --slow"]
async fn nginx_asks_for_what_is_downloaded_and_serves_nothing_else() {
    let server = TestServer::start(Engine::Sqlite).await;
    let registry = Registry::start(Files::Nginx, &server.base).await;
    let (_, token) = paying_customer(&server).await;
    let client = client();
    for (path, expected, code) in [
        ("/packages.json", 200, "ok"),
        ("/p2/acme/tool.json", 200, "ok"),
        ("/p2/acme/tool~dev.json", 404, "ok"),
        // Public packages are looked for elsewhere.
        ("/p2/acme/other.json", 404, "package_not_granted"),
        ("/dist/acme/other/1.0.0.tar", 403, "package_not_granted"),
        // As Satis names it, and with a plus.
        ("/dist/acme/tool/acme-tool-1.1.0-abc123.tar", 200, "ok"),
        (
            "/dist/acme/tool/acme-tool-2.0.0-abc123.tar",
            403,
            "version_not_allowed",
        ),
        ("/dist/acme/tool/1.1.0+build.tar", 200, "ok"),
        ("/dist/acme/tool/1.1.0%2Bbuild.tar", 200, "ok"),
        (
            "/dist/acme/tool/2.0.0+build.tar",
            403,
            "version_not_allowed",
        ),
        ("/dist/acme/tool/1.1.0.tar", 200, "ok"),
        ("/dist/acme/tool/2.0.0.tar", 403, "version_not_allowed"),
        // The path is resolved before the question is put.
        (
            "/dist/acme/tool/1.1.0/..%2f2.0.0.tar",
            403,
            "version_not_allowed",
        ),
        ("/dist/acme/tool/1.1.0.tar.bz2", 404, "ok"),
        ("/dist/acme/tool/2.0.0.tar.xz", 403, "version_not_allowed"),
        ("/p2/acme/to--ol.x_y~dev.json", 404, "package_not_granted"),
        // What no package can be called is no file.
        ("/p2/acme/_tool.json", 404, ""),
        ("/p2/acme/tool-.json", 404, ""),
        ("/p2/ac--me/tool.json", 404, ""),
        ("/dist/acme/to..ol/1.1.0.tar", 404, ""),
        // What would mean another question than it seems is no file.
        ("/dist/acme/tool/2.0.0%26version=1.0.0.tar", 404, ""),
        ("/p2/acme/tool.json%3fversion=1", 404, ""),
        ("/tollgate/access", 404, ""),
        ("/tollgate/packages", 404, ""),
        ("/", 404, ""),
    ] {
        let answer = registry.asked(path, &token).await;
        let said = answer.headers().get("x-tollgate-code");
        let said = said.map_or("", |code| code.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), said), (expected, code), "{path}");
        let url = format!("{}{path}", registry.base);
        let answer = client.get(&url).send().await.unwrap();
        let asked = if code.is_empty() { 404 } else { 401 };
        assert_eq!(answer.status().as_u16(), asked, "{path} without a token");
        // Without this, Composer and curl do not say who they are.
        let challenge = answer.headers().get("www-authenticate");
        let challenge = challenge.map_or("", |it| it.to_str().unwrap());
        assert_eq!(challenge.starts_with("Basic "), asked == 401, "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Caddy: deploy/dev/test --slow"]
async fn caddy_asks_for_what_is_downloaded_and_serves_nothing_else() {
    let server = TestServer::start(Engine::Sqlite).await;
    let registry = Registry::start(Files::Caddy, &server.base).await;
    let (_, token) = paying_customer(&server).await;
    let client = client();
    for (path, expected, code) in [
        ("/packages.json", 200, ""),
        ("/p2/acme/tool.json", 200, ""),
        ("/p2/acme/tool~dev.json", 404, ""),
        ("/p2/acme/other.json", 404, "package_not_granted"),
        ("/dist/acme/other/1.0.0.tar", 403, "package_not_granted"),
        ("/dist/acme/tool/acme-tool-1.1.0-abc123.tar", 200, ""),
        (
            "/dist/acme/tool/acme-tool-2.0.0-abc123.tar",
            403,
            "version_not_allowed",
        ),
        ("/dist/acme/tool/1.1.0+build.tar", 200, ""),
        ("/dist/acme/tool/1.1.0%2Bbuild.tar", 200, ""),
        (
            "/dist/acme/tool/2.0.0+build.tar",
            403,
            "version_not_allowed",
        ),
        // Where Caddy would find another file than it seems, there is no answer.
        ("/dist/acme/tool/1.1.0/..%2f2.0.0.tar", 422, ""),
        ("/dist/acme/tool//2.0.0.tar", 422, ""),
        ("/p2/acme/tool.json%3fversion=1", 422, ""),
        (
            "/dist/acme/tool/2.0.0%26version=1.0.0.tar",
            403,
            "version_not_allowed",
        ),
        ("/access", 404, ""),
        ("/", 404, ""),
    ] {
        let answer = registry.asked(path, &token).await;
        let said = answer.headers().get("x-tollgate-code");
        let said = said.map_or("", |code| code.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), said), (expected, code), "{path}");
        let url = format!("{}{path}", registry.base);
        let status = client.get(&url).send().await.unwrap().status().as_u16();
        let is_guarded = path != "/" && path != "/access";
        assert_eq!(status, if is_guarded { 401 } else { 404 }, "{path}");
    }
    server.stop().await;
}
