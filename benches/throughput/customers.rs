//! Customers with a paid subscription and an access token, many and quickly: by the statements of the
//! worker, without any queue.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, SqliteConnection};
use tollgate::clock::{Clock, SystemClock};
use tollgate::pipeline::process::process;
use tollgate::queue::Message;
use tollgate::store::Store;

use crate::event;

const BATCH: usize = 250;

/// The engine of a store.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

/// The token of the customer with this number.
pub(crate) fn token(number: usize) -> String {
    format!("tok_bench{number:039}")
}

/// Makes so many customers in a store that has its schema and its app. The first has the token with the number 0.
pub(crate) async fn make(database: &SecretString, kind: Kind, count: usize) {
    let store = match kind {
        Kind::Postgres => Store::open_postgres(database).unwrap(),
        Kind::Sqlite => {
            let file = database.expose_secret().trim_start_matches("sqlite://");
            Store::open_sqlite(file.as_ref()).await.unwrap()
        }
    };
    for _ in 0..count.div_ceil(BATCH) {
        let messages: Vec<Message> = (0..BATCH).map(|_| event::message()).collect();
        let batch: Vec<&Message> = messages.iter().collect();
        process(&store, &batch, SystemClock.now()).await.unwrap();
    }
    store.close().await;
    let hashes: Vec<Vec<u8>> = (0..count)
        .map(|number| Sha256::digest(token(number)).to_vec())
        .collect();
    match kind {
        Kind::Postgres => {
            let mut connection = PgConnection::connect(database.expose_secret())
                .await
                .unwrap();
            for sql in [
                "INSERT INTO tokens (id, app, customer_id, name, prefix, scope, packages, created_at) \
                 SELECT 'tok_' || row_number() OVER (ORDER BY id), app, id, 'ci', 'tok_', 'read', \
                 '[]', now() FROM customers",
                "INSERT INTO token_hashes (hash, token_id) SELECT hash, 'tok_' || place \
                 FROM unnest($1::bytea[]) WITH ORDINALITY AS new (hash, place)",
                "ANALYZE",
            ] {
                let query = sqlx::query(sql);
                let query = if sql.contains("$1") {
                    query.bind(&hashes)
                } else {
                    query
                };
                query.execute(&mut connection).await.unwrap();
            }
        }
        Kind::Sqlite => {
            let mut connection = SqliteConnection::connect(database.expose_secret())
                .await
                .unwrap();
            let hashes: Vec<String> = hashes.iter().map(hex::encode).collect();
            for sql in [
                "INSERT INTO tokens (id, app, customer_id, name, prefix, scope, packages, created_at) \
                 SELECT 'tok_' || row_number() OVER (ORDER BY id), app, id, 'ci', 'tok_', 'read', \
                 '[]', 0 FROM customers",
                "INSERT INTO token_hashes (hash, token_id) \
                 SELECT unhex(value), 'tok_' || (key + 1) FROM json_each($1)",
            ] {
                let query = sqlx::query(sql);
                let hashes = serde_json::to_string(&hashes).unwrap();
                let query = if sql.contains("$1") {
                    query.bind(hashes)
                } else {
                    query
                };
                query.execute(&mut connection).await.unwrap();
            }
        }
    }
}
