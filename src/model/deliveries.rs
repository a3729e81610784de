//! How HighLevel's deliveries are answered, and what it makes of that.

/// First deliveries of signed webhooks. Repeats are among neither, as far as a process recognises
/// them: HighLevel's rule speaks of webhooks (G §8.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Answered 2xx.
    pub accepted: i64,
    /// Answered otherwise.
    pub refused: i64,
}

/// HighLevel leaves a URL alone that accepts at least 90 % (G §8.6). Whether it counts repeats is
/// not known, and it also counts deliveries that never reached us: so we warn earlier.
const ENOUGH: f64 = 0.95;
/// With fewer, a share says little, and HighLevel leaves the URL alone: it looks at those with more
/// than 10,000 (G §8.6).
const MANY: i64 = 1000;

impl Deliveries {
    /// The share that was accepted, from 0 to 1; none: there were no deliveries.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
    pub fn share(self) -> Option<f64> {
        let all = self.accepted + self.refused;
        (all > 0).then(|| self.accepted as f64 / all as f64)
    }

    /// So few are accepted that HighLevel may switch the URL off.
    pub fn are_too_few(self) -> bool {
        self.accepted + self.refused >= MANY && self.share().is_some_and(|share| share < ENOUGH)
    }
}
