//! Addresses of IPv6, as in clusters that have no others: of the database, of the broker, and of the server itself.

use std::net::SocketAddr;

use secrecy::ExposeSecret;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::support::postgres::database;
use crate::support::program::{said, with};
use crate::support::rabbitmq::{prefix, shared};
use crate::support::serving::{Serving, quiet_port};
use crate::support::{SECRET_KEY, client};

/// Passes on to a server of IPv4 what comes to an address of IPv6.
async fn relay(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

/// The same address with another host, and where it led to.
fn moved(url: &str) -> (SocketAddr, String) {
    let (before, behind) = url.split_once('@').unwrap();
    let (host, path) = behind.split_once('/').unwrap_or((behind, ""));
    (host.parse().unwrap(), format!("{before}@HOST/{path}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn database_and_broker_are_reached() {
    let database = database().await;
    let (server, database) = moved(database.expose_secret());
    let (broker, queue) = moved(&shared().url());
    let database = database.replace("HOST", &relay(server).await.to_string());
    let queue = queue.replace("HOST", &relay(broker).await.to_string());
    let prefix = prefix();
    let settings = [
        ("DATABASE_URL", database.as_str()),
        ("AMQP_URL", &queue),
        ("TOLLGATE_AMQP_PREFIX", &prefix),
        ("TOLLGATE_SECRET_KEY", SECRET_KEY),
    ];
    let dir = tempfile::tempdir().unwrap();
    let settings = with(dir.path(), &settings);
    let (good, text) = said(&["check-config", "--connect"], settings).await;
    assert!(good, "{text}");
    for part in [
        "the store answers",
        "the broker answers",
        "PostgreSQL at [::1]:",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Whoever listens at all addresses of IPv6 is reached by those of IPv4 too.
#[tokio::test(flavor = "multi_thread")]
async fn one_address_serves_both() {
    let dir = tempfile::tempdir().unwrap();
    let port = quiet_port();
    let listen = format!("[::]:{port}");
    let settings = with(dir.path(), &[("TOLLGATE_LISTEN", &listen)]);
    let _serving = Serving::start(&settings).await;
    for host in ["127.0.0.1", "[::1]"] {
        let url = format!("http://{host}:{port}/readyz");
        let answer = client().get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
    }
}
