//! Watches a running service from inside its process: tests use it to wait.

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::model::LocationId;
use crate::store::{self, ConnectionView, InstallStatus, Store};
use crate::sync::{LocationProgress, Progress};

/// Watches a running service from inside the process.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) locations: Vec<LocationId>,
    pub(super) progress: watch::Receiver<Progress>,
}

impl Handle {
    /// Waits until nothing is being worked and nothing is due; tells when something will be.
    ///
    /// # Errors
    /// The store's.
    pub async fn idle(&mut self) -> Result<Option<Timestamp>, store::Error> {
        loop {
            let progress = self.progress.borrow_and_update().clone();
            if let Some(next) = self.rests(&progress).await? {
                return Ok(next);
            }
            if self.progress.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// When something will be due, if every location is at rest.
    async fn rests(&self, progress: &Progress) -> Result<Option<Option<Timestamp>>, store::Error> {
        let now = self.clock.now();
        let mut next = Vec::new();
        let revisions = self.store.revisions().await?;
        for location in &self.worked().await? {
            // An owner of an earlier revision is about to end, and another begins.
            let is_current = |at: &LocationProgress| {
                revisions.get(location.as_str()).is_none_or(|revision| *revision == at.revision)
            };
            let Some(at) = progress.of(location).filter(is_current) else { return Ok(None) };
            // A contact that was marked but not yet taken shows in the store, not in the progress.
            let waits = at.held_back && at.next.is_some_and(|next| next > now);
            if at.in_flight > 0 || !waits && self.store.due_now(location, now).await? > 0 {
                return Ok(None);
            }
            next.extend(if waits { at.next } else { self.store.next_due(location, now).await? });
        }
        Ok(Some(next.into_iter().min()))
    }

    /// The locations that should have an owner.
    async fn worked(&self) -> Result<Vec<LocationId>, store::Error> {
        let is_worked = |one: &ConnectionView| {
            let installed = one.entered && one.install == Some(InstallStatus::Active);
            !one.paused && (installed || self.locations.iter().any(|known| known.as_str() == one.location_id))
        };
        let all = self.store.connections().await?;
        Ok(all.iter().filter(|one| is_worked(one)).filter_map(|one| one.location_id.parse().ok()).collect())
    }

    /// The store, to look into.
    pub fn store(&self) -> &Store {
        &self.store
    }
}
