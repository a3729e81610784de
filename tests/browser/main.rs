//! Setting the service up in a real browser, which really keeps cookies, sends forms, follows
//! redirects and holds policies.
//!
//! `SCREENSHOTS=folder cargo test --test browser -- --ignored` leaves a picture of each page.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, unreachable_pub, reason = "tests")]

mod chromium;
#[path = "../it/support/mod.rs"]
mod support;

use chromium::Chromium;
use sandbox::Trafft;
use support::{ADMIN, World};

const CONNECT: &str = "Connect a location or an agency";
const ENTERED: &str = "Trafft took the credentials";

/// To a browser, ports make no other site: HighLevel gets another name.
fn elsewhere(url: &str) -> String {
    url.replace("127.0.0.1", "localhost")
}

/// An app that nobody has installed yet, and a HighLevel that is another site, as it is in the
/// world outside.
async fn world() -> World {
    let mut world = World::app(&[]).await;
    world.stop().await;
    let chooser = elsewhere(&world.sandbox.ghl.chooser_url());
    world.set("GHL_CHOOSER_URL", &chooser);
    world.start().await;
    world
}

async fn log_in(browser: &Chromium, token: &str) {
    browser.sees("Admin token").await;
    browser.fill("Admin token", token).await;
    browser.press("Log in").await;
}

/// Fills the form on a location's page.
async fn enter(browser: &Chromium, trafft: &Trafft, secret: &str) {
    browser.fill("URL", &trafft.url()).await;
    browser.fill("Client id", &trafft.client_id()).await;
    browser.fill("Client secret", secret).await;
    browser.press("Test and save").await;
}

/// A new contact there, its event delivered.
async fn first_contact(world: &World, location: &str, trafft: &Trafft) {
    world.idle().await;
    world.sandbox.ghl.take_events();
    world.sandbox.ghl.seed_contacts(location, 1, true);
    let answer = world.deliver_all().await;
    assert_eq!(answer.status(), "synced", "{}", answer.json);
    assert_eq!(trafft.customers().len(), 1);
}

