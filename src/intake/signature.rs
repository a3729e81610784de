//! Is this webhook HighLevel's? The only place that makes a [`VerifiedWebhook`].

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::{Engine, alphabet};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::model::Secret;

/// HighLevel's published Ed25519 key (G §8.3).
pub const HIGHLEVEL: &str = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";

/// Secrets of the Standard Webhooks come with `=` at the end and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What every Ed25519 SPKI begins with; the 32 bytes of the key follow (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A body whose sender is known. Holds the bytes that were signed, and nothing that was not.
#[derive(Debug)]
pub struct VerifiedWebhook {
    /// As received.
    pub body: Vec<u8>,
    /// The sender's id for the delivery, where the signature covers it.
    pub delivery: Option<String>,
    /// When it was sent, where the signature covers it.
    pub sent_at: Option<Timestamp>,
}

/// Why a webhook was not believed. Says nothing about the keys or the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No signature at all.
    #[error(
        "there is no `X-GHL-Signature` header: only webhooks that HighLevel signed are accepted here; register this URL on a marketplace app, or use `/webhooks/ghl/workflow` for workflow actions"
    )]
    Unsigned,
    /// Only the retired header.
    #[error(
        "`X-WH-Signature` is retired and not accepted: HighLevel sends `X-GHL-Signature` beside it; make sure that your proxy lets that header through"
    )]
    Retired,
    /// Not base64 of 64 bytes.
    #[error(
        "`X-GHL-Signature` is not the base64 of an Ed25519 signature: make sure that your proxy does not change headers"
    )]
    Malformed,
    /// It does not fit the body.
    #[error(
        "the signature does not fit the body: make sure that your proxy passes the body on byte for byte, and that `GHL_WEBHOOK_PUBLIC_KEYS` is right if you set it"
    )]
    Wrong,
    /// Workflow webhooks are not set up.
    #[error("workflow webhooks are off: set `GHL_WORKFLOW_TOKEN` or `GHL_WORKFLOW_SECRET` first")]
    WorkflowOff,
    /// No credentials on a workflow webhook.
    #[error(
        "send the header `X-Workflow-Token` with the value of `GHL_WORKFLOW_TOKEN`, or the Standard Webhooks headers signed with `GHL_WORKFLOW_SECRET`"
    )]
    WorkflowUnsigned,
    /// The signed time is not in Unix seconds.
    #[error(
        "`webhook-timestamp` must be in Unix seconds, as the Standard Webhooks have it; what was signed is no such number, or in milliseconds"
    )]
    WorkflowTime,
    /// Wrong credentials on a workflow webhook.
    #[error("the workflow token or signature is wrong: compare it with the setting of this service")]
    WorkflowWrong,
}

/// HighLevel's keys: several are good at once, so that a rotation loses nothing.
#[derive(Debug, Clone)]
pub struct WebhookKeys(Vec<[u8; 32]>);

impl WebhookKeys {
    /// Several separated by commas, each as PEM (with line ends, or with `\n` written out), as
    /// base64 or as hex; of the SPKI structure or of the bare 32 bytes, as HighLevel's own SDK
    /// takes them.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = text.replace("\\r", "").replace("\\n", "\n");
        let bare = bare.replace("-----BEGIN PUBLIC KEY-----", "").replace("-----END PUBLIC KEY-----", ",");
        let keys = bare.split(',').map(|key| key.split_whitespace().collect::<String>());
        let parse = |(index, key): (usize, String)| {
            let der = hex(&key).or_else(|| STANDARD.decode(&key).ok());
            let der = der.ok_or_else(|| format!("key {} is neither base64 nor hex", index + 1))?;
            let key = der.strip_prefix(&SPKI).unwrap_or(&der).try_into().ok();
            key.ok_or_else(|| format!("key {} is not an Ed25519 public key (44 bytes as SPKI, or 32)", index + 1))
        };
        let keys: Vec<_> = keys.filter(|key| !key.is_empty()).enumerate().map(parse).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err("there is no key in it".to_owned()) } else { Ok(Self(keys)) }
    }
}

/// The bytes of a key in hex, with or without the SPKI structure: other lengths are left to base64,
/// which hex digits may be too.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    [64, 88]
        .contains(&digits.len())
        .then(|| digits.chunks(2).map(|byte| byte.iter().fold(0, |sum, digit| sum << 4 | digit)).collect())
}

/// Checks a marketplace webhook over the bytes that arrived. `X-GHL-Signature`, if present, alone
/// decides (G §8.3).
///
/// # Errors
/// Why it is not believed.
pub(super) fn verify<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    body: Vec<u8>,
    keys: &WebhookKeys,
) -> Result<VerifiedWebhook, Refusal> {
    // `N/A` has been seen for a header that is not there (G §8.2).
    let present = |name| header(name).map(str::trim).filter(|value| !value.is_empty() && *value != "N/A");
    let Some(signature) = present("x-ghl-signature") else {
        return Err(if present("x-wh-signature").is_some() { Refusal::Retired } else { Refusal::Unsigned });
    };
    let signature = STANDARD.decode(signature).map_err(|_| Refusal::Malformed)?;
    if signature.len() != 64 {
        return Err(Refusal::Malformed);
    }
    let fits = |key: &[u8; 32]| UnparsedPublicKey::new(&ED25519, key).verify(&body, &signature).is_ok();
    if !keys.0.iter().any(fits) {
        return Err(Refusal::Wrong);
    }
    Ok(VerifiedWebhook { body, delivery: None, sent_at: None })
}

