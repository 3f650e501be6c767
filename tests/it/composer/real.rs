//! A real Composer: it installs, updates and locks as its customer's status changes, and says why it
//! cannot. Slow, for what it installs: `deploy/dev/test --slow`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Rig;
use super::repository::{Repository, Served, Shape, VERSIONS};
use crate::support::stores::Engine;

/// A project that needs `acme/tool` of the customer and `public/lib` of everybody.
struct Project {
    folder: TempDir,
}

/// What a run of Composer left.
struct Run {
    text: String,
    succeeded: bool,
    /// The versions of what is installed, by package; empty where nothing is.
    tool: String,
    lib: String,
}

impl Project {
    fn new(base: &str, public: &str, token: &str, constraint: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let composer = json!({
            "require": {"acme/tool": constraint, "public/lib": "*"},
            "repositories": [
                {"type": "composer", "url": format!("{base}/composer")},
                {"type": "composer", "url": public},
                {"packagist.org": false},
            ],
            // Tollgate and the public repository speak plain HTTP here.
            "config": {"secure-http": false},
        });
        fs::write(folder.path().join("composer.json"), composer.to_string()).unwrap();
        let host = base.strip_prefix("http://").unwrap();
        let auth = json!({"http-basic": {host: {"username": "token", "password": token}}});
        fs::write(folder.path().join("auth.json"), auth.to_string()).unwrap();
        Self { folder }
    }

    async fn composer(&self, arguments: &[&str]) -> Run {
        let path = self.folder.path().to_owned();
        let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        tokio::task::spawn_blocking(move || {
            let output = run(&path, &arguments);
            let installed = |package: &str| {
                let file = path.join("vendor").join(package).join("VERSION");
                fs::read_to_string(file).unwrap_or_default()
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Run {
                text: text(&output.stdout) + &text(&output.stderr),
                succeeded: output.status.success(),
                tool: installed("acme/tool"),
                lib: installed("public/lib"),
            }
        })
        .await
        .unwrap()
    }

    async fn update(&self) -> Run {
        self.composer(&["update"]).await
    }

    /// Installs from the lock file alone, without what was downloaded before.
    async fn install(&self) -> Run {
        let _ = fs::remove_dir_all(self.folder.path().join("vendor"));
        let _ = fs::remove_dir_all(self.folder.path().join("cache"));
        self.composer(&["install"]).await
    }

    /// The versions of `acme/tool` that Composer could choose from.
    async fn available(&self) -> BTreeSet<String> {
        let shown = self
            .composer(&["show", "-a", "--format=json", "acme/tool"])
            .await;
        let Some(at) = shown.text.find('{').filter(|_| shown.succeeded) else {
            return BTreeSet::new();
        };
        let mut documents = serde_json::Deserializer::from_str(&shown.text[at..]).into_iter();
        let shown: Value = documents.next().unwrap().unwrap();
        let versions = shown["versions"].as_array().unwrap().iter();
        versions.map(|it| it.as_str().unwrap().to_owned()).collect()
    }
}

fn run(project: &Path, arguments: &[String]) -> Output {
    Command::new("composer")
        .args(arguments)
        .args(["--no-interaction", "--no-ansi", "--no-plugins"])
        .current_dir(project)
        .env("COMPOSER_HOME", project.join("home"))
        .env("COMPOSER_CACHE_DIR", project.join("cache"))
        .env("COMPOSER_ALLOW_SUPERUSER", "1")
        .stdin(Stdio::null())
        .output()
        .expect("composer is installed by `deploy/dev/test --slow`")
}

impl Run {
    #[track_caller]
    fn installed(&self, version: &str) {
        assert!(self.succeeded, "{}", self.text);
        assert_eq!(
            (self.tool.as_str(), self.lib.as_str()),
            (version, "1.0.0"),
            "{}",
            self.text
        );
    }

    #[track_caller]
    fn refused(&self, sentence: &str) {
        assert!(!self.succeeded, "{}", self.text);
        // Long lines are wrapped.
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(sentence), "{}", self.text);
    }
}

async fn a_project_lives_through_everything(shape: Shape, over_http: bool) {
    let rig = Rig::start(Engine::Sqlite, shape, over_http).await;
    let lib = [("public/lib", "1.0.0", "2020-01-01T00:00:00+00:00")];
    let mut everybodys = Repository::new(Shape::Plain, &lib);
    let public = Served::start(&everybodys, None).await;
    everybodys.base = format!("{}/", public.base);
    everybodys.write(&lib);
    let (path, token) = rig.customer(&[("acme/tool", "*")]).await;
    let project = Project::new(&rig.server.base, &public.base, &token, "*");
    let all: BTreeSet<String> = VERSIONS[..6].iter().map(|it| it.1.to_owned()).collect();
    // What Composer can choose from is what the access check allows.
    let agree = async || {
        let available = project.available().await;
        for version in &all {
            let query = format!("/access?package=acme/tool&version={version}");
            let checked = rig.ask(&token, &query, &[]).await.json();
            let allowed = checked["allowed"] == json!(true);
            assert_eq!(
                available.contains(version),
                allowed,
                "{shape:?} {version}: {available:?}"
            );
        }
    };

    project.update().await.installed("2.0.0");
    project.install().await.installed("2.0.0");
    agree().await;

    rig.post(&format!("{path}/suspend"), json!({})).await;
    for run in [project.update().await, project.install().await] {
        run.refused("Your subscription is suspended: its packages can be installed again");
    }
    agree().await;
    rig.post(&format!("{path}/reactivate"), json!({})).await;
    project.install().await.installed("2.0.0");

    // Less is granted: an update goes back to what may be had, and chooses nothing that fails.
    let grant = json!({"packages": [{"package": "acme/tool", "constraint": "^1.0"}]});
    let grants = format!("{path}/packages");
    let (status, _) = rig.server.call("PUT", &grants, Some(grant)).await;
    assert_eq!(status, 200);
    project
        .install()
        .await
        .refused("Your subscription does not cover acme/tool 2.0.0.");
    project.update().await.installed("1.1.0");
    agree().await;
    let exact = Project::new(&rig.server.base, &public.base, &token, "2.0.0");
    let run = exact.update().await;
    assert!(!run.succeeded && !run.text.contains("403"), "{}", run.text);

    // Frozen to what was out before the second version.
    let grant = json!({"packages": [{"package": "acme/tool", "constraint": "*"}]});
    let (status, _) = rig.server.call("PUT", &grants, Some(grant)).await;
    assert_eq!(status, 200);
    project.update().await.installed("2.0.0");
    rig.post(
        &format!("{path}/freeze"),
        json!({"at": "2026-01-15T00:00:00Z"}),
    )
    .await;
    project
        .install()
        .await
        .refused("acme/tool 2.0.0 is not among the versions that your subscription has left you.");
    project.update().await.installed("1.1.0");
    agree().await;

    rig.post(&format!("{path}/expire"), json!({})).await;
    project
        .update()
        .await
        .refused("Your subscription has ended: ");
    let unknown = Project::new(&rig.server.base, &public.base, "tok_wrong", "*");
    unknown
        .update()
        .await
        .refused("This access token is not known here");
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Composer: deploy/dev/test --slow"]
async fn over_a_folder_of_files() {
    a_project_lives_through_everything(Shape::Minified, false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Composer: deploy/dev/test --slow"]
async fn over_a_server() {
    a_project_lives_through_everything(Shape::Plain, true).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Composer: deploy/dev/test --slow"]
async fn over_what_satis_wrote() {
    a_project_lives_through_everything(Shape::Satis, false).await;
}
