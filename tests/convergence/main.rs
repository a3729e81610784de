//! What is promised, held against thousands of random histories: see `docs/reliability.md`.
//!
//! `SEEDS=10000 cargo test --test convergence` plays more of them, `SEED=123 cargo test --test
//! convergence` one alone; `WORLD=friendly` leaves out what makes the vendors unpleasant.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "tests")]

mod climate;
mod create;
mod dice;
mod group;
mod histories;
mod ledger;
mod numbers;
mod oddities;
mod oracle;
mod person;
mod seeds;
mod staff;
#[path = "../it/support/mod.rs"]
mod support;
mod weather;
