//! What is kept stands for what would be written, and is bounded.

use serde_json::{Value, json};

use super::*;
use crate::composer::kept::Loaded;
use crate::composer::metadata::read;

const DISTS: &str = "https://here.example/composer/dist/acme/tool/";

/// A file with a hundred versions, which take about 10 KiB.
fn file(description: &str) -> Found {
    let version = |number: usize| {
        json!({
            "version": format!("1.{number}.0"), "description": description,
            "dist": {"type": "zip", "url": format!("https://repo.example/{number}.zip")},
        })
    };
    let versions: Vec<Value> = (0..100).map(version).collect();
    let bytes = json!({"packages": {"acme/tool": versions}}).to_string();
    let metadata = read(bytes.as_bytes()).unwrap();
    let digest = Sha256::digest(bytes.as_bytes()).into();
    Found {
        files: vec![Arc::new(Loaded::new(metadata, digest))],
        is_mixed: false,
    }
}

/// The draft of a file of every version whose bit is set.
fn draft(description: &str, dists: &str, bits: u128) -> Draft {
    let mut left = bits;
    let allows = |_: &Listed| {
        let is_set = left & 1 == 1;
        left >>= 1;
        is_set
    };
    Draft::new(
        file(description),
        "acme/tool".to_owned(),
        dists.to_owned(),
        allows,
    )
}

#[test]
fn a_tag_stands_for_everything_that_a_file_is_made_of() {
    let tag = |description, dists, bits| draft(description, dists, bits).tag();
    let all = u128::MAX;
    let other_host = "https://other.example/composer/dist/acme/tool/";
    let first = tag("a", DISTS, all);
    assert_eq!(first, tag("a", DISTS, all));
    for other in [
        tag("b", DISTS, all),
        tag("a", other_host, all),
        tag("a", DISTS, all << 1),
        tag("a", DISTS, 0),
    ] {
        assert_ne!(first, other);
    }
}

#[test]
fn what_is_kept_is_what_would_be_written_and_is_bounded() {
    let limit = 100_000;
    let answers = Answers(Arc::new(Cache::new(limit)));
    let drafts: Vec<Draft> = (0..50).map(|bit| draft("a", DISTS, !(1 << bit))).collect();
    for draft in &drafts {
        let written = answers.write(draft);
        assert!(written.len() > 5_000, "a file of some size");
        assert_eq!(answers.get(draft.tag()), Some(written));
        assert!(answers.0.weight() <= limit);
    }
    let kept = drafts.iter().filter_map(|draft| {
        let kept = answers.get(draft.tag())?;
        assert_eq!(kept, draft.write());
        Some(kept.len())
    });
    let kept: Vec<usize> = kept.collect();
    assert!(answers.get(drafts[0].tag()).is_none(), "let go");
    assert!(kept.len() > 5 && kept.iter().sum::<usize>() <= limit);
}
