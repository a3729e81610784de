//! Keeps Trafft customers equal to their GoHighLevel contacts.
//!
//! The way of a webhook, and the order of the rooms: `http` takes the bytes, `intake` verifies,
//! understands and stores them, `sync` reads the contact back from GoHighLevel and makes Trafft
//! match, through `clients` and `store`. `connect` installs the app and tries what was entered.
//! `model` has the words that all of them use; `config` the settings; `app` builds everything and
//! runs it. Which module may use which is in `docs/architecture.md`, and `tests/it/walls.rs` holds
//! it.

/// What one thread takes another one gives back, event by event, which the system's allocator is
/// slow at. A fuzzer watches that one.
#[cfg(not(fuzzing))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod app;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod connect;
pub mod http;
pub mod intake;
pub mod lifecycle;
pub mod model;
pub mod store;
pub mod sync;
pub mod telemetry;
