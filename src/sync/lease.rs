//! For how long this process may act as the owner of a location.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::store;

/// A write that is sent just before the end must have a chance to arrive before it.
const MARGIN: Duration = Duration::from_secs(1);

/// Runs out by itself unless heartbeats renew it. Cheap to clone. Each owner has its own: what one
/// has begun is not sent any more once another process was the owner in between, even if this
/// process has the location again.
///
/// Counted from before a heartbeat was sent, by a clock that nobody sets: whatever the network and
/// the hosts' clocks do, it ends here before it ends in the database.
#[derive(Debug, Clone, Default)]
pub struct Lease(Arc<Mutex<Option<Instant>>>);

impl Lease {
    /// `None`: it has ended.
    pub(super) fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// To be asked before every write to Trafft.
    ///
    /// # Errors
    /// [`store::Error::NotOwner`]: it has run out, and another process may be the owner by now.
    pub(super) fn check(&self) -> Result<(), store::Error> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) if Instant::now() + MARGIN < until => Ok(()),
            _ => Err(store::Error::NotOwner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_time_only_as_long_as_it_was_renewed_for() {
        let lease = Lease::default();
        assert!(lease.check().is_err(), "before the first heartbeat");
        lease.set(Some(Instant::now() + Duration::from_mins(1)));
        assert!(lease.check().is_ok());
        lease.set(Some(Instant::now() + MARGIN / 2));
        assert!(lease.check().is_err(), "within the margin");
    }
}
