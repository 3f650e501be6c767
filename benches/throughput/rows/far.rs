//! Workers whose database is five milliseconds away, as in another building: what they lose by waiting,
//! and what a second one gains.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::BOTH;
use super::worker::in_turns;
use crate::support::postgres;
use crate::table::Table;

/// What each answer of the database is late.
const DELAY: Duration = Duration::from_millis(5);

pub(crate) async fn measure(table: &mut Table) {
    let proxy = proxy(SocketAddr::from(([127, 0, 0, 1], postgres::SHARED.port()))).await;
    let drained = in_turns(&BOTH, |database| through(proxy, database)).await;
    drained.show(table, "database 5 ms away");
}

/// The same database by way of a proxy.
fn through(proxy: SocketAddr, database: &SecretString) -> SecretString {
    let port = format!(":{}/", postgres::SHARED.port());
    let far = format!(":{}/", proxy.port());
    database.expose_secret().replace(&port, &far).into()
}

/// Starts a proxy whose answers come late; returns its address.
async fn proxy(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(forward(client, server));
        }
    });
    address
}

/// Forwards one connection until either side closes it.
async fn forward(client: TcpStream, server: SocketAddr) {
    let server = TcpStream::connect(server).await.unwrap();
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut questions, mut to_client) = client.into_split();
    let (mut answers, mut to_server) = server.into_split();
    tokio::spawn(async move {
        // The end of either side is the end of both.
        let _ = tokio::io::copy(&mut questions, &mut to_server).await;
        let _ = to_server.shutdown().await;
    });
    let (late, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = due.recv().await {
            sleep_until(at).await;
            if to_client.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = answers.read(&mut buffer).await {
        if late
            .send((Instant::now() + DELAY, buffer[..count].to_vec()))
            .is_err()
        {
            return;
        }
    }
}
