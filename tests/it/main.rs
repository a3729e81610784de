//! The true service against the sandbox. One binary, a file a behaviour.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "tests")]

mod admin;
mod admin_security;
mod bad_data;
mod bad_input;
mod bad_questions;
mod calls;
mod connections;
mod deletion;
mod description;
mod doctor;
mod documents;
mod downtime;
mod events;
mod floods;
mod forgetting;
mod health;
mod identity;
mod install;
mod intake;
mod isolation;
mod kill;
mod limits;
mod mapping;
mod mistakes;
mod outage;
mod power;
mod secrets;
mod settings;
mod signature;
mod stopping;
mod storage;
mod support;
mod sweeps;
mod tokens;
mod unclear;
mod unresolved;
mod walls;
mod workflow;
