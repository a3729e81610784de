//! Webhook signatures by test keys of the sandbox's own (G §8.2, §8.3). A service is pointed at
//! these keys by its settings.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The seed of the test vector in G §8.3: the bytes 00 to 1f. Everybody knows it; it signs nothing
/// but tests.
pub const TEST_SEED: [u8; 32] = {
    let mut seed = [0_u8; 32];
    let mut at = 0;
    while at < 32 {
        #[expect(clippy::cast_possible_truncation, reason = "below 32")]
        let byte = at as u8;
        seed[at] = byte;
        at += 1;
    }
    seed
};

/// PKCS#8 of a 4096-bit RSA key made for this sandbox alone, so that legacy signatures have their
/// true 512 bytes.
const LEGACY_KEY: &str = include_str!("../../fixtures/ghl/legacy-test-key.b64");

/// What stands before the 32 bytes of an Ed25519 key in SPKI form.
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Both keys.
pub(crate) struct Signer {
    current: Ed25519KeyPair,
    legacy: RsaKeyPair,
}

impl Signer {
    pub(crate) fn new() -> std::io::Result<Self> {
        let bad = |what: &str| std::io::Error::other(format!("sandbox test key: {what}"));
        let text: String = LEGACY_KEY.split_whitespace().collect();
        let der = STANDARD.decode(text).map_err(|_| bad("not base64"))?;
        Ok(Self {
            current: Ed25519KeyPair::from_seed_unchecked(&TEST_SEED).map_err(|_| bad("seed"))?,
            legacy: RsaKeyPair::from_pkcs8(&der).map_err(|_| bad("RSA"))?,
        })
    }

    /// SPKI, base64.
    pub(crate) fn public_key(&self) -> String {
        let mut der = SPKI_HEAD.to_vec();
        der.extend_from_slice(self.current.public_key().as_ref());
        STANDARD.encode(der)
    }

    pub(crate) fn legacy_public_key(&self) -> String {
        AsDer::<PublicKeyX509Der<'_>>::as_der(self.legacy.public_key())
            .map(|der| STANDARD.encode(der.as_ref()))
            .unwrap_or_default()
    }

    pub(crate) fn sign(&self, body: &[u8]) -> String {
        STANDARD.encode(self.current.sign(body))
    }

    pub(crate) fn sign_legacy(&self, body: &[u8]) -> String {
        let mut signature = vec![0; self.legacy.public_modulus_len()];
        // Signing with a good key and a buffer of the right length does not fail.
        let _ = self.legacy.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body, &mut signature);
        STANDARD.encode(signature)
    }
}
