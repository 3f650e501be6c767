//! The description of the API as it is served, and its pages.

use serde_json::Value;
use tollgate::http::description;

use super::rig::Rig;
use crate::support::stores::Engine;

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_served_to_everybody() {
    let rig = Rig::start(Engine::Sqlite).await;
    let answer = rig.send("GET", "/openapi.json", &[], None).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let described: Value = serde_json::from_str(description::document()).unwrap();
    assert_eq!(answer.expect(200), described);
}

/// Addresses in a text that a browser could follow, but for the names of XML's dialects, which
/// nobody loads.
fn addresses(text: &str) -> Vec<&str> {
    let ends = |c: char| c.is_whitespace() || "\"'`<>()\\".contains(c);
    let from = |(at, _): (usize, &str)| text[at..].split(ends).next().unwrap();
    text.match_indices("https://")
        .chain(text.match_indices("http://"))
        .map(from)
        .filter(|it| !it.starts_with("http://www.w3.org/"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_load_nothing_from_elsewhere() {
    let rig = Rig::start(Engine::Sqlite).await;
    let entrance = rig.send("GET", "/docs", &[], None).await;
    assert_eq!(
        (entrance.status, entrance.header("location")),
        (303, "/docs/")
    );
    let page = rig.send("GET", "/docs/", &[], None).await;
    assert_eq!(page.header("content-type"), "text/html");
    let policy = page.header("content-security-policy").to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert_eq!(addresses(&policy), Vec::<&str>::new());

    let page = page.expect(200);
    let page = page.as_str().unwrap();
    assert_eq!(addresses(page), Vec::<&str>::new(), "{page}");
    let quoted = page
        .split('"')
        .filter(|it| matches!(it.rsplit_once('.'), Some((_, "js" | "css"))));
    let files: Vec<&str> = quoted.map(|it| it.trim_start_matches("./")).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let loaded = rig.send("GET", &format!("/docs/{file}"), &[], None).await;
        assert_eq!(loaded.status, 200, "{file}");
        assert_eq!(loaded.header("content-security-policy"), policy, "{file}");
    }
    let started = rig
        .send("GET", "/docs/swagger-initializer.js", &[], None)
        .await;
    let started = started.expect(200);
    let started = started.as_str().unwrap();
    assert!(started.contains("\"/openapi.json\""), "{started}");
    assert!(started.contains("\"validatorUrl\": \"none\""), "{started}");
    assert_eq!(addresses(started), Vec::<&str>::new(), "{started}");
    rig.send("GET", "/docs/nothing", &[], None)
        .await
        .refused(404, "file_unknown");
}
