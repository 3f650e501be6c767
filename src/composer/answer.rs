//! Writes the metadata of a package for one customer.
//!
//! The form is Composer's minified one, `composer/2.0`: each version names what differs from the one
//! before it. What a customer must not have is left out, so the differences are worked out anew
//! between the versions that stay.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::metadata::{Dist, Fields, Listed, Package, json};

/// The fields that are never passed on: the upstream's address for counting downloads.
const LEFT_OUT: &str = "notification-url";

/// Writes the file of a package: those versions that `allows` lets through. `dists` is the address
/// here below which the archives of the package are, with a slash at its end.
///
/// Where a version has an archive, its `source` is left out: a repository of versions is no way
/// around what a customer may have, and Composer would try it when it may not have an archive.
pub fn package<'a>(
    name: &str,
    packages: impl IntoIterator<Item = &'a Package>,
    dists: &str,
    mut allows: impl FnMut(&Listed) -> bool,
) -> String {
    let mut versions = String::new();
    let mut written = Written::default();
    for package in packages {
        let mut fields = Fields::new();
        for listed in &package.versions {
            for (field, value) in &listed.changes {
                match value {
                    Some(value) => fields.insert(Arc::clone(field), Arc::clone(value)),
                    None => fields.remove(field),
                };
            }
            if listed.version.is_some() && allows(listed) {
                if !versions.is_empty() {
                    versions.push(',');
                }
                written.add(&mut versions, listed, &fields, dists);
            }
        }
    }
    let name = json(name);
    format!(r#"{{"minified":"composer/2.0","packages":{{{name}:[{versions}]}}}}"#)
}

/// The fields of the version that was written last.
#[derive(Default)]
struct Written(BTreeMap<Arc<str>, Arc<str>>);

impl Written {
    fn add(&mut self, text: &mut String, listed: &Listed, fields: &Fields, dists: &str) {
        let mut shown: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        for (field, value) in fields {
            let value: Arc<str> = match (&**field, &listed.dist) {
                (LEFT_OUT, _) | ("source", Some(_)) => continue,
                ("dist", Some(dist)) => rewritten(dist, dists).into(),
                _ => Arc::clone(value),
            };
            shown.insert(Arc::clone(field), value);
        }
        let changed = shown
            .iter()
            .filter(|(field, value)| self.0.get(*field) != Some(*value))
            .map(|(field, value)| (field, &**value));
        let gone = self.0.keys().filter(|field| !shown.contains_key(*field));
        let gone = gone.map(|field| (field, "\"__unset\""));
        text.push('{');
        for (index, (field, value)) in changed.chain(gone).enumerate() {
            if index > 0 {
                text.push(',');
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "{}:{value}", json(field));
        }
        text.push('}');
        self.0 = shown;
    }
}

/// The archive at its address here.
fn rewritten(dist: &Dist, dists: &str) -> String {
    let url = json(&format!("{dists}{}", dist.file));
    format!("{{\"url\":{url}{}}}", dist.rest)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
