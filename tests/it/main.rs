//! The true service against the sandbox. One binary, a file a behaviour.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "tests")]

mod calls;
mod documents;
mod support;
mod walls;
