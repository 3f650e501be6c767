//! Where a repository is, and what an address in its metadata stands for.
//!
//! A folder may be the copy of a repository that had a URL, so its metadata has addresses such as
//! `https://packages.example.com/old/dist/tool-1.0.zip`. They stand for the file of the longest end
//! of their path that is there: `old/dist/tool-1.0.zip`, else `dist/tool-1.0.zip`. No address
//! leaves the folder.

use std::fmt;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Url;
use secrecy::SecretString;

/// What has to be encoded in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Most parts of a path that is looked for in a folder: each costs a question to the file system.
const MAX_PARTS: usize = 32;

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder of files.
    Folder(PathBuf),
    /// The base URL, with a slash at its end.
    Url(Url),
}

/// A repository, and what opens it.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Where it is.
    pub location: Location,
    /// `user:password` for HTTP Basic, anything else as a bearer token.
    pub token: Option<SecretString>,
}

/// What an address stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file.
    File {
        /// Where it is.
        path: PathBuf,
        /// The same below the folder, its parts encoded for a URL.
        below: String,
    },
    /// Something to be fetched.
    Remote {
        /// Its address.
        url: Url,
        /// True at the repository's own scheme, host and port: only there its token is shown.
        is_own: bool,
        /// The same below the base URL, if it is below it.
        below: Option<String>,
    },
}

impl Location {
    /// Reads a setting: a URL, or else the path of a folder.
    ///
    /// # Errors
    /// When it is neither; the end of a sentence says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            Self::parse_url(text)
        } else {
            Ok(Self::Folder(PathBuf::from(text)))
        }
    }

    /// Reads a URL: of a repository, or of its `packages.json`.
    ///
    /// # Errors
    /// When it is none; the end of a sentence says why.
    pub fn parse_url(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| format!("not a URL ({error})"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("neither http:// nor https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user or a password, which belong in the token".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or a fragment".to_owned());
        }
        let path = url.path();
        let path = path.strip_suffix("packages.json").unwrap_or(path);
        let path = format!("{}/", path.trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self::Url(url))
    }

    /// Finds out what an address in the repository's metadata stands for. `None`: nothing.
    pub async fn resolve(&self, address: &str) -> Option<Target> {
        match self {
            Self::Folder(folder) => match file(folder, address).await {
                Some((target, _)) => Some(target),
                None => remote(Url::parse(address).ok()?, None),
            },
            Self::Url(base) => remote(base.join(address).ok()?, Some(base)),
        }
    }

    /// The same for metadata, which is in the folder itself if the repository is a folder; what is known
    /// of its file is returned with it.
    pub(super) async fn resolve_metadata(
        &self,
        address: &str,
    ) -> Option<(Target, Option<Metadata>)> {
        match self {
            Self::Folder(folder) => {
                let (target, found) = file(folder, address).await?;
                Some((target, Some(found)))
            }
            Self::Url(_) => Some((self.resolve(address).await?, None)),
        }
    }
}

/// The way it is written in a setting.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

fn remote(url: Url, base: Option<&Url>) -> Option<Target> {
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let is_own = base.is_some_and(|base| base.origin() == url.origin());
    let below = base.filter(|_| is_own && url.query().is_none());
    let below = below.and_then(|base| url.path().strip_prefix(base.path()));
    let below = below.map(str::to_owned);
    Some(Target::Remote { url, is_own, below })
}

/// The file of an address, by the longest end of its path that is there.
async fn file(folder: &Path, address: &str) -> Option<(Target, Metadata)> {
    let parts = parts(address)?;
    for first in 0..parts.len() {
        let parts = &parts[first..];
        let path = parts
            .iter()
            .fold(folder.to_owned(), |path, part| path.join(part));
        let found = tokio::fs::metadata(&path).await;
        if let Some(found) = found.ok().filter(Metadata::is_file) {
            let encoded = parts
                .iter()
                .map(|it| utf8_percent_encode(it, PATH).to_string());
            let below = encoded.collect::<Vec<_>>().join("/");
            return Some((Target::File { path, below }, found));
        }
    }
    None
}

