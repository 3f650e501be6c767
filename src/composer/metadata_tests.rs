//! Reading metadata in every form that Composer reads.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn read_json(value: &Value) -> Metadata {
    read(value.to_string().as_bytes()).unwrap()
}

/// The versions of `acme/tool`, each as text and time.
fn versions(metadata: &Metadata) -> Vec<&str> {
    let package = &metadata.packages["acme/tool"];
    let named = package.versions.iter().filter_map(|it| it.version.as_ref());
    named.map(|version| version.text.as_str()).collect()
}

#[test]
fn versions_are_read_from_lists_and_objects_minified_or_not() {
    let dist = json!({"type": "zip", "url": "https://x.example/a.zip", "reference": "abc"});
    let full = [
        json!({"name": "acme/tool", "version": "2.0.0", "time": "2026-02-01T00:00:00+01:00", "dist": dist}),
        json!({"name": "acme/tool", "version": "1.0.0", "time": "2026-01-01 00:00:00"}),
    ];
    let minified = [
        full[0].clone(),
        json!({"version": "1.0.0", "time": "2026-01-01 00:00:00", "dist": "__unset"}),
    ];
    for (description, file) in [
        ("a list", json!({"packages": {"Acme/Tool": full}})),
        (
            "an object by version",
            json!({"packages": {"acme/tool": {"2.0.0": full[0], "1.0.0": full[1]}}}),
        ),
        (
            "minified",
            json!({"minified": "composer/2.0", "packages": {"acme/tool": minified}}),
        ),
    ] {
        let metadata = read_json(&file);
        let package = &metadata.packages["acme/tool"].versions;
        let times: Vec<_> = package
            .iter()
            .map(|it| it.time.unwrap().to_string())
            .collect();
        let mut times: Vec<&str> = times.iter().map(String::as_str).collect();
        let mut found = versions(&metadata);
        // A JSON object of serde_json is sorted.
        if description == "an object by version" {
            times.reverse();
            found.reverse();
        }
        assert_eq!(found, ["2.0.0", "1.0.0"], "{description}");
        assert_eq!(
            times,
            ["2026-01-31T23:00:00.000Z", "2026-01-01T00:00:00.000Z"],
            "{description}"
        );
        let dists = package.iter().filter_map(|it| it.dist.as_ref());
        let urls: Vec<&str> = dists.map(|it| it.url.as_str()).collect();
        assert_eq!(urls, ["https://x.example/a.zip"], "{description}");
    }
}

#[test]
fn a_root_is_read_as_satis_and_packagist_write_it() {
    let metadata = read_json(&json!({
        "packages": [],
        "metadata-url": "/p2/%package%.json",
        "available-packages": ["Acme/Tool", "acme/other"],
        "includes": {"include/all$abc.json": {"sha1": "abc"}},
        "notify-batch": "https://x.example/downloads", "providers-url": "/p/%package%$%hash%.json",
    }));
    assert!(metadata.packages.is_empty());
    assert_eq!(metadata.metadata_url.as_deref(), Some("/p2/%package%.json"));
    assert_eq!(metadata.includes, ["include/all$abc.json"]);
    let available: Vec<_> = metadata.available.unwrap().into_iter().collect();
    assert_eq!(available, ["acme/other", "acme/tool"]);
    for empty in [
        "{}",
        r#"{"packages":{}}"#,
        r#"{"packages":null,"includes":[]}"#,
    ] {
        let metadata = read(empty.as_bytes()).unwrap();
        assert!(
            metadata.packages.is_empty() && metadata.includes.is_empty(),
            "{empty}"
        );
        assert_eq!(metadata.metadata_url, None, "{empty}");
    }
}

#[test]
fn archives_have_names_that_stay_when_a_repository_moves() {
    let file = |version: &str, url: &str, reference: Value| {
        let dist = json!({"type": "tar", "url": url, "reference": reference});
        let listed = json!([{"name": "acme/tool", "version": version, "dist": dist}]);
        let metadata = read_json(&json!({"packages": {"acme/tool": listed}}));
        let package = &metadata.packages["acme/tool"].versions[0];
        package.dist.as_ref().unwrap().file.clone()
    };
    let one = file("1.0.0", "https://old.example/a.zip", json!("abc"));
    let is_zip = Path::new(&one).extension().is_some_and(|it| it == "zip");
    assert!(one.starts_with("1.0.0-") && is_zip, "{one}");
    assert_eq!(
        one,
        file("1.0.0", "https://new.example/b.zip?x", json!("abc"))
    );
    assert_ne!(
        one,
        file("1.0.0", "https://old.example/a.zip", json!("abd"))
    );
    assert_ne!(
        one,
        file("1.0.1", "https://old.example/a.zip", json!("abc"))
    );
    for (url, end) in [
        ("https://x.example/a.tar.gz", ".tar.gz"),
        ("https://x.example/zipball/abc", ".tar"),
        ("a.tgz", ".tgz"),
    ] {
        assert!(file("1.0.0", url, Value::Null).ends_with(end), "{url}");
    }
    // Whatever a branch is called, its archive's name is one part of a path.
    let branch = file("dev-feature/../x y", "a.zip", Value::Null);
    assert!(branch.starts_with("dev-feature-..-x-y-"), "{branch}");
}

