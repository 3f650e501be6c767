//! The two text formats, and what the linter of Prometheus says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use tollgate::provider::STRIPE;

use super::rig::scrape;
use super::sign_up;
use crate::deploy::figures_of_the_runbook;
use crate::docs::root;
use crate::support::stores::Engine;
use crate::support::{ADMIN_TOKEN, TestServer, rabbitmq};

/// What Prometheus 2 and 3 send.
const OF_PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
    application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,\
    text/plain;version=0.0.4;q=0.2,/;q=0.1";

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_gets_openmetrics_and_others_the_older_text() {
    let server = TestServer::start(Engine::Sqlite).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (accept, expected) in [
        (None, plain),
        (Some("*/*"), plain),
        (Some(OF_PROMETHEUS), open),
    ] {
        let mut request = server.client.get(format!("{}/metrics", server.base));
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        let answer = request.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], expected, "{accept:?}");
        let text = answer.text().await.unwrap();
        assert_eq!(text.ends_with("# EOF\n"), expected == open, "{text}");
        // Their words for a counter differ.
        let counter = "# TYPE tollgate_event_retries counter";
        assert_eq!(text.contains(counter), expected == open, "{text}");
        let sample = "\ntollgate_event_retries_total{provider=\"stripe\"} 0\n";
        assert!(text.contains(sample), "{text}");
    }
    server.stop().await;
}

/// Prometheus sees no rise of a series that begins with it: what an alert looks for has to be there at nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_alerts_look_for_begins_at_nothing() {
    let server = TestServer::start(Engine::Sqlite).await;
    let (_, text) = scrape(&server.base, Some(ADMIN_TOKEN)).await;
    let rules = std::fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
    let looked_for: Vec<&str> = rules
        .split("increase(")
        .skip(1)
        .map(|rest| rest.split('[').next().unwrap())
        // Only where there is a broker.
        .filter(|it| *it != "tollgate_work_queue_losses_total")
        .collect();
    assert!(looked_for.len() >= 3, "{looked_for:?}");
    for it in looked_for {
        let (name, label) = it.split_once('{').unwrap_or((it, ""));
        let label = label.trim_end_matches('}');
        let begins = text
            .lines()
            .any(|line| line.starts_with(name) && line.contains(label) && line.ends_with(" 0"));
        assert!(begins, "{it}: {text}");
    }
    server.stop().await;
}

/// Each family is described once, and in one place: a parser takes the second for another.
#[tokio::test(flavor = "multi_thread")]
async fn each_figure_is_described_once() {
    let server = TestServer::start(Engine::Sqlite).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let (_, text) = scrape(&server.base, Some(ADMIN_TOKEN)).await;
    let mut described = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split(' ').next().unwrap().to_owned();
            assert!(!described.contains(&current), "{current} twice");
            described.push(current.clone());
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&current), "{line} under {current}");
        } else {
            let (_, help) = line.split_once("# HELP ").unwrap();
            assert!(help.ends_with('.') && !help.ends_with(".."), "{help}");
        }
    }
    assert!(described.len() > 25, "{described:?}");
    server.stop().await;
}

/// The names of figures in a text: of histograms, as they are queried.
fn named(text: &str) -> BTreeSet<&str> {
    let is_name = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    let starts = text.match_indices("tollgate_").map(|(at, _)| at);
    let names = starts.map(|at| {
        let rest = &text[at..];
        &rest[..rest.find(|char| !is_name(char)).unwrap_or(rest.len())]
    });
    names.collect()
}

/// Rules, dashboard and docs speak of figures that there are.
#[tokio::test(flavor = "multi_thread")]
async fn each_figure_that_is_spoken_of_is_served() {
    let server = TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), rabbitmq::shared().url().into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), rabbitmq::prefix().into());
    })
    .await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let figures = super::until(&server.base, |it| {
        it.find("tollgate_queue_messages{lane=\"work\"}").is_some()
            && it.text.contains("tollgate_events_total{")
    })
    .await;
    let known = named(&figures.text);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/alerts_test.yml",
        "deploy/grafana/tollgate.json",
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        // These are served once a comparison with a provider has ended, as below.
        let late = |it: &&str| it.starts_with("tollgate_reconcile_");
        let mut unknown: Vec<_> = named(&text).difference(&known).copied().collect();
        unknown.retain(|it| !late(it));
        assert!(unknown.is_empty(), "{file} speaks of {unknown:?}");
    }
    for start in figures_of_the_runbook() {
        let found = known.iter().any(|it| it.starts_with(&start));
        assert!(found, "the runbook looks for {start}");
    }
    // The page's table leaves the prefix out, and says of all what they are.
    let page = std::fs::read_to_string(root.join("docs/watching.md")).unwrap();
    let (_, table) = page.split_once("\n| figure | says | alert |\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let described = table.lines().skip(1).flat_map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        let names = cell.split('`').skip(1).step_by(2);
        names.map(|name| format!("tollgate_{}", name.split('{').next().unwrap()))
    });
    // These are served once a comparison with a provider has ended: `reconcile::requests` looks at them.
    let described = described.filter(|name| !name.starts_with("tollgate_reconcile_"));
    let described: BTreeSet<String> = described.collect();
    let families = known.iter().map(|name| {
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name)
    });
    let families: BTreeSet<String> = families.map(str::to_owned).collect();
    assert_eq!(described, families);
    server.stop().await;
}

