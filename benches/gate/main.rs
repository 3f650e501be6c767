//! How fast customers get the metadata of a package with 2,000 versions, each what it may have,
//! beside nginx that sends the same file, whole, to everybody: `cargo bench --bench gate`.
//!
//! 64 customers over 64 connections, each with a token and a constraint of its own, so that no two
//! answers are alike: first active ones, then the same frozen to a date, of whom each question needs
//! the 2,000 releases. Tollgate and nginx take turns on the same machine; medians of the rounds, and
//! what ours has of nginx's. Then the file changes some times, and each customer asks for the first
//! time after that, one after the other. The store is PostgreSQL, a throwaway one. nginx is Debian's package,
//! which `deploy/dev/test --slow` installs; it runs as one process, which ends with the measurement.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what a measurement did not expect ends it, and its table goes to the terminal"
)]

#[path = "../throughput/load.rs"]
mod load;
#[expect(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the tests use the rest"
)]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use load::Window;
use support::{ADMIN_TOKEN, SECRET_KEY, client, environment, postgres};

const CUSTOMERS: usize = 64;
const VERSIONS: usize = 2_000;
const ROUNDS: usize = 3;
const WINDOW: Duration = Duration::from_secs(5);
/// How often the file changes.
const CHANGES: usize = 5;
/// What both are asked for, below their addresses.
const FILE: &str = "p2/acme/tool.json";

/// A process that ends when it is dropped.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// A figure of the process's memory in MiB: `VmRSS` now, `VmHWM` at the most.
    fn memory(&self, figure: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = status.lines().filter_map(|line| line.strip_prefix(figure));
        let kib = lines
            .next()
            .unwrap()
            .trim_matches([':', '\t', ' ', 'k', 'B']);
        kib.parse::<u64>().unwrap() / 1024
    }

    async fn wait_until_it_listens(&mut self) {
        let started = Instant::now();
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended");
            assert!(started.elapsed() < Duration::from_secs(30), "it is late");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// Writes a Composer repository with one package, for the n-th time; returns how long its file is.
fn write_repository(folder: &Path, n: usize) -> usize {
    let version = |number: usize| {
        let name = format!("{}.{}.{}", number / 200, number / 10 % 20, number % 10);
        json!({
            "name": "acme/tool", "version": name, "type": "library",
            "description": format!("A tool that stands for the many that are sold, {n:02}"),
            "license": ["proprietary"], "authors": [{"name": "Ada", "email": "ada@example.com"}],
            "require": {"php": ">=8.1", "ext-json": "*", "psr/log": "^3.0"},
            "autoload": {"psr-4": {"Acme\\Tool\\": "src/"}},
            "dist": {
                "type": "zip", "reference": format!("{number:040x}"), "shasum": "",
                "url": format!("https://repo.example/dist/acme/tool/{name}.zip"),
            },
            "time": "2026-01-01T00:00:00+00:00",
        })
    };
    let versions: Vec<Value> = (0..VERSIONS).rev().map(version).collect();
    let file = json!({"packages": {"acme/tool": versions}}).to_string();
    fs::create_dir_all(folder.join("p2/acme")).unwrap();
    fs::write(folder.join(FILE), &file).unwrap();
    let root = json!({"packages": [], "metadata-url": "/p2/%package%.json"});
    fs::write(folder.join("packages.json"), root.to_string()).unwrap();
    file.len()
}

fn start_nginx(folder: &Path, files: &Path) -> Running {
    let address = free_address();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = paths.map(|path| format!("{path}_temp_path {path};\n"));
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\nsendfile on;\n{}\
         server {{ listen {address}; root {}; keepalive_requests 1000000; }}\n}}\n",
        temporary.concat(),
        files.display(),
    );
    fs::write(folder.join("nginx.conf"), configuration).unwrap();
    let mut nginx = Command::new("nginx");
    nginx
        .arg("-p")
        .arg(folder)
        .args(["-c", "nginx.conf", "-e", "stderr"]);
    let child = nginx.stdin(Stdio::null()).spawn().expect("nginx");
    Running { child, address }
}

async fn start_tollgate(folder: &Path, files: &Path) -> Running {
    let address = free_address();
    let url = postgres::database().await;
    let child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("serve")
        .env_clear()
        .envs(environment(folder))
        .env("TOLLGATE_LISTEN", address.to_string())
        .env("TOLLGATE_SECRET_KEY", SECRET_KEY)
        .env("TOLLGATE_REPOSITORY", files)
        .env("TOLLGATE_LOG", "warn")
        .env("DATABASE_URL", url.expose_secret())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Running { child, address }
}

