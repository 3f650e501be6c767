//! The metadata of Composer repositories.

use tollgate::composer::answer::{self, Selection};
use tollgate::composer::metadata::{Metadata, Package, read};

fn written(name: &str, package: &Package, every: usize) -> (String, usize) {
    let mut seen = 0;
    let selection = Selection::new([package], |_| {
        seen += 1;
        seen % every == 0
    });
    let text = answer::package(name, [package], "https://here.example/", &selection);
    (text, selection.count())
}

fn only(metadata: &Metadata) -> &Package {
    assert_eq!(metadata.packages.len(), 1);
    metadata.packages.values().next().unwrap()
}

/// A file of a repository.
pub(crate) fn target(data: &[u8]) {
    let Ok(metadata) = read(data) else {
        return;
    };
    for (name, package) in &metadata.packages {
        for every in [1, 2] {
            let (text, kept) = written(name, package, every);
            let again = read(text.as_bytes()).unwrap();
            assert_eq!(only(&again).versions.len(), kept, "{text}");
            // What was written is read as it was, and nothing comes back that was left out.
            assert_eq!(written(name, only(&again), 1), (text, kept));
        }
    }
}
