//! Reads files and asks servers, within bounds of size and time.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Method, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use super::metadata::MetadataError;
use crate::tls;

/// The largest file of metadata that is read, in bytes.
const MAX_FILE: usize = 32 << 20;
/// How long a file of metadata may take.
const METADATA_TIME: Duration = Duration::from_secs(15);
/// How long the way to a server may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long an archive may stand still.
const STILL_TIME: Duration = Duration::from_secs(30);
/// Most redirections of one request. reqwest takes the token away where one leads elsewhere.
const MAX_REDIRECTS: usize = 5;

/// A repository did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// A file could not be read.
    #[error("{name} cannot be read")]
    File {
        /// Its name.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A request failed.
    #[error("the request for {name} failed")]
    Request {
        /// What was asked for.
        name: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The answer was a refusal.
    #[error("the answer for {name} was {status}")]
    Status {
        /// What was asked for.
        name: String,
        /// The status.
        status: StatusCode,
    },
    /// The server gave no answer a moment ago, or is being asked for long.
    #[error("{name} could not be had a moment ago")]
    Away {
        /// What was asked for.
        name: String,
    },
    /// A file came in an encoding that was not asked for.
    #[error("{name} came compressed, which was not asked for")]
    Encoded {
        /// What was asked for.
        name: String,
    },
    /// A file is too large.
    #[error("{name} is larger than {MAX_FILE} bytes")]
    TooLarge {
        /// Its name.
        name: String,
    },
    /// A file says something that cannot be understood.
    #[error("{name} cannot be understood")]
    Malformed {
        /// Its name.
        name: String,
        /// The cause.
        #[source]
        source: MetadataError,
    },
    /// The repository has no `packages.json`, or includes too much.
    #[error("there is no Composer repository: {0}")]
    NoRepository(&'static str),
    /// The token cannot stand in a header.
    #[error("the token of the repository cannot be sent")]
    Token,
    /// Reading was given up, because the process stops.
    #[error("reading was given up")]
    Stopped,
}

impl UpstreamError {
    /// True if the repository does not answer, for this file and most likely for any.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Away { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::File { .. }
            | Self::Encoded { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::NoRepository(_)
            | Self::Token
            | Self::Stopped => false,
        }
    }
}

/// What tells whether a file has changed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Mark {
    file: Option<(SystemTime, u64)>,
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Mark {
    /// The mark of a file in a folder.
    pub(super) fn of_file(found: &Metadata) -> io::Result<Self> {
        Ok(Self {
            file: Some((found.modified()?, found.len())),
            ..Self::default()
        })
    }
}

/// What reading a file again found.
pub(super) enum Change {
    /// It is the same.
    Unchanged,
    /// There is none.
    Absent,
    /// It is new, or was not known.
    New(Vec<u8>, Mark),
}

/// Makes requests. Cheap to clone. Its client holds all certificates that the system trusts, a megabyte, so
/// it is made for the first request: most processes never make one.
#[derive(Clone, Default)]
pub(super) struct Fetcher(Arc<OnceLock<reqwest::Client>>);

impl Fetcher {
    fn client(&self) -> reqwest::Result<&reqwest::Client> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        tls::use_ring();
        let client = reqwest::Client::builder()
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::limited(MAX_REDIRECTS))
            .connect_timeout(CONNECT_TIME)
            .read_timeout(STILL_TIME)
            .build()?;
        Ok(self.0.get_or_init(|| client))
    }

    /// Asks for a file of metadata, if it has changed.
    pub(super) async fn metadata(
        &self,
        url: &Url,
        token: Option<&SecretString>,
        name: &str,
        known: Option<&Mark>,
    ) -> Result<Change, UpstreamError> {
        let failed = |source: reqwest::Error| UpstreamError::Request {
            name: name.to_owned(),
            source: source.without_url(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(Mark {
            etag,
            last_modified,
            ..
        }) = known
        {
            headers.extend(etag.clone().map(|etag| (IF_NONE_MATCH, etag)));
            headers.extend(last_modified.clone().map(|at| (IF_MODIFIED_SINCE, at)));
        }
        let request = self.request(Method::GET, url, token, headers)?;
        let mut response = request
            .timeout(METADATA_TIME)
            .send()
            .await
            .map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(Change::Unchanged),
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Change::Absent),
            status => {
                let name = name.to_owned();
                return Err(UpstreamError::Status { name, status });
            }
        }
        if is_encoded(response.headers()) {
            let name = name.to_owned();
            return Err(UpstreamError::Encoded { name });
        }
        let mark = Mark {
            file: None,
            etag: response.headers().get(ETAG).cloned(),
            last_modified: response.headers().get(LAST_MODIFIED).cloned(),
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > MAX_FILE {
                let name = name.to_owned();
                return Err(UpstreamError::TooLarge { name });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Change::New(bytes, mark))
    }

    fn request(
        &self,
        method: Method,
        url: &Url,
        token: Option<&SecretString>,
        headers: HeaderMap,
    ) -> Result<reqwest::RequestBuilder, UpstreamError> {
        let client = self.client().map_err(|source| UpstreamError::Request {
            name: "a file".to_owned(),
            source,
        })?;
        let mut request = client.request(method, url.clone()).headers(headers);
        if let Some(token) = token {
            let token = token.expose_secret();
            let value = if token.contains(':') {
                format!("Basic {}", STANDARD.encode(token))
            } else {
                format!("Bearer {token}")
            };
            let value = HeaderValue::from_str(&value);
            let mut value = value.map_err(|_| UpstreamError::Token)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// Asks for an archive at a URL; the answer may be any.
    pub(super) async fn archive(
        &self,
        url: &Url,
        token: Option<&SecretString>,
        method: Method,
        mut headers: HeaderMap,
    ) -> Result<Response, UpstreamError> {
        // The bytes are passed on as they are, so lengths and ranges must be those of the file.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let request = self.request(method, url, token, headers)?;
        request
            .send()
            .await
            .map_err(|source| UpstreamError::Request {
                name: "an archive".to_owned(),
                source: source.without_url(),
            })
    }
}

/// True for a content that would have to be unpacked.
fn is_encoded(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    let mut encodings = encodings.filter(|it| !it.is_empty());
    encodings.any(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Reads a file of metadata, if it has changed.
pub(super) async fn read_file(
    path: &Path,
    name: &str,
    known: Option<&Mark>,
) -> Result<Change, UpstreamError> {
    let failed = |source| UpstreamError::File {
        name: name.to_owned(),
        source,
    };
    let found = match tokio::fs::metadata(path).await {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Change::Absent),
        Err(error) => return Err(failed(error)),
    };
    let mark = Mark::of_file(&found).map_err(failed)?;
    if known == Some(&mark) {
        return Ok(Change::Unchanged);
    }
    if found.len() > MAX_FILE as u64 {
        let name = name.to_owned();
        return Err(UpstreamError::TooLarge { name });
    }
    let bytes = tokio::fs::read(path).await.map_err(failed)?;
    Ok(Change::New(bytes, mark))
}
