//! A Composer repository in each of the shapes that tools write, and a server for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tower_http::services::ServeDir;

/// How metadata is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A file for each package, versions in a list.
    Plain,
    /// The same in Composer's minified form, versions in reverse.
    Minified,
    /// One file that `packages.json` includes, versions by their names, as Satis writes it.
    Satis,
    /// Everything in `packages.json`.
    Inline,
}

/// A version: its package, its name, when it came out.
pub(crate) type Given<'a> = (&'a str, &'a str, &'a str);

/// The versions that most tests use.
pub(crate) const VERSIONS: &[Given<'static>] = &[
    ("acme/tool", "1.0.0", "2026-01-01T00:00:00+00:00"),
    ("acme/tool", "1.1.0", "2026-01-10T00:00:00+00:00"),
    ("acme/tool", "2.0.0", "2026-02-01T00:00:00+00:00"),
    ("acme/tool", "2.1.0-beta1", "2026-02-10T00:00:00+00:00"),
    ("acme/tool", "dev-main", "2026-02-11T00:00:00+00:00"),
    ("acme/tool", "1.x-dev", "2026-01-11T00:00:00+00:00"),
    ("acme/other", "1.0.0", "2026-01-01T00:00:00+00:00"),
];

/// A folder with a repository.
pub(crate) struct Repository {
    folder: TempDir,
    shape: Shape,
    /// What stands before the addresses of archives.
    pub(crate) base: String,
}

