//! Writes the metadata of a package for one customer.
//!
//! The form is Composer's minified one, `composer/2.0`: each version names what differs from the one
//! before it. What a customer must not have is left out, so the differences are worked out anew
//! between the versions that stay. Only fields that were said anew since the version that was written
//! last can differ from it, so a package of thousands of versions costs what its file says, and not
//! what it unfolds to.

use std::collections::BTreeMap;

use super::dist::Dist;
use super::metadata::{Listed, Package, UNSET};
use super::object::json;

/// The upstream's address for counting downloads, which is never passed on.
const NOTIFICATION_URL: &str = "notification-url";
/// How the upstream's archives are to be asked for, which is never passed on: here nobody asks there, and
/// headers among it can be credentials, which Composer would write into the project's lock.
const TRANSPORT_OPTIONS: &str = "transport-options";
/// The field of a version's archive.
const DIST: &str = "dist";
/// The field of the repository of versions that it comes from.
const SOURCE: &str = "source";

/// Which versions of a package somebody may have.
#[derive(Debug)]
pub struct Selection {
    /// A bit for each version, in the order of the files.
    bits: Vec<u8>,
    count: usize,
}

impl Selection {
    /// Selects those versions that `allows` lets through. What has no name is never among them.
    pub fn new<'a>(
        packages: impl IntoIterator<Item = &'a Package>,
        mut allows: impl FnMut(&Listed) -> bool,
    ) -> Self {
        let mut bits = Vec::new();
        let mut count = 0;
        let versions = packages.into_iter().flat_map(|package| &package.versions);
        for (index, listed) in versions.enumerate() {
            if index % 8 == 0 {
                bits.push(0);
            }
            if listed.version.is_some() && allows(listed) {
                bits[index / 8] |= 1 << (index % 8);
                count += 1;
            }
        }
        Self { bits, count }
    }

    /// Returns how many there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The bits, which are the same for the same versions of the same files.
    pub(super) fn bits(&self) -> &[u8] {
        &self.bits
    }

    fn has(&self, index: usize) -> bool {
        let bits = self.bits.get(index / 8).copied().unwrap_or_default();
        bits & 1 << (index % 8) != 0
    }
}

/// Writes the file of a package: those versions that are selected. `dists` is the address here below
/// which the archives of the package are, with a slash at its end.
///
/// Where a version has an archive, its `source` is left out: a repository of versions is no way
/// around what a customer may have, and Composer would try it when it may not have an archive.
pub fn package<'a>(
    name: &str,
    packages: impl IntoIterator<Item = &'a Package>,
    dists: &str,
    selection: &Selection,
) -> String {
    let name = json(name);
    let head = format!(r#"{{"minified":"composer/2.0","packages":{{{name}:["#);
    let mut writer = Writer::new(head, dists);
    let mut index = 0;
    for package in packages {
        writer.start();
        for listed in &package.versions {
            writer.read(listed);
            if selection.has(index) {
                writer.write(listed);
            }
            index += 1;
        }
    }
    let mut text = writer.text;
    text.push_str("]}}");
    text
}

/// A field, at the version that was read last.
struct Field<'a> {
    name: &'a str,
    /// How the name is written, with its colon.
    key: String,
    /// What the file says.
    said: Option<&'a str>,
    /// What the version that was written last shows.
    written: Option<Shown<'a>>,
    /// True if it may differ from that.
    is_new: bool,
}

/// What a version shows in a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown<'a> {
    /// What its file says.
    Said(&'a str),
    /// The archive at its address here, and what else its file says of it.
    Archive { file: &'a str, rest: &'a str },
}

impl<'a> Field<'a> {
    fn shown(&self, dist: Option<&'a Dist>) -> Option<Shown<'a>> {
        match (self.name, dist) {
            (NOTIFICATION_URL | TRANSPORT_OPTIONS, _) | (SOURCE, Some(_)) => None,
            // Without an address there is no archive, whatever mirrors it names.
            (DIST, dist) => dist
                .filter(|_| self.said.is_some())
                .map(|Dist { file, rest, .. }| Shown::Archive { file, rest }),
            _ => self.said.map(Shown::Said),
        }
    }
}

struct Writer<'a> {
    text: String,
    /// The address of archives as JSON, without the quote at its end.
    dists: String,
    fields: Vec<Field<'a>>,
    /// Where they are, by their names.
    places: BTreeMap<&'a str, usize>,
    /// Those that may differ from what was written.
    new: Vec<usize>,
    is_first: bool,
}

impl<'a> Writer<'a> {
    fn new(head: String, dists: &str) -> Self {
        let mut dists = json(dists);
        dists.pop();
        Self {
            text: head,
            dists,
            fields: Vec::new(),
            places: BTreeMap::new(),
            new: Vec::new(),
            is_first: true,
        }
    }

    /// Goes on with another file, in which nothing is said yet.
    fn start(&mut self) {
        self.new = (0..self.fields.len()).collect();
        for field in &mut self.fields {
            field.said = None;
            field.is_new = true;
        }
    }

    /// Reads what a version says anew.
    fn read(&mut self, listed: &'a Listed) {
        for (name, value) in &listed.changes {
            let place = *self.places.entry(name).or_insert_with(|| {
                self.fields.push(Field {
                    name,
                    key: json(name) + ":",
                    said: None,
                    written: None,
                    is_new: false,
                });
                self.fields.len() - 1
            });
            self.fields[place].said = value.as_deref();
            self.note(place);
        }
    }

    /// Notes that a field may differ from what was written.
    fn note(&mut self, place: usize) {
        let field = &mut self.fields[place];
        if !field.is_new {
            field.is_new = true;
            self.new.push(place);
        }
    }

    /// Writes the version that was read last.
    fn write(&mut self, listed: &'a Listed) {
        // What these show depends on the name of the version too.
        for name in [DIST, SOURCE] {
            if let Some(place) = self.places.get(name).copied() {
                self.note(place);
            }
        }
        self.text.push_str(if self.is_first { "{" } else { ",{" });
        self.is_first = false;
        let mut new = std::mem::take(&mut self.new);
        new.sort_unstable_by_key(|place| self.fields[*place].name);
        let mut separator = "";
        for place in new.drain(..) {
            let field = &mut self.fields[place];
            field.is_new = false;
            let shown = field.shown(listed.dist.as_deref());
            if shown == field.written {
                continue;
            }
            field.written = shown;
            self.text.push_str(separator);
            separator = ",";
            self.text.push_str(&field.key);
            match shown {
                None => self.text.push_str(UNSET),
                Some(Shown::Said(text)) => self.text.push_str(text),
                Some(Shown::Archive { file, rest }) => {
                    // A name that we made has nothing in it that JSON would write otherwise.
                    let parts = [r#"{"url":"#, &self.dists, file, "\"", rest, "}"];
                    self.text.extend(parts);
                }
            }
        }
        self.new = new;
        self.text.push('}');
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
