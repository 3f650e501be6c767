//! What a proxy asks about.
//!
//! nginx, Caddy and Traefik can ask about a request only by passing on its path, and some can set
//! headers of their own. So the question may be in `X-Tollgate-Package` and `X-Tollgate-Version`, or in
//! the path of the request, in `X-Original-URI` (nginx) or `X-Forwarded-Uri` (Caddy, Traefik).
//!
//! A proxy passes on the client's headers too, and some the client's query. It replaces those that it
//! sets itself; any other of these may be the client's, who would like to be asked about something
//! else. So they must all say the same, or nothing is answered.
//!
//! A query that came through a proxy in front may be there once more, in that proxy's header with the
//! path of the request: `/access`. Such a header asks nothing beside a query.
//!
//! Of a path it matters that nothing else is served than was asked about. Servers of files disagree
//! about dots, empty parts and control characters, so no path with any is understood.

use axum::http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use crate::domain::access::constraint::Version;
use crate::domain::validate;
use crate::pipeline::access::Question;

/// The path of the request that nginx asks about. It makes 500 of any answer but 2xx, 401 and 403.
const ORIGINAL: HeaderName = HeaderName::from_static("x-original-uri");
/// The same of Caddy and Traefik, which pass on the answer as it is.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-uri");

const PACKAGE: HeaderName = HeaderName::from_static("x-tollgate-package");
const VERSION: HeaderName = HeaderName::from_static("x-tollgate-version");

/// The path at which the question is put.
const OWN: &str = "/access";

/// The ends of archives' names.
const ENDS: [&str; 10] = [
    ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip", ".rar", ".gz", ".xz", ".phar",
];

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// What it is about.
    pub(super) about: About,
    /// True if it is about a file of a Composer repository.
    pub(super) is_of_composer: bool,
    /// True if Composer itself gets the answer, and asked for metadata.
    pub(super) is_for_metadata: bool,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Whether the customer may have anything at all.
    Anything,
    /// Whether it may have a package.
    Package(Wanted),
}

/// A package, in some version unless one is named, or what its archive is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    package: String,
    version: Option<String>,
    reference: Option<String>,
}

impl Wanted {
    /// Any version of a package, or the one that is named.
    pub(super) fn new(package: &str, version: Option<&str>) -> Self {
        let version = version.filter(|version| !version.is_empty());
        Self {
            package: package.to_ascii_lowercase(),
            version: version.map(str::to_owned),
            reference: None,
        }
    }

    pub(super) fn question(&self, is_of_composer: bool) -> Question<'_> {
        Question {
            package: Some(&self.package),
            version: self.version.as_deref(),
            reference: self.reference.as_deref(),
            is_of_composer,
        }
    }
}

/// Reads the question from the headers of a request and its query; `None` if they ask nothing.
///
/// # Errors
/// 422 `question_unclear`, when they ask about different things or about none that can be told.
pub(super) fn of_headers(
    headers: &HeaderMap,
    query: Option<Wanted>,
) -> Result<Option<Asked>, ApiError> {
    let is_queried = query.is_some();
    let mut all: Vec<About> = query.map(About::Package).into_iter().collect();
    if let Some(package) = text(headers, &PACKAGE)?.filter(|it| !it.is_empty()) {
        let version = text(headers, &VERSION)?;
        all.push(About::Package(Wanted::new(&package, version.as_deref())));
    }
    let (mut is_of_composer, mut is_for_metadata) = (false, false);
    for name in [&ORIGINAL, &FORWARDED] {
        if let Some(uri) = text(headers, name)?.filter(|uri| !(is_queried && is_own(uri))) {
            let found = of_path(&uri);
            let (about, is_metadata) =
                found.ok_or_else(|| unclear("the path is not that of a package"))?;
            is_of_composer = true;
            is_for_metadata |= is_metadata && name == FORWARDED;
            all.push(about);
        }
    }
    let Some(about) = all.pop() else {
        return Ok(None);
    };
    if all.iter().any(|it| *it != about) {
        return Err(unclear(
            "the query and the headers ask about different things",
        ));
    }
    Ok(Some(Asked {
        about,
        is_of_composer,
        is_for_metadata,
    }))
}

