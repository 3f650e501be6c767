//! A pooler before PostgreSQL that gives each transaction another session, as `PgBouncer` does, is named as such: it
//! looks like a server that fails now and then, and what is claimed or locked through it is somebody else's.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::SECRET_KEY;
use crate::support::program::{said, with};

/// What `PgBouncer` 1.18 answers: to the settings of a session; and once another's statement is where ours should be.
const REFUSALS: [(&str, &str); 4] = [
    ("08P01", "unsupported startup parameter: extra_float_digits"),
    ("42P05", "prepared statement \"sqlx_s_1\" already exists"),
    ("26000", "prepared statement \"sqlx_s_1\" does not exist"),
    (
        "08P01",
        "bind message supplies 1 parameters, but prepared statement \"sqlx_s_1\" requires 2",
    ),
];

/// The length of a request for TLS, which stands before everything else.
const FOR_TLS: u32 = 8;

/// A message of the protocol: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn refusal((code, text): (&str, &str)) -> Vec<u8> {
    message(
        b'E',
        format!("SERROR\0VERROR\0C{code}\0M{text}\0\0").as_bytes(),
    )
}

async fn startup(peer: &mut TcpStream) -> Option<()> {
    loop {
        let length = peer.read_u32().await.ok()?;
        let mut rest = vec![0; usize::try_from(length).ok()? - 4];
        peer.read_exact(&mut rest).await.ok()?;
        if length != FOR_TLS {
            return Some(());
        }
        peer.write_all(b"N").await.ok()?;
    }
}

/// Refuses the session if that is what is refused, and every statement otherwise.
async fn refuse(mut peer: TcpStream, with: (&str, &str)) -> Option<()> {
    startup(&mut peer).await?;
    if with.1.contains("startup") {
        return peer.write_all(&refusal(with)).await.ok();
    }
    let ready = message(b'Z', b"I");
    let welcome = [message(b'R', &0_u32.to_be_bytes()), ready.clone()].concat();
    peer.write_all(&welcome).await.ok()?;
    let mut asked = [0; 4_096];
    while peer.read(&mut asked).await.ok()? > 0 {
        peer.write_all(&[refusal(with), ready.clone()].concat())
            .await
            .ok()?;
    }
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_without_sessions_is_named_and_nothing_waits_for_it() {
    for with_this in REFUSALS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://u@{}/shop", listener.local_addr().unwrap());
        let peers = tokio::spawn(async move {
            while let Ok((peer, _)) = listener.accept().await {
                tokio::spawn(refuse(peer, with_this));
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("TOLLGATE_SECRET_KEY", SECRET_KEY),
            ("TOLLGATE_LISTEN", "127.0.0.1:0"),
        ];
        let settings = with(dir.path(), &settings);
        for arguments in [&["migrate"][..], &["check-config", "--connect"], &["serve"]] {
            let (good, text) = said(arguments, settings.clone()).await;
            assert!(!good, "{arguments:?}: {text}");
            let named = "such as PgBouncer, stands before the database: let DATABASE_URL lead to the server";
            assert!(text.contains(named), "{arguments:?}, {with_this:?}: {text}");
        }
        peers.abort();
    }
}
