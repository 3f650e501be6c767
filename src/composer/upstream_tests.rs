//! Repositories that are away for a while.

use std::sync::Mutex;

use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::composer::location::Location;

/// The longest wait for what comes at once, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(30);

fn at(listener: &TcpListener) -> Repository {
    let url = format!("http://{}/", listener.local_addr().unwrap());
    Repository {
        location: Location::parse(&url).unwrap(),
        token: None,
    }
}

/// The root of a repository whose one package has this version, or a failure.
fn answer(version: Option<&str>) -> String {
    let (status, body) = match version {
        Some(version) => {
            let listed = serde_json::json!([{"version": version}]);
            let root = serde_json::json!({"packages": {"acme/tool": listed}});
            ("200 OK", root.to_string())
        }
        None => ("500 Internal Server Error", String::new()),
    };
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// A repository of one package in the version that is there now; away while there is none.
async fn served(version: &Arc<Mutex<Option<&'static str>>>) -> Repository {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository = at(&listener);
    let version = Arc::clone(version);
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(connection.read_u8().await.unwrap());
            }
            let answer = answer(*version.lock().unwrap());
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    repository
}

/// The version that is listed.
async fn listed(upstream: &Upstream, repository: &Repository) -> Result<String, UpstreamError> {
    let found = upstream.package(repository, "acme/tool", false, Freshness::Cached);
    let found = found.await?;
    let listed = &found.of("acme/tool").next().unwrap().versions[0];
    Ok(listed.version.as_ref().unwrap().text.clone())
}

async fn place(upstream: &Upstream, repository: &Repository) -> Arc<Place> {
    let target = repository.location.resolve_metadata("packages.json").await;
    upstream.cache.place(key(repository, &target.unwrap().0))
}

/// Makes what is kept older.
async fn pass(time: Duration, upstream: &Upstream, repository: &Repository) {
    let place = place(upstream, repository).await;
    let State { kept, failed } = place.get();
    place.put(State {
        kept: kept.map(|kept| Kept {
            asked: kept.asked.checked_sub(time).unwrap(),
            ..kept
        }),
        failed: failed.map(|at| at.checked_sub(time).unwrap()),
    });
}

#[tokio::test]
async fn a_repository_that_comes_back_is_soon_asked_again() {
    let version = Arc::new(Mutex::new(Some("1.0.0")));
    let repository = served(&version).await;
    let upstream = Upstream::default();
    assert_eq!(listed(&upstream, &repository).await.unwrap(), "1.0.0");
    pass(Duration::from_secs(31), &upstream, &repository).await;
    *version.lock().unwrap() = None;
    assert_eq!(listed(&upstream, &repository).await.unwrap(), "1.0.0");
    *version.lock().unwrap() = Some("2.0.0");
    assert_eq!(listed(&upstream, &repository).await.unwrap(), "1.0.0");
    pass(Duration::from_secs(6), &upstream, &repository).await;
    assert_eq!(listed(&upstream, &repository).await.unwrap(), "2.0.0");
}

#[tokio::test]
async fn nobody_waits_for_somebody_who_reads_what_is_known() {
    let version = Arc::new(Mutex::new(Some("1.0.0")));
    let repository = served(&version).await;
    let upstream = Upstream::default();
    assert_eq!(listed(&upstream, &repository).await.unwrap(), "1.0.0");
    pass(Duration::from_secs(31), &upstream, &repository).await;
    let place = place(&upstream, &repository).await;
    let _reading = place.asking.lock().await;
    let at_once = listed(&upstream, &repository).now_or_never();
    assert_eq!(at_once.unwrap().unwrap(), "1.0.0");
}

#[tokio::test]
async fn a_failure_is_noted_though_whoever_asked_has_hung_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository = at(&listener);
    let upstream = Upstream::default();
    let asking = {
        let (upstream, repository) = (upstream.clone(), repository.clone());
        tokio::spawn(async move { listed(&upstream, &repository).await })
    };
    let connection = listener.accept().await.unwrap();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    drop((connection, listener));
    let place = place(&upstream, &repository).await;
    // Held until the failure is noted.
    drop(timeout(PATIENCE, place.asking.lock()).await.unwrap());
    assert!(place.get().failed.is_some());
    let refused = listed(&upstream, &repository).await.unwrap_err();
    assert!(matches!(refused, UpstreamError::Away { .. }), "{refused}");
}

/// What Satis wrote, with the name of its only file; rebuilt, the file has another name.
fn write_build(folder: &std::path::Path, name: &str, version: &str) {
    let _ = std::fs::remove_dir_all(folder.join("include"));
    std::fs::create_dir_all(folder.join("include")).unwrap();
    let listed = serde_json::json!({"packages": {"acme/tool": {version: {"version": version}}}});
    std::fs::write(folder.join(name), listed.to_string()).unwrap();
    let root = serde_json::json!({"packages": [], "includes": {name: {"sha1": "0"}}});
    std::fs::write(folder.join("packages.json"), root.to_string()).unwrap();
}

/// Serves the files of a folder.
async fn serve(listener: TcpListener, folder: std::path::PathBuf) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(connection.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let path = request.split(' ').nth(1).unwrap().replace("%24", "$");
        let read = std::fs::read_to_string(folder.join(path.trim_start_matches('/')));
        let status = if read.is_ok() {
            "200 OK"
        } else {
            "404 Not Found"
        };
        let body = read.unwrap_or_default();
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close");
        let answer = format!("{head}\r\n\r\n{body}");
        connection.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_build_that_took_its_files_away_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    write_build(folder.path(), "include/all$aa.json", "1.0.0");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository = at(&listener);
    tokio::spawn(serve(listener, folder.path().to_owned()));
    let upstream = Upstream::default();
    // The root is known, and is good for a while; its file is not.
    upstream.check(&repository).await.unwrap();
    write_build(folder.path(), "include/all$bb.json", "2.0.0");
    assert_eq!(listed(&upstream, &repository).await.unwrap(), "2.0.0");
    // Without it nobody may be told that the package is not there.
    std::fs::remove_dir_all(folder.path().join("include")).unwrap();
    let upstream = Upstream::default();
    let error = listed(&upstream, &repository).await.unwrap_err();
    assert!(matches!(error, UpstreamError::NoRepository(_)), "{error}");
}