impl Repository {
    pub(crate) fn new(shape: Shape, versions: &[Given<'_>]) -> Self {
        let repository = Self {
            folder: tempfile::tempdir().unwrap(),
            shape,
            base: "https://old.example/packages/".to_owned(),
        };
        repository.write(versions);
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the archive of a version is, below the folder. Satis puts references into names.
    fn archive((package, version, _): Given<'_>) -> String {
        let name = package.replace('/', "-");
        format!("dist/{package}/{name}-{version}+{}.tar", reference(version))
    }

    /// Writes everything anew.
    pub(crate) fn write(&self, versions: &[Given<'_>]) {
        let mut packages: Map<String, Value> = Map::new();
        for given in versions {
            let (package, version, time) = *given;
            let archive = Self::archive(*given);
            write_archive(&self.path().join(&archive), package, version);
            let mut listed = json!({
                "name": package, "version": version, "type": "library",
                "description": "A tool", "require": {"php": ">=5.3"},
                "source": {"type": "git", "url": "git@secret.example:x.git", "reference": "0"},
                "dist": {
                    "type": "tar", "url": format!("{}{}", self.base, archive.replace('+', "%2B")),
                    "reference": reference(version),
                },
                "notification-url": "https://old.example/count",
            });
            if !time.is_empty() {
                listed["time"] = json!(time);
            }
            if version == "1.0.0" {
                listed["abandoned"] = json!(true);
            }
            let of_package = packages.entry(package).or_insert_with(|| json!([]));
            of_package.as_array_mut().unwrap().push(listed);
        }
        match self.shape {
            Shape::Plain | Shape::Minified => self.write_files(&packages),
            Shape::Satis | Shape::Inline => self.write_whole(&packages),
        }
    }

    fn write_files(&self, packages: &Map<String, Value>) {
        let names: Vec<&String> = packages.keys().collect();
        let root = json!({
            "packages": [], "metadata-url": "/packages/p2/%package%.json",
            "available-packages": names, "notify-batch": "https://old.example/count",
        });
        self.put("packages.json", &root);
        for (name, versions) in packages {
            let versions = versions.as_array().unwrap();
            let is_dev = |it: &&Value| it["version"].as_str().unwrap().contains("dev");
            let (dev, stable): (Vec<&Value>, Vec<&Value>) = versions.iter().partition(is_dev);
            for (end, listed) in [("", stable), ("~dev", dev)] {
                let file = match self.shape {
                    Shape::Minified => json!({
                        "minified": "composer/2.0", "packages": {name: minified(&listed)},
                    }),
                    _ => json!({"packages": {name: listed}}),
                };
                self.put(&format!("p2/{name}{end}.json"), &file);
            }
        }
    }

    fn write_whole(&self, packages: &Map<String, Value>) {
        let mut by_version: Map<String, Value> = Map::new();
        for (name, versions) in packages {
            let versions = versions.as_array().unwrap().iter();
            let named = versions.map(|it| (it["version"].as_str().unwrap().to_owned(), it.clone()));
            by_version.insert(name.clone(), Value::Object(named.collect()));
        }
        let whole = json!({"packages": by_version});
        if self.shape == Shape::Inline {
            self.put("packages.json", &whole);
            return;
        }
        self.put("include/all$0123abcd.json", &whole);
        let root = json!({
            "packages": [], "includes": {"include/all$0123abcd.json": {"sha1": "0123abcd"}},
        });
        self.put("packages.json", &root);
    }

    pub(crate) fn put(&self, file: &str, content: &Value) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content.to_string()).unwrap();
    }
}

/// What an archive is made of.
pub(crate) fn reference(version: &str) -> String {
    let digits = version.bytes().map(|byte| format!("{byte:02x}"));
    format!("{:0<40}", digits.collect::<String>())
}

/// Composer's `MetadataMinifier::minify`, newest first.
fn minified(versions: &[&Value]) -> Vec<Value> {
    let mut last: Map<String, Value> = Map::new();
    let mut minified = Vec::new();
    for version in versions.iter().rev() {
        let version = version.as_object().unwrap();
        let mut differs = Map::new();
        for (field, value) in version {
            if last.get(field) != Some(value) {
                differs.insert(field.clone(), value.clone());
            }
        }
        for field in last.keys().filter(|field| !version.contains_key(*field)) {
            differs.insert(field.clone(), json!("__unset"));
        }
        last.clone_from(version);
        minified.push(Value::Object(differs));
    }
    minified
}

fn write_archive(archive: &PathBuf, package: &str, version: &str) {
    let content = tempfile::tempdir().unwrap();
    std::fs::write(content.path().join("VERSION"), version).unwrap();
    let described = json!({"name": package}).to_string();
    std::fs::write(content.path().join("composer.json"), described).unwrap();
    std::fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(archive).arg("-C").arg(content.path());
    let done = tar.args(["VERSION", "composer.json"]).status().unwrap();
    assert!(done.success());
}

/// What a server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

/// A server for a repository, below `/packages/`.
pub(crate) struct Served {
    pub(crate) base: String,
    seen: Arc<Seen>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    token: Mutex<Option<String>>,
    /// Answers everything with 500.
    broken: std::sync::atomic::AtomicBool,
    /// Answers what is below this path with 500.
    broken_below: Mutex<Option<String>>,
}

impl Served {
    /// Serves a folder to whoever shows this `Authorization`.
    pub(crate) async fn start(repository: &Repository, token: Option<&str>) -> Self {
        let seen = Arc::new(Seen::default());
        *seen.token.lock().unwrap() = token.map(str::to_owned);
        let router = Router::new()
            .nest_service("/packages", ServeDir::new(repository.path()))
            .layer(middleware::from_fn_with_state(Arc::clone(&seen), watch));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/packages", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, seen, server }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.seen.asked.lock().unwrap())
    }

    pub(crate) fn break_down(&self, broken: bool) {
        let order = std::sync::atomic::Ordering::SeqCst;
        self.seen.broken.store(broken, order);
    }

    pub(crate) fn break_below(&self, path: &str) {
        *self.seen.broken_below.lock().unwrap() = Some(path.to_owned());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn watch(State(seen): State<Arc<Seen>>, request: Request, next: Next) -> Response {
    seen.asked.lock().unwrap().push(Asked {
        path: request.uri().path().to_owned(),
        headers: request.headers().clone(),
    });
    let token = seen.token.lock().unwrap().clone();
    let shown = request.headers().get("authorization");
    let shown = shown.map(|it| it.to_str().unwrap().to_owned());
    if token.is_some() && shown != token {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let below = seen.broken_below.lock().unwrap().clone();
    let is_below = below.is_some_and(|below| request.uri().path().starts_with(&below));
    if is_below || seen.broken.load(std::sync::atomic::Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    next.run(request).await
}