/// Nothing was blocked, nothing was missing. What we refuse on purpose, browsers complain of too.
async fn is_content(browser: &Chromium, refused: &[&str]) {
    let mut complaints = browser.complaints().await;
    complaints.retain(|complaint| !refused.iter().any(|status| complaint.contains(&format!("status of {status}"))));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
#[ignore = "needs Chromium; .ci/run installs it and runs this"]
async fn from_the_login_to_the_first_contact() {
    let world = world().await;
    let (location, trafft) = (world.sandbox.ghl.location_id(), world.sandbox.trafft.clone());
    let browser = Chromium::start().await;
    browser.open(&world.url("/")).await;
    browser.picture("login").await;
    log_in(&browser, "this is not the token").await;
    browser.sees("this is not the value of ADMIN_TOKEN").await;
    browser.picture("login-refused").await;
    log_in(&browser, ADMIN).await;
    browser.sees("No location is connected yet").await;
    browser.picture("home-empty").await;

    browser.press(CONNECT).await;
    browser.sees("Choose where to install the app").await;
    assert!(browser.url().await.starts_with(&elsewhere(&world.sandbox.ghl.url())), "HighLevel is another site");
    browser.picture("chooser").await;
    let choice = browser.field_beside("Install on this location", &location).await;
    browser.click(&choice).await;
    browser.press("Install on this location").await;
    browser.sees("The app is installed").await;
    assert_eq!(browser.url().await, world.url(&format!("/connections/{location}?notice=installed")));
    browser.picture("connection-installed").await;

    enter(&browser, &trafft, "wrong-secret").await;
    browser.sees("copy client id and client secret again").await;
    browser.picture("connection-refused").await;
    let kept = (browser.value("URL").await, browser.value("Client id").await, browser.value("Client secret").await);
    assert_eq!(kept, (trafft.url(), trafft.client_id(), String::new()), "what was typed stays, but for the secret");
    trafft.forgive();
    enter(&browser, &trafft, &trafft.client_secret()).await;
    browser.sees(ENTERED).await;
    browser.picture("connection-entered").await;

    first_contact(&world, &location, &trafft).await;
    browser.press("Test the connection").await;
    browser.sees("Trafft: get a token and read customers: works, 1 in all").await;
    assert!(!browser.text().await.unwrap().contains('✗'), "everything is as it must be");
    browser.picture("connection-tried").await;
    browser.press("Pause").await;
    browser.sees("what comes is stored, nothing is read or written").await;
    browser.press("Continue").await;
    browser.sees("It goes on").await;
    world.idle().await;
    browser.press("ghl-trafft-sync").await;
    browser.sees("working").await;
    browser.picture("home").await;
    is_content(&browser, &["400", "401"]).await;

    browser.press("Log out").await;
    browser.sees("Admin token").await;
    browser.open(&world.url(&format!("/connections/{location}"))).await;
    browser.sees("Admin token").await;
    log_in(&browser, ADMIN).await;
    browser.sees("working").await;
    is_content(&browser, &[]).await;
}

#[tokio::test]
#[ignore = "needs Chromium; .ci/run installs it and runs this"]
async fn an_agency_with_three_locations() {
    let mut world = world().await;
    let locations = ["agencyLocation00001", "agencyLocation00002", "agencyLocation00003"];
    for (location, name) in locations.iter().zip(["Studio East", "Studio West", "Studio Hill"]) {
        world.sandbox.ghl.add_company_location(location, name, "America/New_York", "US");
    }
    let browser = Chromium::start().await;
    // Whoever has to log in first is sent on to HighLevel all the same.
    browser.open(&world.url("/oauth/install")).await;
    log_in(&browser, ADMIN).await;
    browser.sees("Choose where to install the app").await;
    for location in locations {
        let choice = browser.field_beside("Install for the agency", location).await;
        browser.click(&choice).await;
    }
    browser.press("Install for the agency").await;
    browser.sees("The app is installed for the agency").await;
    for name in ["Studio East", "Studio West", "Studio Hill"] {
        browser.sees(name).await;
    }
    browser.picture("home-agency").await;
    for (location, name) in locations.iter().zip(["Studio East", "Studio West", "Studio Hill"]) {
        let trafft = world.sandbox.add_trafft().await.unwrap();
        browser.open(&world.url("/")).await;
        browser.press(name).await;
        browser.sees("waits for its Trafft account").await;
        enter(&browser, &trafft, &trafft.client_secret()).await;
        browser.sees(ENTERED).await;
        first_contact(&world, location, &trafft).await;
    }
    is_content(&browser, &[]).await;
}

#[tokio::test]
#[ignore = "needs Chromium; .ci/run installs it and runs this"]
async fn an_install_that_was_started_in_the_marketplace() {
    let world = world().await;
    let (location, trafft) = (world.sandbox.ghl.location_id(), world.sandbox.trafft.clone());
    let browser = Chromium::start().await;
    browser.open(&elsewhere(&format!("{}/_screens/marketplace", world.sandbox.ghl.url()))).await;
    let choice = browser.field_beside("Install on this location", &location).await;
    browser.click(&choice).await;
    browser.press("Install on this location").await;
    // Back here without a session, without a state: neither must lose the code.
    log_in(&browser, ADMIN).await;
    browser.sees("Connect this install?").await;
    browser.picture("confirm").await;
    assert!(world.get("/api/v1/connections").await.json["connections"].as_array().unwrap().is_empty(), "asked first");
    browser.press("Connect it").await;
    browser.sees("The app is installed").await;
    enter(&browser, &trafft, &trafft.client_secret()).await;
    browser.sees(ENTERED).await;
    first_contact(&world, &location, &trafft).await;
    browser.reload().await;
    browser.sees("working").await;
    is_content(&browser, &[]).await;
}