fn unclear(detail: &'static str) -> ApiError {
    ApiError::Invalid {
        code: "question_unclear",
        detail: detail.into(),
        errors: Vec::new(),
    }
}

/// The only value of a header.
fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, ApiError> {
    let mut lines = headers.get_all(name).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(unclear("a header of the question is there twice"));
    }
    let line = line.to_str();
    line.map(|line| Some(line.trim().to_owned()))
        .map_err(|_| unclear("a header of the question is no text"))
}

/// True for the path at which the question is put, with whatever query.
fn is_own(uri: &str) -> bool {
    uri.split(['?', '#']).next() == Some(OWN)
}

/// What a file of a Composer repository is about, and whether it is the metadata of a package.
///
/// Below any folder: `packages.json`; `p2/{vendor}/{name}.json`, with or without `~dev`;
/// `dist/{vendor}/{name}/` and the name of an archive.
fn of_path(uri: &str) -> Option<(About, bool)> {
    let path = uri.split(['?', '#']).next()?;
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let is_odd = |part: &str| {
        matches!(part, "" | "." | "..") || part.contains(|c: char| c.is_control() || c == '\\')
    };
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    if parts.iter().any(|part| is_odd(part)) {
        return None;
    }
    match parts.as_slice() {
        [.., "p2", vendor, file] => {
            let name = file.strip_suffix(".json")?;
            let wanted = Wanted {
                package: package(vendor, name.strip_suffix("~dev").unwrap_or(name))?,
                ..Wanted::default()
            };
            Some((About::Package(wanted), true))
        }
        [.., "dist", vendor, name, file] => {
            let wanted = archive(package(vendor, name)?, file)?;
            Some((About::Package(wanted), false))
        }
        [.., "packages.json"] => Some((About::Anything, false)),
        _ => None,
    }
}

fn package(vendor: &str, name: &str) -> Option<String> {
    validate::package(&format!("{vendor}/{name}")).ok()
}

/// What an archive is, by its name: `{version}.zip`, `{reference}.zip`, or as Satis names it. What is
/// neither stands for a version that is none, which nobody may have.
///
/// Satis leaves the naming to Composer's `ArchiveManager::getPackageFilenameParts` (2.0 and later): the
/// package, then either its version, or the commit of its archive and how that is packed; at last six
/// digits of a digest of the source's commit.
fn archive(package: String, file: &str) -> Option<Wanted> {
    let stem = ENDS.iter().find_map(|end| file.strip_suffix(end))?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let base = package.replace(|c| !is_plain(c), "-");
    let of_satis = stem
        .strip_prefix(&base)
        .and_then(|rest| rest.strip_prefix('-'));
    let rest = of_satis.unwrap_or(stem);
    if let Some(reference) = rest.split('-').next().filter(|it| is_commit(it)) {
        let reference = Some(reference.to_owned());
        return Some(Wanted {
            package,
            reference,
            version: None,
        });
    }
    let without_source = rest
        .rsplit_once('-')
        .filter(|(_, end)| is_short_digest(end));
    let without_source = without_source.map(|(version, _)| version);
    let without_source = without_source.filter(|version| is_version(version));
    let version = match (of_satis, without_source) {
        (Some(_), Some(version)) => version,
        (None, Some(version)) if !is_version(rest) => version,
        _ => rest,
    };
    Some(Wanted {
        version: Some(version.to_owned()),
        package,
        reference: None,
    })
}

/// True for a version, a branch among them, as it stands in metadata.
fn is_version(text: &str) -> bool {
    let parsed = Version::parse(text);
    text.starts_with("dev-") || parsed.is_ok_and(|version| !version.is_named_branch())
}

/// True for the digest of a commit.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hexadecimal(text)
}

fn is_short_digest(text: &str) -> bool {
    text.len() == 6 && is_hexadecimal(text)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
#[path = "question_tests.rs"]
mod tests;
