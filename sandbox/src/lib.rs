//! A GoHighLevel and a Trafft to run locally, in memory, as unpleasant as the real ones are said to
//! be.
//!
//! They know nothing of the service that talks to them. What they answer comes from the books in
//! `docs/vendors/`, cited as `G §` and `T §`; whatever a correct client would never do is answered
//! as the books say *and* kept as a complaint.
//!
//! [`Ghl`] and [`Trafft`] are the handles: what people do at the screens, what went over the wire
//! ([`Journal`]), what goes wrong next ([`Faults`]). All of them live by one [`Clock`] that a test
//! may move by hand.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::AbortHandle;

mod clock;
mod control;
mod faults;
mod front;
pub mod ghl;
mod journal;
mod ordered;
mod raw;
mod socket;
pub mod trafft;

pub use clock::Clock;
pub use faults::{Fault, Faults, Matcher, Rates};
pub use ghl::{Event, Ghl};
pub use journal::{Class, Entry, Journal, KEPT};
pub use raw::Raw;
pub use trafft::{Customer, Trafft};

/// Where to listen, and by which clock to live.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the GoHighLevel; loopback only.
    pub ghl: SocketAddr,
    /// Address of the Trafft; loopback only.
    pub trafft: SocketAddr,
    /// The time of both.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { ghl: any, trafft: any, clock: Clock::system() }
    }
}

/// Both services, and whatever Trafft accounts were added, served until this is dropped.
pub struct Sandbox {
    /// The GoHighLevel.
    pub ghl: Ghl,
    /// The Trafft.
    pub trafft: Trafft,
    /// Their time.
    pub clock: Clock,
    serving: Serving,
}

struct Serving {
    servers: Vec<front::Serving>,
    deliveries: AbortHandle,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.deliveries.abort();
    }
}

impl Sandbox {
    /// Binds both addresses and serves.
    ///
    /// # Errors
    /// When an address cannot be had, or is not a loopback address.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let (ghl_listener, ghl_url) = front::bind(options.ghl).await?;
        let (trafft_listener, trafft_url) = front::bind(options.trafft).await?;
        let ghl = Ghl::new(ghl_url, options.clock.clone())?;
        let trafft = Trafft::new(trafft_url, options.clock.clone());
        let serving = Serving {
            servers: vec![
                front::serve(ghl_listener, Arc::clone(&ghl.0) as Arc<dyn front::Vendor>),
                front::serve(trafft_listener, Arc::clone(&trafft.0) as Arc<dyn front::Vendor>),
            ],
            deliveries: ghl.deliveries_run(),
        };
        Ok(Self { ghl, trafft, clock: options.clock, serving })
    }

    /// One more Trafft account, on a port of its own, living by the same clock.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub async fn add_trafft(&mut self) -> std::io::Result<Trafft> {
        let (listener, url) = front::bind(Options::default().trafft).await?;
        let trafft = Trafft::new(url, self.clock.clone());
        self.serving.servers.push(front::serve(listener, Arc::clone(&trafft.0) as Arc<dyn front::Vendor>));
        Ok(trafft)
    }

    /// The environment of a service that is installed like a marketplace app: no location, no
    /// token, no Trafft.
    pub fn oauth_settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("GHL_API_URL", self.ghl.url()),
            ("GHL_CLIENT_ID", self.ghl.client_id()),
            ("GHL_CLIENT_SECRET", self.ghl.client_secret()),
            ("GHL_CHOOSER_URL", self.ghl.chooser_url()),
            ("GHL_WEBHOOK_PUBLIC_KEYS", self.ghl.public_key()),
        ]
    }

    /// The environment that points a service at these two.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("GHL_API_URL", self.ghl.url()),
            ("GHL_LOCATION_ID", self.ghl.location_id()),
            ("GHL_ACCESS_TOKEN", self.ghl.token()),
            ("GHL_APP_ID", self.ghl.app_id()),
            ("GHL_WEBHOOK_PUBLIC_KEYS", self.ghl.public_key()),
            ("TRAFFT_API_URL", self.trafft.url()),
            ("TRAFFT_CLIENT_ID", self.trafft.client_id()),
            ("TRAFFT_CLIENT_SECRET", self.trafft.client_secret()),
        ]
    }
}
