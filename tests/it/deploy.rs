//! What `deploy/` says, held against the program: the broker's definitions, the runbook, the manifests'
//! names. What needs more than the tests have is in `deploy/dev/deployment`, `stack` and `image`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::Value;

use crate::support::postgres::database;
use crate::support::program::with;
use crate::support::rabbitmq::{Broker, prefix, shared};
use crate::support::serving::{Serving, quiet_port};
use crate::support::stores::Engine;
use crate::support::{ADMIN_TOKEN, PATIENCE, SECRET_KEY, TestServer};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The values behind `- alert:` in the files of rules.
fn alerts() -> Vec<String> {
    let rules = ["alerts", "rabbitmq"].map(|it| read(&format!("deploy/prometheus/{it}.yml")));
    let lines = rules.iter().flat_map(|it| it.lines());
    let names = lines.filter_map(|it| it.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn each_alert_has_its_section_of_the_runbook_and_each_section_its_alert() {
    let runbook = read("deploy/runbook.md");
    let sections: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|it| it.strip_prefix("## "))
        .collect();
    let alerts = alerts();
    assert_eq!(sections, alerts.iter().map(String::as_str).collect());
    let rules = read("deploy/prometheus/alerts.yml") + &read("deploy/prometheus/rabbitmq.yml");
    for alert in &alerts {
        let link = format!(
            "runbook: \"deploy/runbook.md#{}\"",
            alert.to_ascii_lowercase()
        );
        assert!(rules.contains(&link), "{alert} does not link to {link}");
        let (_, section) = runbook.split_once(&format!("\n## {alert}\n")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        for part in ["**Means:**", "**Look first:**", "```sh\n"] {
            assert!(section.contains(part), "{alert} has no {part}");
        }
    }
}

/// The commands of a page's code: words up to a comment, of lines that begin with the program.
fn commands(page: &str) -> Vec<Vec<&str>> {
    let blocks = page.split("```sh\n").skip(1);
    let code = blocks.map(|it| it.split("```").next().unwrap());
    let lines = code.flat_map(str::lines);
    let commands = lines.filter(|it| it.starts_with("tollgate "));
    let without_comment = commands.map(|it| it.split(" #").next().unwrap());
    without_comment
        .map(|it| it.split_whitespace().skip(1).collect())
        .collect()
}

#[test]
fn the_commands_of_the_runbook_are_those_of_the_program() {
    let runbook = read("deploy/runbook.md");
    let commands = commands(&runbook);
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let is_name = |it: &&&str| {
            it.chars()
                .all(|char| char.is_ascii_lowercase() || char == '-')
        };
        let names = command.iter().take(2).take_while(is_name);
        let names: Vec<_> = names.filter(|it| !it.starts_with('-')).collect();
        let names = names.into_iter().filter(|it| **it != "stripe");
        let help = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(names)
            .arg("--help")
            .output()
            .unwrap();
        assert!(help.status.success(), "{command:?}");
        let help = String::from_utf8(help.stdout).unwrap();
        for option in command.iter().filter(|it| it.starts_with("--")) {
            let known = help.split_whitespace().any(|it| it == *option);
            assert!(known, "{command:?}: {option} is not in\n{help}");
        }
    }
}

/// Each question of the runbook that needs no id finds something on a server as the runbook has it: figures on an
/// address of their own.
#[tokio::test(flavor = "multi_thread")]
async fn the_questions_of_the_runbook_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let database = database().await;
    let [api, ops] = [quiet_port(), quiet_port()].map(|it| format!("127.0.0.1:{it}"));
    let settings = [
        ("DATABASE_URL", database.expose_secret()),
        ("TOLLGATE_SECRET_KEY", SECRET_KEY),
        ("AMQP_URL", &shared().url()),
        ("TOLLGATE_AMQP_PREFIX", &prefix()),
        ("TOLLGATE_LISTEN", &api),
        ("TOLLGATE_OPS_LISTEN", &ops),
    ];
    let mut serving = Serving::spawn(&with(dir.path(), &settings));
    serving.base = format!("http://{ops}");
    serving.until_ready().await;
    let runbook = read("deploy/runbook.md");
    let blocks = runbook.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|it| it.split("```").next().unwrap().lines());
    let questions: Vec<&str> = lines
        .filter(|it| it.starts_with("curl ") && !it.contains('…'))
        .collect();
    assert!(questions.len() > 10, "{questions:?}");
    for question in questions {
        let asked = Command::new("bash")
            .args([
                "-o",
                "pipefail",
                "-c",
                &question.replace("curl ", "curl --fail "),
            ])
            .env("OPS", format!("http://{ops}"))
            .env("API", format!("http://{api}"))
            .env("AUTH", format!("Authorization: Bearer {ADMIN_TOKEN}"))
            .output()
            .unwrap();
        assert!(
            asked.status.success() && !asked.stdout.is_empty(),
            "{question}: {asked:?}"
        );
    }
}

