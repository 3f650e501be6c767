//! Reads the metadata of a Composer repository: `packages.json`, what it includes, and the file of
//! one package. All have one form, so one function reads them.
//!
//! Versions are kept as Composer's minified form has them, as differences to the version before:
//! two thousand versions of a package share most of their texts, and a file that unfolds to a
//! thousand times its size costs its own size here. What is in a version is not understood, except
//! for its name, its time and its archive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::dist::{self, Dist};
use super::named::Named;
use super::object::{Members, Object, string, text};
use super::release_time::instant;
use crate::domain::time::Timestamp;

/// Most versions in one file. Packagist's largest packages have some thousands.
const MAX_VERSIONS: usize = 100_000;
/// Most fields of one version. Composer's schema has about forty.
const MAX_FIELDS: usize = 256;
/// Most bytes of versions, archives and sources, where each version that has an archive of its own says
/// all of it itself: so it is read, and written for customers. A file that is not minified cannot have
/// more than its own size, which is at most half of this.
const MAX_UNFOLDED: usize = 64 << 20;

/// The value that takes a field away in the minified form.
pub(super) const UNSET: &str = "\"__unset\"";

/// The file is no metadata of a Composer repository.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// It is no JSON, or a part of it has another type.
    #[error("it is not the JSON of a Composer repository")]
    Json(#[from] serde_json::Error),
    /// It has too many versions.
    #[error("it has more than {MAX_VERSIONS} versions")]
    TooManyVersions,
    /// A version has too many fields.
    #[error("a version has more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// A small file says much of many archives.
    #[error("its archives take more than {MAX_UNFOLDED} bytes when each version names its own")]
    TooMuch,
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Metadata {
    /// The packages, by their names in lower case.
    pub packages: BTreeMap<String, Package>,
    /// Where the file of a package is, with `%package%` for its name.
    pub metadata_url: Option<String>,
    /// The names of further files.
    pub includes: Vec<String>,
    /// All packages of the repository, in lower case, if it lists them.
    pub available: Option<BTreeSet<String>>,
    /// True for a repository in the form of Composer 1, of which packages other than those listed here
    /// cannot be read.
    pub is_of_composer_1: bool,
}

impl Metadata {
    /// Returns about how many bytes it takes beside its texts: a minified file can say little of many
    /// versions.
    pub(super) fn overhead(&self) -> usize {
        self.packages.values().map(Package::overhead).sum()
    }
}

impl Package {
    fn overhead(&self) -> usize {
        let mut weight = 0;
        let mut before: Option<&Listed> = None;
        for listed in &self.versions {
            weight += size_of::<Listed>() + size_of_val(listed.changes.as_slice());
            let version = before.and_then(|it| it.version.as_ref());
            if let Some(own) = listed.version.as_ref().filter(|it| !is_same(it, version)) {
                weight += size_of::<Named>() + 2 * own.text.len();
            }
            let dist = before.and_then(|it| it.dist.as_ref());
            if let Some(own) = listed.dist.as_ref().filter(|it| !is_same(it, dist)) {
                weight += own.weight();
            }
            before = Some(listed);
        }
        weight
    }
}

/// True for what a version has from the one before it.
fn is_same<T>(it: &Arc<T>, before: Option<&Arc<T>>) -> bool {
    before.is_some_and(|before| Arc::ptr_eq(it, before))
}

/// A package.
#[derive(Debug, Default)]
pub struct Package {
    /// Its versions, in the order of the file.
    pub versions: Vec<Listed>,
}

/// A version of a package.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The fields that differ from those of the version before; `None` for one that it has not.
    pub(super) changes: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// The version; `None` if it does not say, and then nobody can have it.
    pub version: Option<Arc<Named>>,
    /// When it was released, if it says so.
    pub time: Option<Timestamp>,
    /// Its archive, if it has one.
    pub dist: Option<Arc<Dist>>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    packages: Object<'a>,
    #[serde(borrow, default)]
    minified: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "metadata-url")]
    metadata_url: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "available-packages")]
    available: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "available-package-patterns")]
    patterns: Option<&'a RawValue>,
    #[serde(borrow, default)]
    includes: Object<'a>,
    #[serde(borrow, default, rename = "provider-includes")]
    provider_includes: Object<'a>,
    #[serde(borrow, default, rename = "providers-url")]
    providers_url: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "providers-lazy-url")]
    lazy_providers_url: Option<&'a RawValue>,
}

