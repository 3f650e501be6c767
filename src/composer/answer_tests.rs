//! Writing metadata: Composer must read from it what was in the file, and nothing else.

use serde_json::{Map, Value, json};

use super::*;
use crate::composer::metadata::read;

/// Unfolds the minified form as Composer's `MetadataMinifier::expand` does.
fn expand(minified: &[Value]) -> Vec<Map<String, Value>> {
    let mut expanded: Vec<Map<String, Value>> = Vec::new();
    let mut last = Map::new();
    for version in minified {
        for (field, value) in version.as_object().unwrap() {
            if value == "__unset" {
                last.remove(field);
            } else {
                last.insert(field.clone(), value.clone());
            }
        }
        expanded.push(last.clone());
    }
    expanded
}

/// Writes what is allowed of a file, and reads it as Composer would.
fn answered(file: &Value, allowed: &[&str]) -> Vec<Map<String, Value>> {
    let metadata = read(file.to_string().as_bytes()).unwrap();
    let packages = || metadata.packages.values();
    let selection = Selection::new(packages(), |listed| {
        allowed.contains(&listed.version.as_ref().unwrap().text.as_str())
    });
    assert_eq!(selection.count(), allowed.len());
    let dists = "https://here.example/composer/dist/acme/tool/";
    let text = package("acme/tool", packages(), dists, &selection);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["minified"], "composer/2.0");
    expand(answer["packages"]["acme/tool"].as_array().unwrap())
}

#[test]
fn what_stays_is_what_it_was() {
    let versions = [
        json!({"name": "acme/tool", "version": "3.0", "require": {"php": "^8"}, "type": "library"}),
        json!({"name": "acme/tool", "version": "2.0", "require": {"php": "^8"}, "abandoned": true}),
        json!({"name": "acme/tool", "version": "1.0", "require": {"php": "^7"}, "type": "library", "a": null}),
    ];
    let file = json!({"packages": {"acme/tool": versions}});
    let as_map = |value: &Value| value.as_object().unwrap().clone();
    for chosen in [&[0, 1, 2][..], &[0, 2], &[1], &[1, 2], &[]] {
        let allowed: Vec<&str> = chosen.iter().map(|it| ["3.0", "2.0", "1.0"][*it]).collect();
        let expected: Vec<_> = chosen.iter().map(|it| as_map(&versions[*it])).collect();
        let answer = answered(&file, &allowed);
        assert_eq!(answer, expected, "{allowed:?}");
        // Minified or not, read or written: the same.
        let text = read(file.to_string().as_bytes()).unwrap();
        let all = Selection::new(text.packages.values(), |_| true);
        let all = package("acme/tool", text.packages.values(), "", &all);
        let again: Value = serde_json::from_str(&all).unwrap();
        assert_eq!(
            answered(&again, &allowed),
            expected,
            "{allowed:?}, read again"
        );
    }
}

#[test]
fn archives_are_here_and_nothing_leads_around_them() {
    let dist = json!({
        "type": "zip", "url": "https://secret.example/a.zip", "reference": "abc", "shasum": "def",
        "mirrors": [{"url": "https://mirror.example/%package%"}],
    });
    let source = json!({"type": "git", "url": "git@secret.example:acme/tool.git"});
    let file = json!({"packages": {"acme/tool": [
        {"name": "acme/tool", "version": "2.0", "dist": dist, "source": source,
         "notification-url": "https://secret.example/count"},
        {"name": "acme/tool", "version": "1.0", "source": source},
    ]}});
    let answer = answered(&file, &["2.0", "1.0"]);
    let shown = answer[0]["dist"].as_object().unwrap();
    let url = shown["url"].as_str().unwrap();
    assert!(
        url.starts_with("https://here.example/composer/dist/acme/tool/2.0-"),
        "{url}"
    );
    assert_eq!(
        (&shown["reference"], &shown["shasum"]),
        (&json!("abc"), &json!("def"))
    );
    assert_eq!(shown.len(), 4, "{shown:?}");
    assert!(!answer[0].contains_key("source") && !answer[0].contains_key("notification-url"));
    // Without an archive there is only the source.
    assert_eq!(answer[1]["source"], source);
    assert!(!answer[1].contains_key("dist"));
}

#[test]
fn what_one_file_says_is_not_said_of_another() {
    let dist =
        |file: &str| json!({"type": "zip", "url": format!("https://repo.example/{file}.zip")});
    let files = [
        json!({"packages": {"acme/tool": [
            {"version": "3.0", "abandoned": true, "dist": dist("3"), "source": {"type": "git"}},
            {"version": "2.0", "abandoned": true, "source": {"type": "git"}},
        ]}}),
        json!({"packages": {"acme/tool": [
            {"version": "1.0", "dist": dist("1"), "require": {"php": "^7"}},
        ]}}),
    ];
    let read = files.map(|file| read(file.to_string().as_bytes()).unwrap());
    let packages = || read.iter().flat_map(|file| file.packages.values());
    for (wanted, fields) in [
        (
            &["3.0", "2.0", "1.0"][..],
            vec!["dist", "require", "version"],
        ),
        (&["2.0", "1.0"], vec!["dist", "require", "version"]),
        (&["3.0", "2.0"], vec!["abandoned", "source", "version"]),
    ] {
        let selection = Selection::new(packages(), |listed| {
            wanted.contains(&listed.version.as_ref().unwrap().text.as_str())
        });
        let text = package("acme/tool", packages(), "https://here.example/", &selection);
        let answer: Value = serde_json::from_str(&text).unwrap();
        let versions = expand(answer["packages"]["acme/tool"].as_array().unwrap());
        let names: Vec<_> = versions
            .iter()
            .map(|it| it["version"].as_str().unwrap())
            .collect();
        assert_eq!(names, wanted);
        let last = versions.last().unwrap();
        assert_eq!(last.keys().collect::<Vec<_>>(), fields, "{wanted:?}");
    }
}
