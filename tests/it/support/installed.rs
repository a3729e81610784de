//! A location that has been connected as real ones are: by an install and by Trafft credentials
//! that somebody entered.

use std::time::Duration;

use ghl_trafft_sync::clock::Clock;
use reqwest::Method;
use sandbox::Trafft;
use serde_json::{Value, json};

use super::browser::Browser;
use super::{Answer, World};

/// Everything that a sync can use.
pub const SCOPES: &[&str] = &[
    "contacts.readonly",
    "locations.readonly",
    "locations/customFields.readonly",
    "locations/tasks.readonly",
    "oauth.readonly",
    "oauth.write",
];

impl World {
    /// The sandbox's own location, installed by its admin, working.
    pub async fn installed(settings: &[(&str, &str)]) -> Self {
        let world = Self::app(settings).await;
        world.connect().await;
        world
    }

    /// The sandbox's own location is installed by its admin, and its Trafft account is entered.
    pub async fn connect(&self) {
        self.install().await;
        let entered = self.enter(&self.sandbox.ghl.location_id(), &self.sandbox.trafft, json!({})).await;
        assert_eq!(entered.code, 200, "{}", entered.json);
        self.idle().await;
        self.sandbox.ghl.take_events();
    }

    /// From here on it is about true programs, which live by the machine's clock.
    pub fn come_to_the_present(&self) {
        let ahead = Clock::system().now().duration_since(self.clock.now());
        self.advance(Duration::try_from(ahead).expect("the worlds of tests are in the past"));
    }

    /// With a client secret that HighLevel does not know, and a code of an install that has begun.
    pub async fn with_another_secret() -> (Self, String) {
        let mut world = Self::app(&[]).await;
        world.forgiving = true;
        let code = world.sandbox.ghl.install_location(&world.sandbox.ghl.location_id(), SCOPES);
        world.stop().await;
        world.set("GHL_CLIENT_SECRET", "another-secret");
        world.start().await;
        (world, code)
    }

    /// An admin installs the app in the sandbox's own location, starting from the marketplace.
    pub async fn install(&self) {
        let code = self.sandbox.ghl.install_location(&self.sandbox.ghl.location_id(), SCOPES);
        let done = Browser::signed_in(self).await.submit("/oauth/callback", &[("code", &code)]).await;
        assert_eq!(done.code, 303, "{done:?}");
    }

    /// An agency's admin installs it for these locations.
    pub async fn install_agency(&self, locations: &[&str]) {
        for id in locations {
            self.sandbox.ghl.add_company_location(id, "Studio", "America/New_York", "US");
        }
        let code = self.sandbox.ghl.install_company(locations, true, SCOPES);
        let done = Browser::signed_in(self).await.submit("/oauth/callback", &[("code", &code)]).await;
        assert_eq!(done.code, 303, "{done:?}");
        self.sandbox.ghl.take_events();
    }

    /// Somebody enters a location's Trafft account.
    pub async fn enter(&self, location: &str, trafft: &Trafft, options: Value) -> Answer {
        let body = json!({
            "trafft_api_url": trafft.url(), "trafft_client_id": trafft.client_id(),
            "trafft_client_secret": trafft.client_secret(), "options": options,
        });
        self.admin(Method::PUT, &format!("/api/v1/connections/{location}"), Some(body)).await
    }

    /// A new contact of that location, its event delivered: the status.
    pub async fn contact_in(&self, location: &str) -> Answer {
        self.sandbox.ghl.take_events();
        self.sandbox.ghl.seed_contacts(location, 1, true);
        self.deliver_all().await
    }

    /// How a location's install stands.
    pub async fn install_of(&self, location: &str) -> Value {
        self.get(&format!("/api/v1/connections/{location}")).await.json["install"].clone()
    }
}
