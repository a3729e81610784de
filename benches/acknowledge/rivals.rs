//! What the service is measured against: a server that only verifies, and a group commit that only
//! commits.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Sqlite, SqliteConnection};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Serves a bare axum that checks the same header against the same key with the same crate, and
/// says so.
pub(crate) async fn verifier(spki: &str) -> SocketAddr {
    let key: Arc<[u8]> = STANDARD.decode(spki).unwrap()[12..].into();
    let verify = async |State(key): State<Arc<[u8]>>, headers: HeaderMap, body: Bytes| {
        let signature = headers.get("x-ghl-signature").and_then(|value| STANDARD.decode(value).ok());
        let key = UnparsedPublicKey::new(&ED25519, &key);
        match signature {
            Some(signature) if key.verify(&body, &signature).is_ok() => StatusCode::OK,
            _ => StatusCode::UNAUTHORIZED,
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/webhooks/ghl", post(verify)).with_state(key);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An event on its way into the bare group commit.
pub(crate) type Handed = (String, String, oneshot::Sender<()>);

/// The barest group commit with the same promise: what waits goes in with one statement and one
/// commit, a row an event, a random key each, as contacts have one, and is answered when it is on
/// disk. No HTTP, no signature, no contact.
pub(crate) async fn group_commit(folder: &Path) -> mpsc::Sender<Handed> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // As much memory as ours.
        .pragma("cache_size", "-8192");
    let mut connection = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE events (id TEXT PRIMARY KEY, body TEXT NOT NULL)")
        .execute(&mut connection)
        .await
        .unwrap();
    let (send, mut waiting) = mpsc::channel(4096);
    tokio::spawn(async move {
        let mut batch = Vec::new();
        while waiting.recv_many(&mut batch, 512).await > 0 {
            commit(&mut connection, std::mem::take(&mut batch)).await;
        }
    });
    send
}

async fn commit(connection: &mut SqliteConnection, batch: Vec<Handed>) {
    let mut tx = connection.begin().await.unwrap();
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO events (id, body) ");
    let (rows, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|(id, body, answer)| ((id, body), answer)).unzip();
    insert.push_values(rows, |mut row, (id, body)| {
        row.push_bind(id).push_bind(body);
    });
    insert.build().execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    for answer in answers {
        let _ = answer.send(());
    }
}
