//! Secrets at rest: sealed with AES-256-GCM before they reach the database.
//!
//! A sealed record is `1.<key id>.<base64 of nonce, ciphertext and tag>`. What it belongs to is
//! authenticated with it, so a record that was copied to another row does not open there.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::{Error, HOW, Result};
use crate::model::Secret;

/// The keys that seal and open: the first one seals, all of them open. Cheap to clone.
#[derive(Clone, Default)]
pub struct Keys(Arc<[Key]>);

struct Key {
    id: String,
    key: RandomizedNonceKey,
}

impl Keys {
    /// Keys of 32 bytes each, in hex or base64, separated by commas.
    ///
    /// # Errors
    /// What is wrong with which of them; never the key.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty()).enumerate();
        let parse = |(index, text): (usize, &str)| {
            let bytes = hex(text).or_else(|| STANDARD.decode(text).ok()).filter(|bytes| bytes.len() == 32);
            let made = bytes.and_then(|bytes| {
                let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()?;
                let id = digest(&SHA256, &bytes).as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
                Some(Key { id, key })
            });
            made.ok_or_else(|| format!("key {} is not 32 bytes in hex or base64: {HOW}", index + 1))
        };
        let keys = texts.map(parse).collect::<std::result::Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(format!("there is no key in it: {HOW}")) } else { Ok(Self(keys.into())) }
    }

    /// Is there any?
    pub fn are_there(&self) -> bool {
        !self.0.is_empty()
    }

    pub(super) fn seal(&self, owner: &str, secret: &str) -> Result<String> {
        let Some(Key { id, key }) = self.0.first() else { return Err(Error::NoKey) };
        let mut sealed = secret.as_bytes().to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(owner), &mut sealed).map_err(|_| Error::NoKey)?;
        let whole = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(format!("1.{id}.{}", STANDARD.encode(whole)))
    }

    pub(super) fn open(&self, owner: &str, record: &str) -> Result<Secret> {
        let corrupt = || Error::Corrupt(format!("a sealed record of {owner} that does not open"));
        let mut parts = record.split('.').skip(1);
        let (id, text) = parts.next().zip(parts.next()).ok_or_else(corrupt)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| Error::KeyMissing { id: id.to_owned() })?;
        let mut whole = STANDARD.decode(text).ok().filter(|whole| whole.len() > NONCE_LEN).ok_or_else(corrupt)?;
        let (nonce, sealed) = whole.split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| corrupt())?;
        let opened = key.key.open_in_place(nonce, Aad::from(owner), sealed).map_err(|_| corrupt())?;
        Ok(std::str::from_utf8(opened).map_err(|_| corrupt())?.into())
    }

    /// Could it be opened, as far as its key is concerned?
    pub(super) fn knows(&self, record: &str) -> Result<()> {
        match record.split('.').nth(1) {
            _ if !self.are_there() => Err(Error::NoKey),
            Some(id) if !self.0.iter().any(|key| key.id == id) => Err(Error::KeyMissing { id: id.to_owned() }),
            _ => Ok(()),
        }
    }

    /// Was it sealed by a key that is not the first one any more?
    pub(super) fn is_old(&self, record: &str) -> bool {
        self.0.first().is_none_or(|first| record.split('.').nth(1) != Some(&first.id))
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    digits.then(|| (0..text.len()).step_by(2).map(byte).collect()).flatten()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn key(byte: &str) -> String {
        byte.repeat(32)
    }

    #[test]
    fn what_is_sealed_opens_for_its_owner_alone() {
        let keys = Keys::parse(&key("ab")).unwrap();
        let sealed = keys.seal("location a", "pit-hush").unwrap();
        assert!(!sealed.contains("hush") && sealed != keys.seal("location a", "pit-hush").unwrap());
        assert_eq!(keys.open("location a", &sealed).unwrap().expose_secret(), "pit-hush");
        assert!(matches!(keys.open("location b", &sealed), Err(Error::Corrupt(_))), "moved to another row");
        let (head, last) = sealed.split_at(sealed.len() - 4);
        let other = if last == "AAA=" { "BBB=" } else { "AAA=" };
        assert!(keys.open("location a", &format!("{head}{other}")).is_err(), "changed");
        for broken in ["", "1", "1.x", "1.x.y", "1..", "1.", "..."] {
            assert!(keys.open("location a", broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn several_keys_open_and_the_first_one_seals() {
        let (old, new) = (key("ab"), STANDARD.encode([7; 32]));
        let sealed = Keys::parse(&old).unwrap().seal("x", "hush").unwrap();
        let both = Keys::parse(&format!("{new}, {old}")).unwrap();
        assert!(both.is_old(&sealed) && both.open("x", &sealed).is_ok());
        let again = both.seal("x", "hush").unwrap();
        assert!(!both.is_old(&again) && Keys::parse(&new).unwrap().open("x", &again).is_ok());
        assert!(matches!(Keys::parse(&new).unwrap().open("x", &sealed), Err(Error::KeyMissing { .. })));
        assert!(matches!(Keys::default().seal("x", "hush"), Err(Error::NoKey)));
    }

    #[test]
    fn keys_that_are_none_are_counted_and_not_repeated() {
        for (text, complaint) in [("", "no key"), ("abcd", "key 1"), (&format!("{},short", key("ab")), "key 2")] {
            let told = Keys::parse(text).unwrap_err();
            assert!(told.contains(complaint) && told.contains("openssl rand -hex 32") && !told.contains("short"));
        }
        assert!(!format!("{:?}", Keys::parse(&key("ab")).unwrap()).contains("abab"));
    }
}