/// What stands before the brace that closes, without what is in quotation marks: routes have braces too.
fn without_values(text: &str) -> String {
    let mut is_value = false;
    let mut kept = String::new();
    for char in text.chars() {
        match char {
            '"' => is_value = !is_value,
            '}' if !is_value => break,
            _ if is_value => {}
            char => kept.push(char),
        }
    }
    kept
}

/// The names behind each brace that follows a figure's name, by figure: those of a histogram's series are its own.
fn labels(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in named(text) {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        let of_family = labels.entry(family.to_owned()).or_default();
        for (at, _) in text.match_indices(&format!("{name}{{")) {
            let inside = without_values(&text[at + name.len() + 1..]);
            let names = inside.split(',').map(|it| {
                let name = it.split(['=', '!', '\\']).next().unwrap().trim();
                name.to_owned()
            });
            let names = names.filter(|it| !it.is_empty());
            of_family.extend(names.filter(|it| it != "le"));
        }
    }
    labels
}

/// A rule or a panel that asks for a label which no series has finds nothing, for ever, and nobody hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn each_label_that_is_asked_for_is_served() {
    let server = TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), rabbitmq::shared().url().into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), rabbitmq::prefix().into());
    })
    .await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let figures = super::until(&server.base, |it| {
        it.text.contains("tollgate_events_total{")
            && it.text.contains("tollgate_queue_messages{")
            && it.text.contains("tollgate_queue_published_total{")
    })
    .await;
    let mut known = labels(&figures.text);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let page = read("docs/watching.md");
    let (_, table) = page.split_once("\n| figure | says | alert |\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    for name in table.split('`').skip(1).step_by(2) {
        let Some((name, described)) = name.trim_end_matches('}').split_once('{') else {
            continue;
        };
        let described: BTreeSet<String> = described.split(',').map(str::to_owned).collect();
        match known.get(&format!("tollgate_{name}")) {
            // Nothing of it has happened.
            None => {}
            Some(found) if found.is_empty() => {}
            Some(found) => assert_eq!(*found, described, "{name}"),
        }
        known.insert(format!("tollgate_{name}"), described);
    }
    let mut count = 0;
    for file in [
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/alerts_test.yml",
        "deploy/grafana/tollgate.json",
    ] {
        for (family, asked) in labels(&read(file)) {
            let having = known.get(&family).cloned().unwrap_or_default();
            // Prometheus adds these.
            for label in asked.iter().filter(|it| *it != "instance" && *it != "job") {
                count += 1;
                assert!(
                    having.contains(label),
                    "{file}: {family} has no {label}, but {having:?}"
                );
            }
        }
    }
    assert!(count > 10, "{count} labels");
    server.stop().await;
}

#[test]
#[ignore = "needs promtool: deploy/dev/test --slow"]
fn the_rules_for_alerts_are_right_and_fire() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
        ["check", "rules", "rabbitmq.yml"],
        ["test", "rules", "rabbitmq_test.yml"],
    ] {
        let mut run = Command::new("promtool");
        let said = run.args(arguments).current_dir(&folder).output().unwrap();
        let text = [said.stdout, said.stderr].concat();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&text));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs promtool: deploy/dev/test --slow"]
async fn the_linter_of_prometheus_has_no_complaint() {
    let server = TestServer::start(Engine::Sqlite).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let (_, text) = scrape(&server.base, Some(ADMIN_TOKEN)).await;
    let mut linter = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    linter
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let said = linter.wait_with_output().unwrap();
    let complaints = [said.stdout, said.stderr].concat();
    let complaints = String::from_utf8_lossy(&complaints);
    assert!(
        said.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    server.stop().await;
}
