//! The targets of `deploy/dev/fuzz`, fed with their corpus and with what proptest makes of it.
//!
//! Each target is one function of bytes that ends in a panic if a property does not hold. It stands in
//! a file of its own that uses nothing else of the tests, so that the fuzzer can build it alone.

mod composer;
mod constraint;
mod cursor;
mod paddle;
mod payload;
mod requirement;
mod settings;
mod signature;
mod stripe;
mod version;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

/// Folders of examples of a target, below the root: its own corpus first.
fn corpus(folders: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for folder in folders {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            all.push((path, bytes));
        }
    }
    all.sort();
    assert!(!all.is_empty(), "{folders:?}");
    all
}

/// A change of an example: a part of it is replaced by a part of another, or by bytes.
#[derive(Clone, Debug)]
struct Cut {
    of: Index,
    from: Index,
    length: usize,
    other: Index,
    other_from: Index,
    other_length: usize,
    bytes: Vec<u8>,
}

fn cuts() -> impl Strategy<Value = Cut> {
    let one = (any::<Index>(), any::<Index>(), 0..40usize);
    let other = (any::<Index>(), any::<Index>(), 0..40usize);
    let bytes = proptest::collection::vec(any::<u8>(), 0..6);
    (one, other, bytes).prop_map(|(one, other, bytes)| Cut {
        of: one.0,
        from: one.1,
        length: one.2,
        other: other.0,
        other_from: other.1,
        other_length: other.2,
        bytes,
    })
}

fn part(bytes: &[u8], from: Index, length: usize) -> std::ops::Range<usize> {
    let from = from.index(bytes.len() + 1);
    from..(from + length).min(bytes.len())
}

impl Cut {
    fn make(&self, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
        let mut made = self.of.get(corpus).1.clone();
        let other = &self.other.get(corpus).1;
        let other = &other[part(other, self.other_from, self.other_length)];
        let range = part(&made, self.from, self.length);
        made.splice(range, [other, &self.bytes].concat());
        made
    }
}

#[expect(
    clippy::print_stdout,
    reason = "names the file if the target panics; captured otherwise"
)]
fn feed(target: fn(&[u8]), folders: &[&str]) {
    let corpus = corpus(folders);
    for (path, bytes) in &corpus {
        println!("{}", path.display());
        target(bytes);
    }
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(512)
    });
    let cut = runner.run(&cuts(), |cut| {
        target(&cut.make(&corpus));
        Ok(())
    });
    cut.unwrap();
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    let fed = runner.run(&bytes, |bytes| {
        target(&bytes);
        Ok(())
    });
    fed.unwrap();
}

/// A test for each target of the script.
macro_rules! targets {
    ($($name:ident from $($folder:literal),+;)+) => {
        const NAMES: &[&str] = &[$(stringify!($name)),+];

        $(#[test]
        fn $name() {
            feed($name::target, &[$($folder),+]);
        })+
    };
}

targets! {
    signature from "fixtures/fuzz/signature";
    stripe from "fixtures/fuzz/stripe", "fixtures/stripe";
    paddle from "fixtures/fuzz/paddle", "fixtures/paddle";
    constraint from "fixtures/fuzz/constraint";
    version from "fixtures/fuzz/version";
    requirement from "fixtures/fuzz/requirement";
    settings from "fixtures/fuzz/settings";
    cursor from "fixtures/fuzz/cursor";
    composer from "fixtures/fuzz/composer";
}

#[test]
fn the_script_knows_every_target() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/dev/fuzz");
    let script = std::fs::read_to_string(script).unwrap();
    let line = script
        .lines()
        .find_map(|line| line.strip_prefix("targets=("))
        .unwrap();
    let known: Vec<&str> = line.trim_end_matches(')').split(' ').collect();
    assert_eq!(known, NAMES);
}
