//! The sandbox against the books in `docs/vendors/`: their examples, the official description, and
//! every unpleasant habit they list.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod control;
mod failures;
mod fixtures;
mod ghl_contacts;
mod ghl_gates;
mod ghl_search;
mod oauth;
mod oauth_chooser;
mod oauth_install;
mod openapi;
mod scale;
mod trafft;
mod webhooks;
mod world;
