//! What goes wrong before anything has ever worked: a port that is taken, a folder of somebody else, a
//! server that is asked in the wrong place or by the wrong name.

use std::ffi::OsString;
use std::net::TcpListener;

use reqwest::redirect::Policy;
use serde_json::Value;

use crate::support::program::{said, with};
use crate::support::serving::{Serving, quiet_port};
use crate::support::stores::Engine;
use crate::support::{TestServer, client};

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_listened_on_names_its_setting() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    // Addresses for documentation, which no machine has.
    for (setting, address, words) in [
        (
            "TOLLGATE_LISTEN",
            taken.as_str(),
            "stop what listens there already, or set TOLLGATE_LISTEN to another port",
        ),
        (
            "TOLLGATE_OPS_LISTEN",
            &taken,
            "stop what listens there already, or set TOLLGATE_OPS_LISTEN to another port",
        ),
        (
            "TOLLGATE_LISTEN",
            "192.0.2.1:8080",
            "set TOLLGATE_LISTEN to an address of this machine, or 0.0.0.0 or [::] for all",
        ),
    ] {
        let holder = TcpListener::bind(&taken);
        let (good, text) = said(&["serve"], with(dir.path(), &[(setting, address)])).await;
        drop(holder);
        let begin = format!("listening on {address} failed; {words}");
        assert!(!good && text.contains(&begin), "{setting}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_used_names_its_setting() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (good, text) = said(&["serve"], with(&file, &[])).await;
    let words =
        "TOLLGATE_DATA_DIR, or that of DATABASE_URL) has to be one in which the user of this";
    assert!(!good && text.contains(words), "{text}");
    // As for a folder of another user, nobody can say whether a store is in there.
    for command in [&["events", "list"][..], &["events", "show", "evt_1"]] {
        let (good, text) = said(command, with(&file, &[])).await;
        let place = format!(
            "whether there is a store at {}/tollgate.db cannot be seen: run this as the user of `serve`",
            file.display()
        );
        assert!(!good && text.contains(&place), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_named_as_people_name_it() {
    let dir = tempfile::tempdir().unwrap();
    let listen = format!("[::1]:{}", quiet_port());
    let settings = with(dir.path(), &[("TOLLGATE_LISTEN", &listen)]);
    let server = Serving::start(&settings).await;
    let trigger = ["trigger", "stripe", "customer.created"];
    let (good, text) = said(&trigger, settings.clone()).await;
    assert!(good && text.starts_with("200 "), "{text}");
    for (url, words) in [
        (listen.as_str(), "200 "),
        (&format!("{listen}/webhooks/stripe"), "200 "),
        (&format!("http://{listen}"), "200 "),
        (
            &format!("https://{listen}"),
            "what listens there does not speak TLS: write http:// instead of https://",
        ),
        (
            &format!("127.0.0.1:{}", quiet_port()),
            "nothing listens there: start `tollgate serve`, or name its address",
        ),
        (
            "ftp://h",
            "must be an address such as http://127.0.0.1:8080",
        ),
    ] {
        let (_, text) = said(&[&trigger[..], &["--url", url]].concat(), settings.clone()).await;
        assert!(text.contains(words), "{url}: {text}");
    }
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bare_address_leads_to_the_console_where_there_is_one() {
    let curious = reqwest::Client::builder().redirect(Policy::none());
    let curious = curious.build().unwrap();
    let of = async |changed: &[(&str, &str)]| {
        let changed: Vec<(OsString, OsString)> = changed
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        TestServer::start_with(Engine::Sqlite, move |environment| {
            environment.extend(changed);
        })
        .await
    };
    let server = of(&[]).await;
    let answer = curious.get(&server.base).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "/console");
    server.stop().await;
    for off in [
        ("TOLLGATE_CONSOLE", "off"),
        ("TOLLGATE_OPS_LISTEN", "127.0.0.1:0"),
    ] {
        let server = of(&[off]).await;
        let answer = curious.get(&server.base).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{off:?}");
        let console = format!("{}/console", server.base);
        let told = curious.get(console).send().await.unwrap().text().await;
        let is_elsewhere = told.unwrap().contains("that of `TOLLGATE_OPS_LISTEN` does");
        assert_eq!(is_elsewhere, off.0 == "TOLLGATE_OPS_LISTEN", "{off:?}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_not_named_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let told = "X-Forwarded-For comes from a proxy that TOLLGATE_TRUSTED_PROXIES does not name";
    for (proxies, times) in [(None, 1), (Some("127.0.0.1"), 0)] {
        let listen = format!("127.0.0.1:{}", quiet_port());
        let mut settings = with(dir.path(), &[("TOLLGATE_LISTEN", &listen)]);
        settings.extend(proxies.map(|it| ("TOLLGATE_TRUSTED_PROXIES".into(), it.into())));
        let server = Serving::start(&settings).await;
        for _ in 0..3 {
            let url = format!("{}/access?package=acme/tool", server.base);
            let asked = client().get(url).header("x-forwarded-for", "192.0.2.1");
            let answer: Value = asked.send().await.unwrap().json().await.unwrap();
            assert_eq!(answer["code"], "token_unknown");
        }
        let log = server.log();
        assert_eq!(log.matches(told).count(), times, "{proxies:?}: {log}");
        assert!(server.terminate().success());
    }
}

/// Whoever reads the page of deploying makes a token with `sudo` before the first start.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_another_user_made_is_usable_or_named() {
    use std::fs::{metadata, set_permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    const NOBODY: u32 = 65_534;
    let token = ["token", "create", "--name", "ci", "--role", "viewer"];
    let dir = tempfile::tempdir().unwrap();
    let is_root = metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let settings = with(dir.path(), &[]);
    let (good, text) = said(&token, settings.clone()).await;
    assert!(good, "{text}");
    let file = dir.path().join("tollgate.db");
    assert_eq!(metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(
        metadata(&file).unwrap().uid(),
        metadata(dir.path()).unwrap().uid()
    );

    let mut other = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    if is_root {
        chown(&file, Some(0), Some(0)).unwrap();
        other.uid(NOBODY).gid(NOBODY);
    } else {
        set_permissions(&file, PermissionsExt::from_mode(0o0)).unwrap();
    }
    let said = other
        .args(token)
        .env_clear()
        .envs(settings)
        .output()
        .unwrap();
    let text = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(1), "{text}");
    let named = format!(
        "this user may not use {}: run this as the user",
        file.display()
    );
    assert!(
        text.contains(&named) && text.contains("sqlite://"),
        "{text}"
    );
}
