//! Archives of versions, and their names here.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::named::Named;
use super::object::{Object, json, text};
use crate::domain::access::versions::Version;

/// The archive of a version.
#[derive(Debug, PartialEq, Eq)]
pub struct Dist {
    /// Its address at the repository.
    pub url: String,
    /// Its name here: made of the version and its reference, so that it stays when the repository
    /// moves, and is another one when a branch moves on. Letters, digits, `.`, `-` and `_` alone.
    pub file: String,
    /// What it is made of, a commit mostly; empty if the repository does not say.
    pub reference: String,
    /// The other fields as they are written after the address, each after a comma; except for mirrors,
    /// which are further addresses.
    pub(super) rest: String,
}

impl Dist {
    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        let texts = [&self.url, &self.file, &self.reference, &self.rest];
        size_of::<Self>() + texts.map(String::len).iter().sum::<usize>()
    }
}

/// Reads the `dist` of a version; `None` if it has no address.
pub(super) fn read(raw: &str, version: &Named) -> Option<Dist> {
    let fields: Object<'_> = serde_json::from_str(raw).ok()?;
    let find = |wanted: &str| {
        let found = fields.0.iter().rfind(|(name, _)| name == wanted);
        found.and_then(|(_, value)| text(value))
    };
    let url = find("url").filter(|url| !url.is_empty())?;
    let reference = find("reference").unwrap_or_default();
    let file = file_name(version, &reference, &url, &find("type").unwrap_or_default());
    let mut rest = String::new();
    for (name, value) in &fields.0 {
        if name != "url" && name != "mirrors" {
            // Writing to a string cannot fail.
            let _ = write!(rest, ",{}:{}", json(name), value.get());
        }
    }
    Some(Dist {
        url,
        file,
        reference,
        rest,
    })
}

/// Names an archive: for people by the version, for us by a digest of version and reference.
fn file_name(version: &Named, reference: &str, url: &str, kind: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let shown = version.text.chars().take(60);
    let shown: String = shown.map(|c| if is_plain(c) { c } else { '-' }).collect();
    let normalised = version.parsed.as_ref();
    let normalised = normalised.map_or_else(|| version.text.clone(), Version::to_string);
    let digest = Sha256::digest([&normalised, "\0", reference].concat().as_bytes());
    let digest = hex::encode(&digest[..8]);
    format!("{shown}-{digest}.{}", extension(url, kind))
}

/// The end of an archive's name, by which PHP tells how it is packed.
fn extension<'a>(url: &'a str, kind: &'a str) -> &'a str {
    const KNOWN: [&str; 9] = [
        "tar.gz", "tar.bz2", "tar.xz", "tgz", "tar", "zip", "gz", "xz", "rar",
    ];
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let has = |end: &&&str| {
        path.strip_suffix(**end)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    let is_plain =
        !kind.is_empty() && kind.len() <= 10 && kind.bytes().all(|b| b.is_ascii_lowercase());
    match KNOWN.iter().find(has) {
        Some(end) => end,
        None if is_plain => kind,
        None => "zip",
    }
}
