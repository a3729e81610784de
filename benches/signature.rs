//! Which Ed25519 crate verifies fastest here? Prints the median time of one verification and its
//! ratio to the fastest.
//!
//! Run: `cargo bench --bench signature`

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

/// A contact event is about a kilobyte.
const BODY: [u8; 1024] = [b'x'; 1024];
const ROUNDS: usize = 15;
const VERIFICATIONS: u32 = 1_000;

fn main() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let (key, signature) = (pair.public_key().as_ref().to_vec(), pair.sign(&BODY));
    let signature = signature.as_ref();
    let aws = || {
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, &key);
        key.verify(&BODY, signature).is_ok()
    };
    let ring =
        || ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &key).verify(&BODY, signature).is_ok();
    let dalek = || {
        let key = ed25519_dalek::VerifyingKey::from_bytes(key.as_slice().try_into().unwrap()).unwrap();
        key.verify_strict(&BODY, &ed25519_dalek::Signature::from_slice(signature).unwrap()).is_ok()
    };
    let crates: [(&str, &dyn Fn() -> bool); 3] = [("aws-lc-rs", &aws), ("ed25519-dalek", &dalek), ("ring", &ring)];
    // Round by round, so that whatever else the machine does meets all three alike.
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for ((_, verify), times) in crates.iter().zip(&mut times) {
            let start = Instant::now();
            assert!((0..VERIFICATIONS).all(|_| black_box(verify())));
            times.push(start.elapsed() / VERIFICATIONS);
        }
    }
    let medians = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    let fastest = medians.iter().min().unwrap().as_secs_f64();
    for ((name, _), median) in crates.iter().zip(medians) {
        println!(
            "{name:15} {:6.1} µs   {:.2} × the fastest",
            median.as_secs_f64() * 1e6,
            median.as_secs_f64() / fastest
        );
    }
}
