//! A login that lasts: a signed cookie. Nothing is stored, so it is good on every replica, and ends
//! with the token that it was made with.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::model::Secret;

/// About a working day.
const LIFE: Duration = Duration::from_hours(12);

/// HighLevel's codes are said to live for a quarter of an hour (G §3.1).
const BINDING: Duration = Duration::from_mins(15);

/// Makes sessions, and knows its own again.
#[derive(Debug)]
pub(super) struct Sessions {
    key: Hmac<Sha256>,
    secure: bool,
}

impl Sessions {
    /// `secure`: browsers come by https only.
    pub(super) fn new(token: &Secret, secure: bool) -> Self {
        // A key of its own, so that no cookie is ever a MAC under the token itself.
        let key = mac(token.expose_secret().as_bytes()).chain_update("session cookie, version 1").finalize();
        Self { key: mac(&key.into_bytes()), secure }
    }

    /// `Set-Cookie` for a new session.
    pub(super) fn begin(&self, now: Timestamp) -> String {
        let signed = format!("{}.{}", (now + LIFE).as_second(), Uuid::new_v4().simple());
        let tag = self.key.clone().chain_update(&signed).finalize().into_bytes();
        self.cookie(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)), LIFE)
    }

    /// `Set-Cookie` that takes the session out of the browser.
    pub(super) fn end(&self) -> String {
        self.cookie("", Duration::ZERO)
    }

    /// Does the request bring a session of ours that has not run out?
    pub(super) fn is_in(&self, headers: &HeaderMap, now: Timestamp) -> bool {
        cookies(headers).any(|(name, value)| name == self.name() && self.is_valid(value, now))
    }

    fn is_valid(&self, value: &str, now: Timestamp) -> bool {
        let Some((signed, tag)) = value.rsplit_once('.') else { return false };
        let Ok(tag) = URL_SAFE_NO_PAD.decode(tag) else { return false };
        // Compares in constant time.
        let ours = self.key.clone().chain_update(signed).verify_slice(&tag).is_ok();
        let expiry = signed.split('.').next().and_then(|seconds| seconds.parse::<i64>().ok());
        ours && expiry.is_some_and(|expiry| now.as_second() < expiry)
    }

    /// Browsers take a `__Host-` cookie only over TLS and from the host itself, so that no other
    /// host can plant one.
    fn name(&self) -> &'static str {
        if self.secure { "__Host-session" } else { "session" }
    }

    /// `Set-Cookie` that binds an install to the browser that began it.
    pub(super) fn bind(&self, state: &str) -> String {
        self.named(self.bound(), state, BINDING)
    }

    /// Was an install with this state begun in this browser?
    pub(super) fn is_bound(&self, headers: &HeaderMap, state: &str) -> bool {
        let mut cookies = cookies(headers);
        cookies.any(|(name, value)| name == self.bound() && bool::from(value.as_bytes().ct_eq(state.as_bytes())))
    }

    fn bound(&self) -> &'static str {
        if self.secure { "__Host-install" } else { "install" }
    }

    /// Lax: the way back from HighLevel's install page is a GET from another site, and has to find
    /// the session.
    fn cookie(&self, value: &str, life: Duration) -> String {
        self.named(self.name(), value, life)
    }

    fn named(&self, name: &str, value: &str, life: Duration) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", life.as_secs())
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("any key will do")
}