/// Tells the admin API something.
async fn post(tollgate: &Running, path: &str, body: Value) -> Value {
    let url = format!("http://{}/api/v1/customers{path}", tollgate.address);
    let request = client().post(url).bearer_auth(ADMIN_TOKEN).json(&body);
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body = answer.json().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {body}");
    body
}

/// Makes a customer who may have what its constraint says; returns its id and its request.
async fn customer(tollgate: &Running, number: usize) -> (String, String) {
    let name = format!("Customer {number}");
    let made = post(tollgate, "", json!({"name": name})).await;
    let constraint = format!(">=0.{}.{}, <{}", number / 10, number % 10, 2 + number % 9);
    let grant = json!({"package": "acme/tool", "constraint": constraint});
    let id = made["id"].as_str().unwrap();
    post(tollgate, &format!("/{id}/packages"), grant).await;
    let token = made["token"].as_str().unwrap();
    let credentials = STANDARD.encode(format!("token:{token}"));
    let request = format!(
        "GET /composer/{FILE} HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Basic {credentials}\r\n\r\n"
    );
    (id.to_owned(), request)
}

/// Lets both answer for some rounds, in turns, and prints what they did.
async fn compare(what: &str, tollgate: &Running, nginx: &Running, requests: &[String]) {
    let of_nginx = format!("GET /{FILE} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut sides = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        let requests = requests.to_vec();
        let next = move |number: usize| requests[number].clone();
        let ours = load::send(tollgate.address, CUSTOMERS, WINDOW, next).await;
        let of_nginx = of_nginx.clone();
        let next = move |_| of_nginx.clone();
        let theirs = load::send(nginx.address, CUSTOMERS, WINDOW, next).await;
        // The first round warms up.
        if round > 0 {
            sides[0].push(ours);
            sides[1].push(theirs);
        }
    }
    println!("{what:<28}{:>10}{:>10}{:>8}", "ours", "nginx", "ratio");
    print_row("requests/s", &sides, Window::rate);
    print_row("p50, ms", &sides, |it| it.millis(0.5));
    print_row("p99, ms", &sides, |it| it.millis(0.99));
}

/// Changes the file and lets each customer ask once, some times; prints how long the first of all
/// waited, for whom the file is read, and how long the others did.
async fn print_first_answers(tollgate: &Running, files: &Path, requests: &[String]) {
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for change in 1..=CHANGES {
        write_repository(files, change);
        for (number, request) in requests.iter().enumerate() {
            let request = request.clone();
            let next = move |_| request.clone();
            let asked = load::send(tollgate.address, 1, Duration::ZERO, next).await;
            let side = if number == 0 { &mut first } else { &mut others };
            side.push(asked.millis(1.0));
        }
    }
    println!("first answers after a change{:>10}", "ours");
    println!("  {:<26}{:>10.1}", "that reads the file, ms", median(first));
    println!(
        "  {:<26}{:>10.1}",
        "to each of the others, ms",
        median(others)
    );
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn print_row(what: &str, sides: &[Vec<Window>; 2], figure: impl Fn(&Window) -> f64) {
    let [ours, nginx] = sides
        .each_ref()
        .map(|it| median(it.iter().map(&figure).collect()));
    let ratio = ours / nginx;
    println!("  {what:<26}{ours:>10.1}{nginx:>10.1}{ratio:>8.2}");
}

#[tokio::main]
async fn main() {
    let [files, data, prefix] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let length = write_repository(files.path(), 0);
    let mut nginx = start_nginx(prefix.path(), files.path());
    let mut tollgate = start_tollgate(data.path(), files.path()).await;
    nginx.wait_until_it_listens().await;
    tollgate.wait_until_it_listens().await;
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        customers.push(customer(&tollgate, number).await);
    }
    let (ids, requests): (Vec<_>, Vec<_>) = customers.into_iter().unzip();
    println!(
        "{VERSIONS} versions, a file of {} KiB; {CUSTOMERS} connections; Tollgate has {} MiB",
        length / 1024,
        tollgate.memory("VmRSS"),
    );
    compare("active customers", &tollgate, &nginx, &requests).await;
    print_first_answers(&tollgate, files.path(), &requests).await;
    for id in ids {
        let at = json!({"at": "2026-06-01T00:00:00Z"});
        post(&tollgate, &format!("/{id}/freeze"), at).await;
    }
    compare("frozen customers", &tollgate, &nginx, &requests).await;
    println!("Tollgate had {} MiB at the most", tollgate.memory("VmHWM"));
}
