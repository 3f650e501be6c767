//! What moves on under its name, and what was removed: locks still find it while it is there.

use serde_json::{Value, json};
use tollgate::composer::location::{Location, Repository};
use tollgate::composer::upstream::Upstream;
use tollgate::domain::access::token::TokenHash;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::composer::{self, Request};
use tollgate::pipeline::registries::Repositories;

use tollgate::vault::Vault;

use super::Rig;
use super::repository::Shape;
use crate::support::seconds_from_now;
use crate::support::stores::{Engine, on_both_stores};

/// Rewrites every reference and archive of `dev-main` in the repository's metadata.
fn move_on(rig: &Rig, file: &str, to: &str) {
    let path = rig.repository.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut metadata: Value = serde_json::from_str(&text).unwrap();
    let versions = &mut metadata["packages"]["acme/tool"];
    let listed: Vec<&mut Value> = match versions {
        Value::Array(versions) => versions.iter_mut().collect(),
        versions => versions.as_object_mut().unwrap().values_mut().collect(),
    };
    let branch = listed.into_iter().find(|it| it["version"] == "dev-main");
    let dist = &mut branch.unwrap()["dist"];
    let old = dist["reference"].as_str().unwrap().to_owned();
    let url = dist["url"].as_str().unwrap().to_owned();
    let archive = |reference: &str| format!("dist/acme/tool/acme-tool-dev-main+{reference}.tar");
    let folder = rig.repository.path();
    std::fs::copy(folder.join(archive(&old)), folder.join(archive(to))).unwrap();
    dist["reference"] = json!(to);
    dist["url"] = json!(url.replace(&old, to));
    std::fs::write(path, metadata.to_string()).unwrap();
}

async fn a_lock_on_a_branch_that_moved_still_finds_its_archive(engine: Engine) {
    for (shape, file, over_http) in [
        (Shape::Plain, "p2/acme/tool~dev.json", true),
        (Shape::Inline, "packages.json", false),
    ] {
        let rig = Rig::start(engine, shape, over_http).await;
        let (path, token) = rig.customer(&[("acme/tool", "*")]).await;
        let (_, stable) = rig.customer(&[("acme/tool", "^1.0")]).await;
        let locked = rig.seen(&token, "acme/tool").await["dev-main"].clone();
        let whole = rig.archive(&token, &locked).await;
        assert_eq!(whole.status, 200);
        let mut seen = vec![locked.clone()];
        for to in ["11111111", "22222222"] {
            move_on(&rig, file, to);
            if over_http {
                rig.post("/api/v1/packages/refresh", json!({})).await;
            }
            let now = rig.seen(&token, "acme/tool").await["dev-main"].clone();
            assert_eq!(now["dist"]["reference"], to, "{shape:?}");
            seen.push(now);
        }
        for locked in &seen {
            let archive = rig.archive(&token, locked).await;
            assert_eq!(archive.status, 200, "{locked:?}");
            assert_eq!(archive.bytes, whole.bytes);
            // Whoever may not have the branch has none of what it was.
            let refused = rig.archive(&stable, locked).await;
            assert_eq!(refused.status, 403, "{}", refused.json());
            let warning = refused.json()["warning"].as_str().unwrap().to_owned();
            assert!(warning.contains("dev-main"), "{warning}");
        }
        rig.post(&format!("{path}/suspend"), json!({})).await;
        assert_eq!(rig.archive(&token, &locked).await.status, 403);
        rig.post(&format!("{path}/reactivate"), json!({})).await;
        if over_http {
            // What the repository has no more, nobody has.
            std::fs::remove_dir_all(rig.repository.path().join("dist")).unwrap();
            assert_eq!(rig.archive(&token, &locked).await.status, 404);
        }
        rig.server.stop().await;
    }
}

async fn a_removed_release_comes_back_while_the_repository_has_it(engine: Engine) {
    let rig = Rig::start(engine, Shape::Plain, false).await;
    let (path, token) = rig.customer(&[("acme/tool", "*")]).await;
    let at = json!({"at": "2026-02-01T00:00:00.000Z"});
    rig.post(&format!("{path}/freeze"), at).await;
    let place = rig.repository.path().display().to_string();
    let repository = Repository {
        location: Location::parse(&place).unwrap(),
        token: None,
    };
    // Another process of the same store, at times of our own.
    let repositories =
        Repositories::new(Upstream::default(), Vault::new(&[7; 32]), Some(repository));
    let hash = TokenHash::of(&token);
    let asked = async |seconds: i64| {
        let request = Request {
            store: rig.server.server.store(),
            repositories: &repositories,
            token: Some(&hash),
            now: Timestamp::from_seconds(seconds_from_now(seconds)).unwrap(),
        };
        let file = composer::metadata(request, "acme/tool", false, "/").await;
        let file = file.unwrap().unwrap().found.unwrap().write().await;
        let text = String::from_utf8(file.to_vec()).unwrap();
        let versions = ["1.0.0", "1.1.0", "2.0.0", "2.1.0-beta1"].into_iter();
        let is_there = |it: &&str| text.contains(&format!("\"version\":\"{it}\""));
        versions.filter(is_there).collect::<Vec<_>>()
    };
    let all = ["1.0.0", "1.1.0", "2.0.0"];
    assert_eq!(asked(0).await, all);
    let release = "/api/v1/packages/acme/tool/releases/1.0.0";
    let (status, _) = rig.server.call("DELETE", release, None).await;
    assert_eq!(status, 204);
    assert_eq!(asked(1).await, all[1..], "an admin's word counts at once");
    assert_eq!(asked(100).await, all, "the repository has it still");
    assert_eq!(asked(200).await, all);
    rig.server.stop().await;
}

async fn what_was_remembered_of_branches_is_bounded(engine: Engine) {
    let rig = Rig::start(engine, Shape::Inline, false).await;
    let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
    let branch = |number: usize, reference: &str| {
        json!({
            "name": "acme/tool", "version": format!("dev-b{number}"),
            "dist": {"type": "tar", "url": "dist/x.tar", "reference": reference},
        })
    };
    for round in ["a", "b", "c"] {
        let branches: Vec<Value> = (0..600).map(|number| branch(number, round)).collect();
        let whole = json!({"packages": {"acme/tool": branches}});
        rig.repository.put("packages.json", &whole);
        assert_eq!(rig.seen(&token, "acme/tool").await.len(), 600);
    }
    let contents = rig.server.place.contents().await;
    let files = contents
        .iter()
        .filter(|(place, _)| place == "branch_archives.file");
    assert_eq!(files.count(), 1_000);
    rig.server.stop().await;
}

on_both_stores! {
    a_lock_on_a_branch_that_moved_still_finds_its_archive,
    a_removed_release_comes_back_while_the_repository_has_it,
    what_was_remembered_of_branches_is_bounded,
}
