//! The bare access check: `/access` reads one row by its key, `/echo` computes one HMAC and reads
//! nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{PgPool, SqlitePool};
use tokio::net::TcpListener;

use super::setting;

const SQL: &str = "SELECT token_id FROM token_hashes WHERE hash = $1";

/// As many connections as ours has.
const CONNECTIONS: u32 = 12;

enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

pub(super) async fn run() {
    let url = setting("DATABASE_URL");
    let pool = if url.starts_with("sqlite:") {
        let options = SqlitePoolOptions::new().max_connections(4);
        Pool::Sqlite(
            options
                .test_before_acquire(false)
                .connect(&url)
                .await
                .unwrap(),
        )
    } else {
        let options = PgPoolOptions::new().max_connections(CONNECTIONS);
        Pool::Postgres(
            options
                .test_before_acquire(false)
                .connect(&url)
                .await
                .unwrap(),
        )
    };
    let router = Router::new()
        .route("/access", get(look_up))
        .route("/echo", get(echo))
        .with_state(Arc::new(pool));
    let listener = TcpListener::bind(setting("TOLLGATE_LISTEN")).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}

fn token(headers: &HeaderMap) -> &[u8] {
    &headers[AUTHORIZATION].as_bytes()["Bearer ".len()..]
}

async fn look_up(
    State(pool): State<Arc<Pool>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let hash = Sha256::digest(token(&headers)).to_vec();
    let found: Option<String> = match &*pool {
        Pool::Postgres(pool) => {
            sqlx::query_scalar(SQL)
                .bind(hash)
                .fetch_optional(pool)
                .await
        }
        Pool::Sqlite(pool) => {
            sqlx::query_scalar(SQL)
                .bind(hash)
                .fetch_optional(pool)
                .await
        }
    }
    .unwrap();
    let id = found.ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(Json(json!({ "allowed": true, "token": id })))
}

async fn echo(headers: HeaderMap) -> Json<Value> {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"a key of some length").unwrap();
    mac.update(token(&headers));
    Json(json!({ "allowed": true, "token": hex::encode(mac.finalize().into_bytes()) }))
}