/// Reads a file.
///
/// # Errors
/// When it is something else, or larger than anything that is honestly meant.
pub fn read(bytes: &[u8]) -> Result<Metadata, MetadataError> {
    let file: File<'_> = serde_json::from_slice(bytes)?;
    let is_minified = file.minified.and_then(text).as_deref() == Some("composer/2.0");
    let mut names = Names::default();
    let mut room = MAX_UNFOLDED;
    let mut count = 0;
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for (name, listed) in file.packages.0 {
        let listed = Members::read(listed)?.0;
        count += listed.len();
        if count > MAX_VERSIONS {
            return Err(MetadataError::TooManyVersions);
        }
        let versions = versions(&listed, is_minified, &mut names, &mut room)?;
        packages.insert(name.to_ascii_lowercase(), Package { versions });
    }
    // Composer asks for what either of the two lists names. Patterns are not read here: then every
    // package is asked for.
    let available = file.available.filter(|_| file.patterns.is_none());
    let available = available.map(|listed| -> Result<BTreeSet<String>, MetadataError> {
        let listed = Members::read(listed)?.0;
        let names = listed.into_iter().filter_map(text);
        Ok(names.map(|name| name.to_ascii_lowercase()).collect())
    });
    // PHP takes an empty text for none.
    let filled = |it: Option<&RawValue>| it.and_then(text).filter(|it| !it.is_empty());
    let metadata_url = filled(file.metadata_url);
    let has_providers = !file.provider_includes.0.is_empty()
        || filled(file.providers_url).is_some()
        || filled(file.lazy_providers_url).is_some();
    Ok(Metadata {
        packages,
        // Repositories that serve both name what Composer 1 reads beside the new form.
        is_of_composer_1: has_providers && metadata_url.is_none(),
        metadata_url,
        includes: file.includes.0.into_iter().map(|(name, _)| name).collect(),
        // Composer takes an empty list for none.
        available: available.transpose()?.filter(|names| !names.is_empty()),
    })
}

/// The names of fields, each once.
#[derive(Default)]
struct Names(BTreeSet<Arc<str>>);

impl Names {
    fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.0.insert(Arc::clone(&name));
        name
    }
}

/// All fields of a version.
pub(super) type Fields = BTreeMap<Arc<str>, Arc<str>>;

fn versions(
    listed: &[&RawValue],
    is_minified: bool,
    names: &mut Names,
    room: &mut usize,
) -> Result<Vec<Listed>, MetadataError> {
    let mut fields = Fields::new();
    let mut versions: Vec<Listed> = Vec::with_capacity(listed.len());
    for raw in listed {
        let given = Object::read(raw)?.0;
        let mut changes = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, value) in given {
            let value = value.get();
            let name = names.get(&name);
            if value == UNSET {
                if fields.remove(&name).is_some() {
                    changes.push((name, None));
                }
                continue;
            }
            seen.insert(Arc::clone(&name));
            if fields.get(&name).is_some_and(|known| **known == *value) {
                continue;
            }
            let value: Arc<str> = value.into();
            fields.insert(Arc::clone(&name), Arc::clone(&value));
            changes.push((name, Some(value)));
        }
        if !is_minified {
            let gone: Vec<Arc<str>> = fields
                .keys()
                .filter(|it| !seen.contains(*it))
                .cloned()
                .collect();
            for name in gone {
                fields.remove(&name);
                changes.push((name, None));
            }
        }
        if fields.len() > MAX_FIELDS {
            return Err(MetadataError::TooManyFields);
        }
        let listed = listed_of(changes, &fields, versions.last(), room)?;
        versions.push(listed);
    }
    Ok(versions)
}

/// Makes a version of its fields, or of the version before where nothing changed. `room` is what is left
/// of [`MAX_UNFOLDED`].
fn listed_of(
    changes: Vec<(Arc<str>, Option<Arc<str>>)>,
    fields: &Fields,
    before: Option<&Listed>,
    room: &mut usize,
) -> Result<Listed, MetadataError> {
    let is_new = |name: &str| changes.iter().any(|(field, _)| **field == *name);
    let field = |name: &str| fields.get(name).map(|text| &**text);
    let version = match before {
        Some(before) if !is_new("version") => before.version.clone(),
        _ => {
            let text = field("version").and_then(string);
            text.map(Named::new).map(Arc::new)
        }
    };
    let time = match before {
        Some(before) if !is_new("time") => before.time,
        _ => field("time")
            .and_then(string)
            .and_then(|text| instant(&text)),
    };
    let dist = match before {
        Some(before) if !is_new("version") && !is_new("dist") => before.dist.clone(),
        _ => {
            let said = ["version", "dist", "source"].map(|name| field(name).map_or(0, str::len));
            let left = room.checked_sub(said.iter().sum());
            *room = left.ok_or(MetadataError::TooMuch)?;
            field("dist")
                .zip(version.as_ref())
                .and_then(|(raw, version)| dist::read(raw, version))
                .map(Arc::new)
        }
    };
    Ok(Listed {
        changes,
        version,
        time,
        dist,
    })
}

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
