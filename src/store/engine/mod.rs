//! How anything gets onto the disk: connections, transactions, SQLite's file and its log,
//! statements about many rows. Nothing here knows a table, and a new table needs nothing here.

mod checkpoints;
mod db;
mod file;
mod limits;
mod log;
mod postgres;
mod rows;
mod session;
mod tx;

pub use file::sqlite_file;

pub(super) use db::Db;
pub(super) use limits::{ALL_CONNECTIONS, DB_WAIT, soon};
pub(super) use log::Ahead;
pub(super) use rows::{Cell, Dialect, Script, Text};
pub(super) use tx::Tx;