/// What a workflow webhook has to know (G §9: HighLevel does not sign those).
#[derive(Debug, Clone, Default)]
pub struct WorkflowSecrets {
    /// Shared token, in `X-Workflow-Token`.
    pub token: Option<Secret>,
    /// HMAC key of a relay that can sign.
    pub secret: Option<WorkflowKey>,
}

/// The key of a relay that signs by the Standard Webhooks specification.
#[derive(Clone)]
pub struct WorkflowKey {
    key: Vec<u8>,
    /// Read as base64 although it has no `whsec_` before it, as the standard's own libraries do:
    /// worth a word at start.
    pub is_bare_base64: bool,
}

impl std::fmt::Debug for WorkflowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorkflowKey")
    }
}

impl WorkflowKey {
    /// `whsec_` and base64, or base64 alone: the standard's libraries decode both. Text without
    /// `whsec_` that is no base64 is used as the key itself.
    ///
    /// # Errors
    /// What follows `whsec_` is no base64.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (base64, has_prefix) = match text.strip_prefix("whsec_") {
            Some(base64) => (base64, true),
            None => (text, false),
        };
        match (BASE64.decode(base64), has_prefix) {
            (Ok(key), _) => Ok(Self { key, is_bare_base64: !has_prefix }),
            (Err(_), false) => Ok(Self { key: text.as_bytes().to_vec(), is_bare_base64: false }),
            (Err(_), true) => {
                Err("what follows `whsec_` is not base64; copy it again, or write a text without `whsec_`".to_owned())
            }
        }
    }
}

