//! A small TCP proxy between a role and a service, whose traffic can be cut, stalled, or lost
//! without a word.

use std::net::{Ipv4Addr, TcpListener as StdListener};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// They pass.
    Flows,
    /// Connections are closed, and new ones as soon as they are made.
    Cut,
    /// Connections stay open and new ones are accepted, but no byte passes. What was written
    /// meanwhile passes when traffic flows again.
    Stalled,
    /// The connections that exist are dead for good and neither side is told; new ones work.
    HalfOpen,
}

#[derive(Clone, Copy)]
struct State {
    traffic: Traffic,
    /// How often all connections of a time have died silently. One that was made at another
    /// count than the present one carries nothing any more.
    deaths: u32,
}

/// Ends, with all its connections, when it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy to a port of this machine.
    pub(crate) fn to(port: u16) -> Self {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let listener = TcpListener::from_std(listener).unwrap();
        let (state, seen) = watch::channel(State {
            traffic: Traffic::Flows,
            deaths: 0,
        });
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, port, seen.clone()));
            }
        });
        Self {
            port: own_port,
            state,
            accepting,
        }
    }

    pub(crate) fn set(&self, traffic: Traffic) {
        self.state.send_modify(|state| match traffic {
            Traffic::HalfOpen => state.deaths += 1,
            other => state.traffic = other,
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The end of `state` ends the connections.
        self.accepting.abort();
    }
}

async fn carry(client: TcpStream, port: u16, mut state: watch::Receiver<State>) {
    let born = state.borrow().deaths;
    let moves = |it: &State| it.traffic != Traffic::Stalled;
    let moving = state.wait_for(moves).await;
    if !moving.is_ok_and(|it| it.traffic == Traffic::Flows) {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut watched = state.clone();
    tokio::select! {
        () = pump(from_client, to_server, state.clone(), born) => {}
        () = pump(from_server, to_client, state, born) => {}
        // Also when the proxy is dropped.
        _ = watched.wait_for(|it| it.traffic == Traffic::Cut && it.deaths == born) => {}
    }
}

/// Carries bytes one way while traffic flows, and returns when the connection ends. A dead
/// connection waits here for the end of the proxy, and nobody reads its end.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    born: u32,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let flows = |it: &State| it.traffic == Traffic::Flows && it.deaths == born;
        if state.wait_for(flows).await.is_err() {
            return;
        }
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            changed = state.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        match read {
            Ok(length) if length > 0 => {
                if to.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
            Ok(_) | Err(_) => return,
        }
    }
}
