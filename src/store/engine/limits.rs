//! What is bounded: how many connections there are, and how long anybody waits for one.

use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::clock::Clock;

/// Longest wait for a connection. After that the webhook gets 429: an early retry is better than a
/// late write.
pub(in crate::store) const DB_WAIT: Duration = Duration::from_secs(5);

/// Of the pool, with PostgreSQL.
pub(in crate::store) const CONNECTIONS: u32 = 10;

/// The pool's connections, that of the group commit, and that of the listener.
pub(in crate::store) const ALL_CONNECTIONS: u32 = CONNECTIONS + 2;

/// Limits the wait for what a write needs before it begins.
pub(in crate::store) async fn soon<T>(what: impl Future<Output = T>) -> sqlx::Result<T> {
    within(DB_WAIT, what).await
}

/// Once `limit` has passed, fails with the same kind of error as a lost connection.
pub(in crate::store) async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> sqlx::Result<T> {
    let late = || io::Error::new(ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs()));
    Clock::system().timeout(limit, what).await.ok_or_else(|| late().into())
}
