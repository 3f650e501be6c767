//! A real nginx and a real Caddy with the lines that `deploy/README.md` gives for TLS before one server.
//! Slow, for what it installs: `deploy/dev/test --slow`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::redirect::Policy;
use tollgate::provider::STRIPE;

use crate::support::serving::quiet_port;
use crate::support::stores::Engine;
use crate::support::{
    ADMIN_TOKEN, PATIENCE, TestServer, post_signed, seconds_from_now, stripe_customer, stripe_event,
};

/// The only block of this language in `deploy/README.md`.
fn block(language: &str) -> String {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/README.md");
    let text = fs::read_to_string(readme).unwrap();
    let begin = format!("```{language}\n");
    let mut parts = text.split(&begin).skip(1);
    let block = parts
        .next()
        .unwrap()
        .split("```")
        .next()
        .unwrap()
        .to_owned();
    assert!(parts.next().is_none(), "one block of {language}");
    block
}

/// The block with these values in place of those that are the reader's.
fn filled(language: &str, values: &[(&str, String)]) -> String {
    let mut block = block(language);
    for (example, value) in values {
        assert!(block.contains(example), "{example}:\n{block}");
        block = block.replace(example, value);
    }
    block
}

/// A certificate for `localhost` and its key, beside each other.
fn write_certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2".split(' '))
        .args("-subj /CN=localhost -addext subjectAltName=DNS:localhost".split(' '))
        .args("-keyout key.pem -out certificate.pem".split(' '))
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
}

/// A proxy, ended when dropped.
struct Front(Child);

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn nginx(folder: &Path, port: u16, tollgate: &str) -> Command {
    let site = filled(
        "nginx",
        &[
            ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
            ("listen [::]:443 ssl;", format!("listen [::1]:{port} ssl;")),
            ("tollgate.example.com;", "localhost;".to_owned()),
            (
                "/etc/letsencrypt/live/tollgate.example.com/fullchain.pem",
                "certificate.pem".to_owned(),
            ),
            (
                "/etc/letsencrypt/live/tollgate.example.com/privkey.pem",
                "key.pem".to_owned(),
            ),
            ("127.0.0.1:8080", tollgate.to_owned()),
        ],
    );
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = paths.map(|path| format!("{path}_temp_path {path};\n"));
    let main = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{}{site}}}\n",
        temporary.concat()
    );
    fs::write(folder.join("nginx.conf"), main).unwrap();
    let mut command = Command::new("nginx");
    let prefix = ["-p", folder.to_str().unwrap()];
    command
        .args(prefix)
        .args(["-c", "nginx.conf", "-e", "stderr"]);
    command
}

fn caddy(folder: &Path, port: u16, tollgate: &str) -> Command {
    let begin = format!("https://localhost:{port} {{\n\ttls certificate.pem key.pem");
    let site = filled(
        "caddy",
        &[
            ("tollgate.example.com {", begin),
            ("127.0.0.1:8080", tollgate.to_owned()),
        ],
    );
    let global =
        "{\n\tadmin off\n\tauto_https disable_redirects\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n";
    fs::write(folder.join("Caddyfile"), format!("{global}{site}")).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
    for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(variable, folder);
    }
    command
}

async fn works_behind(proxy: fn(&Path, u16, &str) -> Command) {
    let server = TestServer::start_with(Engine::Sqlite, |environment| {
        environment.insert("TOLLGATE_TRUSTED_PROXIES".into(), "127.0.0.1".into());
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path());
    let port = quiet_port();
    let tollgate = server.base.strip_prefix("http://").unwrap();
    let mut command = proxy(folder.path(), port, tollgate);
    command.current_dir(folder.path()).stdin(Stdio::null());
    let _front = Front(
        command
            .spawn()
            .expect("installed by `deploy/dev/test --slow`"),
    );

    let client = Client::builder()
        // The certificate vouches for itself; what is tried is what comes through.
        .tls_danger_accept_invalid_certs(true)
        .timeout(PATIENCE)
        .redirect(Policy::none());
    let client = client.build().unwrap();
    let base = format!("https://localhost:{port}");
    let started = Instant::now();
    while client.get(&base).send().await.is_err() {
        assert!(started.elapsed() < PATIENCE, "it does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let customer = stripe_customer("cus_1", "a@example.com");
    let event = stripe_event("evt_1", "customer.created", seconds_from_now(-9), customer);
    let body = event.to_string().into_bytes();
    let url = format!("{base}/webhooks/stripe");
    assert_eq!(post_signed(&client, &url, STRIPE.name, body).await.0, 200);
    assert_eq!(server.outcome("evt_1").await["outcome"], "applied");

    let home = client.get(&base).send().await.unwrap();
    assert_eq!(home.headers()["location"], "/console");
    // As a browser says where a form is from. The cookie is for TLS alone.
    let form = client
        .post(format!("{base}/console/sign-in"))
        .header("origin", &base)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={ADMIN_TOKEN}"));
    let answer = form.send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("Secure"), "{cookie}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx: deploy/dev/test --slow"]
async fn webhooks_and_the_console_work_behind_nginx() {
    works_behind(nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Caddy: deploy/dev/test --slow"]
async fn webhooks_and_the_console_work_behind_caddy() {
    works_behind(caddy).await;
}