/// A small minified file whose first version says a hundred kilobytes of each thing.
fn unfolding(versions: usize, next: impl Fn(usize) -> Value) -> String {
    let long = "x".repeat(100_000);
    let first = json!({
        "version": format!("dev-{long}"), "source": {"url": long},
        "dist": {"url": format!("https://x.example/{long}.zip"), "reference": long, "shasum": long},
    });
    let listed: Vec<Value> = (0..versions).map(next).collect();
    let listed = [vec![first], listed].concat();
    let file = json!({"minified": "composer/2.0", "packages": {"a/b": listed}}).to_string();
    assert!(file.len() < 1 << 20);
    file
}

#[test]
fn what_unfolds_within_bounds_is_weighed_and_shared() {
    let of = |versions| {
        let file = unfolding(versions, |n| json!({"version": n.to_string()}));
        read(file.as_bytes()).unwrap()
    };
    let (few, many) = (of(1), of(101));
    // A hundred archives more, each of an address, a reference, and both other fields as written, of
    // which one is the reference again.
    let more = many.overhead() - few.overhead();
    assert!((40_000_000..41_000_000).contains(&more), "{more}");
    // What changes nothing costs nothing.
    let file = unfolding(50_000, |_| json!({}));
    let metadata = read(file.as_bytes()).unwrap();
    assert!(metadata.overhead() < 10_000_000);
    let versions = &metadata.packages["a/b"].versions;
    let (first, last) = (&versions[0], &versions[50_000]);
    assert!(is_same(
        first.version.as_ref().unwrap(),
        last.version.as_ref()
    ));
    assert!(is_same(first.dist.as_ref().unwrap(), last.dist.as_ref()));
}

#[test]
fn what_is_no_metadata_is_refused() {
    let many = vec![json!({}); MAX_VERSIONS + 1];
    let wide: serde_json::Map<String, Value> = (0..=MAX_FIELDS)
        .map(|n| (n.to_string(), json!(1)))
        .collect();
    for text in [
        String::new(),
        "[]]".to_owned(),
        "1".to_owned(),
        r#"{"packages": {"a/b": 1}}"#.to_owned(),
        r#"{"packages": {"a/b": [1]}}"#.to_owned(),
        r#"{"packages": [1]}"#.to_owned(),
        "[".repeat(100_000),
        json!({"packages": {"a/b": many}}).to_string(),
        json!({"packages": {"a/b": [wide]}}).to_string(),
        unfolding(1_000, |n| json!({"version": n.to_string()})),
        unfolding(1_000, |n| json!({"dist": {"url": n.to_string()}})),
        // What has no archive shows its source.
        unfolding(1_000, |n| match n % 2 {
            0 => json!({"dist": "__unset"}),
            _ => json!({"dist": {"url": "a"}}),
        }),
    ] {
        assert!(
            read(text.as_bytes()).is_err(),
            "{}",
            &text[..text.len().min(60)]
        );
    }
}

#[test]
fn a_version_that_names_none_is_nobodys() {
    let metadata = read_json(&json!({"packages": {"acme/tool": [
        {"name": "acme/tool"}, {"version": 1}, {"version": "1.0.0", "dist": {"type": "path"}},
    ]}}));
    assert_eq!(versions(&metadata), ["1.0.0"]);
    assert!(metadata.packages["acme/tool"].versions[2].dist.is_none());
}

#[test]
fn what_unfolds_to_much_costs_little() {
    // A hundred bytes a field once, and then only that the next version is the same.
    let mut file = String::from(r#"{"minified":"composer/2.0","packages":{"a/b":[{"version":"1""#);
    for n in 0..200 {
        let value = "x".repeat(100);
        write!(file, r#","f{n}":"{value}""#).unwrap();
    }
    file.push('}');
    file.push_str(&",{}".repeat(50_000));
    file.push_str("]}}");
    let metadata = read(file.as_bytes()).unwrap();
    let versions = &metadata.packages["a/b"].versions;
    assert_eq!(versions.len(), 50_001);
    assert!(versions[1..].iter().all(|it| it.changes.is_empty()));
}