/// The rest of a broker's definitions: what is in the virtual host of `deploy/`, sorted.
fn of_the_host(exported: &Value, part: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for it in exported[part].as_array().unwrap() {
        if it["vhost"] == "tollgate" {
            let mut it = it.clone();
            // RabbitMQ shows the kind of a queue beside its arguments.
            let is_queue = part == "queues";
            it.as_object_mut()
                .unwrap()
                .retain(|key, _| key != "internal" && !(is_queue && key == "type"));
            it.sort_all_objects();
            found.insert(it.to_string());
        }
    }
    found
}

/// A difference in an argument would close Tollgate's channel, and then nothing is taken.
#[tokio::test(flavor = "multi_thread")]
async fn the_brokers_definitions_are_what_the_program_declares() {
    let broker = Broker::start_with("");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rabbitmq");
    let file = root.join("definitions.json");
    broker.ctl(&["import_definitions", file.to_str().unwrap()]);
    // As deploy/rabbitmq/setup says it: what these rights do not allow, the program may not need.
    let setup = read("deploy/rabbitmq/setup");
    let rights = setup
        .lines()
        .find_map(|it| it.strip_prefix("ctl set_permissions --vhost tollgate tollgate "))
        .unwrap();
    let rights: Vec<&str> = rights.split('\'').skip(1).step_by(2).collect();
    broker.ctl(&["add_user", "tollgate", "of the test"]);
    let mut give = vec!["set_permissions", "-p", "tollgate", "tollgate"];
    give.extend(&rights);
    broker.ctl(&give);
    let exported = || -> Value {
        let file = tempfile::NamedTempFile::new().unwrap();
        broker.ctl(&["export_definitions", file.path().to_str().unwrap()]);
        serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap()
    };
    let imported = exported();
    let definitions: Value =
        serde_json::from_str(&read("deploy/rabbitmq/definitions.json")).unwrap();
    let url = format!(
        "amqp://tollgate:of%20the%20test@{}/tollgate",
        broker.address()
    );
    let server = TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), url.into());
    })
    .await;
    // A worker that has just started may not have both of its consumers yet.
    let started = Instant::now();
    loop {
        let (status, body) = server.call("GET", "/readyz", None).await;
        if status == 200 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{status} {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop().await;
    let declared = exported();
    for part in ["exchanges", "queues", "bindings", "policies"] {
        let wanted = of_the_host(&definitions, part);
        assert!(!wanted.is_empty(), "{part}");
        assert_eq!(of_the_host(&imported, part), wanted, "imported {part}");
        // Nothing that the program makes is missing in the file.
        assert_eq!(of_the_host(&declared, part), wanted, "declared {part}");
    }
    // The limit of the queue's size is the policy's.
    let policies = broker.ctl(&["list_queues", "-p", "tollgate", "name", "policy"]);
    assert!(
        policies.contains("tollgate.work.2\ttollgate-work"),
        "{policies}"
    );
}

/// Of the services `tollgate-api` and `tollgate-receiver` Kubernetes makes two dozen variables that begin as settings
/// do, and the log would warn of each at every start.
#[test]
fn no_pod_gets_variables_that_look_like_settings() {
    let mut pods = 0;
    for file in ["api", "migrate", "receiver", "worker"] {
        let manifest = read(&format!("deploy/kubernetes/{file}.yaml"));
        let count = |text: &str| manifest.matches(text).count();
        assert_eq!(
            count("\n      enableServiceLinks: false\n"),
            count("containers:\n"),
            "{file}"
        );
        pods += count("containers:\n");
    }
    assert_eq!(pods, 4);
}

/// Everything that belongs to deploying runs elsewhere than here.
#[test]
fn nothing_in_deploy_names_a_registry_or_a_place_of_this_machine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let mut folders = vec![root.clone()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What `deploy/compose/setup` made.
                if !path.ends_with("compose/secrets") {
                    folders.push(path);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            seen += 1;
            for word in [
                "docker.io/",
                "ghcr.io/",
                "quay.io/",
                "gcr.io/",
                "/root/",
                "/home/",
            ] {
                assert!(!text.contains(word), "{} names {word}", path.display());
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

/// What the runbook's commands look for among the figures: beginnings of names.
pub(crate) fn figures_of_the_runbook() -> Vec<String> {
    let runbook = read("deploy/runbook.md");
    let lines = runbook.lines().filter(|it| it.contains("/metrics"));
    let patterns = lines.map(|it| it.split_once("grep ").unwrap().1);
    let names = patterns.flat_map(|pattern| {
        let pattern = pattern.trim_start_matches("-E ").trim_matches('\'');
        match pattern.split_once('(') {
            None => vec![pattern.to_owned()],
            Some((start, rest)) => {
                // Of a histogram, its sum and its count.
                let rest = rest.replace("_(sum|count)", "_sum");
                let ends = rest.trim_end_matches(')').split('|');
                ends.map(|it| format!("{start}{it}")).collect()
            }
        }
    });
    names.collect()
}