/// Checks a workflow webhook: Standard Webhooks headers if they are there, else the token.
///
/// # Errors
/// Why it is not believed.
pub(super) fn verify_workflow<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    body: Vec<u8>,
    secrets: &WorkflowSecrets,
) -> Result<VerifiedWebhook, Refusal> {
    if secrets.token.is_none() && secrets.secret.is_none() {
        return Err(Refusal::WorkflowOff);
    }
    match (header("webhook-signature"), &secrets.secret, header("x-workflow-token"), &secrets.token) {
        (Some(signatures), Some(secret), _, _) => {
            let id = header("webhook-id");
            let at = header("webhook-timestamp");
            let (id, at) = id.zip(at).ok_or(Refusal::WorkflowUnsigned)?;
            let mac = mac(&secret.key, &[id.as_bytes(), b".", at.as_bytes(), b".", &body]);
            let fits = |signature: &str| {
                let tag = signature.strip_prefix("v1,").and_then(|tag| STANDARD.decode(tag).ok());
                tag.is_some_and(|tag| mac.clone().verify_slice(&tag).is_ok())
            };
            if !signatures.split_whitespace().any(fits) {
                return Err(Refusal::WorkflowWrong);
            }
            let sent_at = at.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            let sent_at = Some(sent_at.ok_or(Refusal::WorkflowTime)?);
            Ok(VerifiedWebhook { body, delivery: Some(id.to_owned()), sent_at })
        }
        (_, _, Some(given), Some(token)) => {
            // Digests all have the same length, so the time of the comparison does not reveal the
            // token's length.
            let given = Sha256::digest(given);
            let token = Sha256::digest(token.expose_secret());
            if !bool::from(given.as_slice().ct_eq(token.as_slice())) {
                return Err(Refusal::WorkflowWrong);
            }
            Ok(VerifiedWebhook { body, delivery: None, sent_at: None })
        }
        _ => Err(Refusal::WorkflowUnsigned),
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key will do");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of G §8.3.
    const KEY: &str = "MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
    const BODY: &str = r#"{"type":"ContactUpdate","locationId":"ve9EPM428h8vShlRW1KT","id":"nmFmQEsNgz6AVpgLVUJ0","firstName":"Zo\u00eb","dnd":false,"tags":[],"timestamp":"2026-09-01T10:00:00.000Z","webhookId":"0d9f1f6e-6c0a-4b7e-9b7e-3f0d8b0c2a11"}"#;
    const SIGNATURE: &str = "iKT1LVwCg2hEGkLyWYDqgxJ9ZYHxepzZgEmi/VxzLcABay+bF4Dh13btgsDwdkTX9UoVDn2Zp17chmNbs3nEBQ==";

    fn check(headers: &[(&str, &str)], body: &str, keys: &str) -> Result<(), Refusal> {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        verify(header, body.as_bytes().to_vec(), &WebhookKeys::parse(keys).expect("keys")).map(drop)
    }

    #[test]
    fn the_contract_books_vector() {
        assert_eq!(BODY.len(), 223);
        let signed = [("x-ghl-signature", SIGNATURE)];
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{KEY}\n-----END PUBLIC KEY-----\n");
        assert_eq!(check(&signed, BODY, KEY), Ok(()));
        assert_eq!(check(&signed, BODY, &pem), Ok(()));
        assert_eq!(check(&signed, BODY, &format!("{HIGHLEVEL},{KEY}")), Ok(()));
        assert_eq!(check(&signed, BODY, &format!("{pem}{pem}")), Ok(()));
        let hex = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        for key in [
            "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=".to_owned(),
            hex.to_owned(),
            hex.to_uppercase(),
            format!("302a300506032b6570032100{hex}"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\\r\\n"),
            format!("{HIGHLEVEL},{hex}"),
        ] {
            assert_eq!(check(&signed, BODY, &key), Ok(()), "{key}");
        }
        assert_eq!(check(&signed, BODY, HIGHLEVEL), Err(Refusal::Wrong));
        let reprinted = serde_json::from_str::<serde_json::Value>(BODY).expect("JSON").to_string();
        assert_eq!(check(&signed, &reprinted, KEY), Err(Refusal::Wrong));
        assert_eq!(check(&signed, &format!("{BODY} "), KEY), Err(Refusal::Wrong));
        assert_eq!(check(&signed, &BODY.replace("false", "fales"), KEY), Err(Refusal::Wrong));
    }

    #[test]
    fn headers_that_do_not_count() {
        let short = STANDARD.encode([0; 63]);
        for (headers, refusal) in [
            (vec![], Refusal::Unsigned),
            (vec![("x-ghl-signature", "N/A")], Refusal::Unsigned),
            (vec![("x-ghl-signature", "")], Refusal::Unsigned),
            (vec![("x-wh-signature", SIGNATURE)], Refusal::Retired),
            (vec![("x-ghl-signature", "N/A"), ("x-wh-signature", SIGNATURE)], Refusal::Retired),
            (vec![("x-ghl-signature", "not base64!")], Refusal::Malformed),
            (vec![("x-ghl-signature", &short)], Refusal::Malformed),
            (vec![("x-ghl-signature", &SIGNATURE.replace('/', "_"))], Refusal::Malformed),
            (vec![("x-ghl-signature", &STANDARD.encode([0; 64])), ("x-wh-signature", SIGNATURE)], Refusal::Wrong),
        ] {
            assert_eq!(check(&headers, BODY, KEY), Err(refusal), "{headers:?}");
        }
    }

    #[test]
    fn keys_that_are_none_are_named() {
        for (keys, complaint) in [
            ("", "no key"),
            ("%%%", "key 1 is neither base64 nor hex"),
            ("AAAA", "key 1 is not an Ed25519"),
            (&format!("{KEY},AAAA"), "key 2 is not an Ed25519"),
        ] {
            assert!(WebhookKeys::parse(keys).is_err_and(|error| error.contains(complaint)), "{keys:?}");
        }
    }

    #[test]
    fn workflow_webhooks_need_what_was_set() {
        let body = b"{}".to_vec();
        let token = WorkflowSecrets { token: Some("correct horse battery".into()), secret: None };
        // The example of the Standard Webhooks specification's own libraries.
        let secret =
            WorkflowSecrets { token: None, secret: WorkflowKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").ok() };
        let check = |secrets: &WorkflowSecrets, body: &[u8], headers: &[(&str, &str)]| {
            let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            verify_workflow(header, body.to_vec(), secrets).map(drop)
        };
        assert_eq!(check(&WorkflowSecrets::default(), &body, &[]), Err(Refusal::WorkflowOff));
        assert_eq!(check(&token, &body, &[]), Err(Refusal::WorkflowUnsigned));
        assert_eq!(check(&token, &body, &[("x-workflow-token", "wrong")]), Err(Refusal::WorkflowWrong));
        assert_eq!(check(&token, &body, &[("x-workflow-token", "correct horse battery")]), Ok(()));
        let signed = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ];
        assert_eq!(check(&secret, br#"{"test": 2432232314}"#, &signed), Ok(()));
        assert_eq!(check(&secret, br#"{"test": 2432232315}"#, &signed), Err(Refusal::WorkflowWrong));
        assert_eq!(check(&token, br#"{"test": 2432232314}"#, &signed), Err(Refusal::WorkflowUnsigned));
        // The standard's libraries decode a secret without its prefix as well.
        let bare = WorkflowKey::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        assert!(bare.is_bare_base64);
        let bare = WorkflowSecrets { token: None, secret: Some(bare) };
        assert_eq!(check(&bare, br#"{"test": 2432232314}"#, &signed), Ok(()));
        assert!(WorkflowKey::parse("whsec_no base64").is_err_and(|what| what.contains("not base64")));
        assert!(WorkflowKey::parse("correct horse battery").is_ok_and(|key| !key.is_bare_base64));
    }
}