/// The parts of an address's path; `None` for one that could lead out of a folder.
fn parts(address: &str) -> Option<Vec<String>> {
    // What looks like a URL is read as one; everything else is a path, whatever it holds.
    let path = match address.split_once("://") {
        Some((_, rest)) => {
            let path = rest.split_once('/').map_or("", |(_, path)| path);
            let path = path.split(['?', '#']).next().unwrap_or_default();
            percent_decode_str(path).decode_utf8().ok()?.into_owned()
        }
        None => address.to_owned(),
    };
    let parts: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let is_name = |part: &String| {
        *part != "." && *part != ".." && !part.contains(['\\', '\0']) && part.len() <= 255
    };
    let is_path = !parts.is_empty() && parts.len() <= MAX_PARTS && parts.iter().all(is_name);
    is_path.then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_stands_for_a_file_in_the_folder_or_for_none() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("repository");
        std::fs::create_dir_all(folder.join("dist/acme")).unwrap();
        std::fs::write(folder.join("dist/acme/tool 1.0+x.zip"), "").unwrap();
        std::fs::write(outside.path().join("secret"), "").unwrap();
        let location = Location::Folder(folder.clone());
        let found = Some("dist/acme/tool%201.0%2Bx.zip".to_owned());
        for (address, expected) in [
            ("dist/acme/tool 1.0+x.zip", found.clone()),
            ("/dist/acme/tool 1.0+x.zip", found.clone()),
            (
                "https://old.example/dist/acme/tool%201.0+x.zip",
                found.clone(),
            ),
            (
                "https://old.example/sub/dist/acme/tool%201.0%2bx.zip?a#b",
                found.clone(),
            ),
            ("dist/acme", None),
            ("dist/acme/other.zip", None),
            ("../secret", None),
            ("dist/../../secret", None),
            ("dist/acme/../acme/tool 1.0+x.zip", None),
            ("dist\\acme", None),
            ("dist/\0", None),
            ("", None),
        ] {
            let below = match location.resolve(address).await {
                Some(Target::File { path, below }) => {
                    assert!(path.starts_with(&folder), "{address}");
                    Some(below)
                }
                Some(Target::Remote { .. }) | None => None,
            };
            assert_eq!(below, expected, "{address}");
        }
        // Encoded dots are decoded before they are looked at.
        let encoded = "https://old.example/dist/%2e%2e/%2e%2e/secret";
        assert!(file(&folder, encoded).await.is_none());
    }

    #[tokio::test]
    async fn only_the_repositorys_own_origin_is_its_own() {
        let base = Location::parse("https://repo.example/private/packages.json").unwrap();
        for (address, is_own, below) in [
            ("dist/a.zip", true, Some("dist/a.zip")),
            ("/private/dist/a.zip", true, Some("dist/a.zip")),
            ("/dist/a.zip", true, None),
            ("https://repo.example/private/a.zip", true, Some("a.zip")),
            ("https://repo.example/private/a.zip?x=1", true, None),
            ("http://repo.example/private/a.zip", false, None),
            ("https://repo.example:444/private/a.zip", false, None),
            ("https://evil.example/private/a.zip", false, None),
            ("//evil.example/private/a.zip", false, None),
        ] {
            let Some(Target::Remote {
                is_own: own,
                below: found,
                ..
            }) = base.resolve(address).await
            else {
                panic!("{address}");
            };
            assert_eq!((own, found.as_deref()), (is_own, below), "{address}");
        }
        for address in ["file:///etc/passwd", "ftp://repo.example/a"] {
            assert_eq!(base.resolve(address).await, None, "{address}");
        }
    }

    #[test]
    fn a_setting_is_a_url_or_a_folder() {
        let url = |text: &str| Location::parse(text).map(|it| it.to_string());
        for (text, expected) in [
            ("https://repo.example", "https://repo.example/"),
            ("https://repo.example/a", "https://repo.example/a/"),
            (
                "https://repo.example/a/packages.json",
                "https://repo.example/a/",
            ),
            ("/srv/repository", "/srv/repository"),
            ("repository", "repository"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(expected));
        }
        for text in [
            "ftp://a/",
            "https://u:p@a/",
            "https://a/?b",
            "https://a/#b",
            "http://",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
