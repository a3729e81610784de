//! The app is installed through a browser, in one location or for an agency, and its first contact
//! is synced.

use std::time::Duration;

use serde_json::json;

use crate::support::World;
use crate::support::browser::Browser;

const SCOPES: &[&str] =
    &["contacts.readonly", "locations.readonly", "locations/customFields.readonly", "oauth.readonly", "oauth.write"];

/// Installs the app in the sandbox's own location, as its admin does at HighLevel's chooser; where
/// the browser is sent then.
async fn choose(world: &World, browser: &mut Browser) -> String {
    let chooser = browser.open("/oauth/install").await;
    assert_eq!(chooser.code, 303, "{chooser:?}");
    assert!(
        chooser.to.starts_with(&world.sandbox.ghl.chooser_url()) && chooser.to.contains("state="),
        "{}",
        chooser.to
    );
    let page = browser.open(&chooser.to).await;
    assert_eq!(page.code, 200, "{page:?}");
    let back = approve(world, browser, &page.text, &[("location", &world.sandbox.ghl.location_id())]).await;
    assert!(back.contains("/oauth/callback?") && back.contains("code="), "{back}");
    back
}

/// Sends the chooser's first form, the one for a location, hidden fields and all.
async fn approve(world: &World, browser: &mut Browser, page: &str, chosen: &[(&str, &str)]) -> String {
    let page = page.split("</form>").next().unwrap();
    let hidden: Vec<(String, String)> = page
        .split("<input")
        .skip(1)
        .filter_map(|input| {
            let input = input.split('>').next()?;
            let attribute = |name: &str| Some(input.split(&format!("{name}=\"")).nth(1)?.split('"').next()?.to_owned());
            (attribute("type")? == "hidden")
                .then(|| Some((attribute("name")?, attribute("value")?.replace("&amp;", "&"))))?
        })
        .collect();
    let action = page.split("action=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut fields: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.extend(chosen);
    let answer = browser.submit(&format!("{}{action}", world.sandbox.ghl.url()), &fields).await;
    assert_eq!(answer.code, 302, "{answer:?}");
    answer.to
}

async fn enter(world: &World, browser: &mut Browser, location: &str, trafft: &sandbox::Trafft) {
    let (url, id, secret) = (trafft.url(), trafft.client_id(), trafft.client_secret());
    let fields = [("url", url.as_str()), ("client_id", id.as_str()), ("client_secret", secret.as_str())];
    let page = browser.submit(&format!("/connections/{location}"), &fields).await;
    assert_eq!((page.code.as_u16(), page.to.contains("notice=entered")), (303, true), "{page:?}");
    world.idle().await;
}

/// A new contact of that location, its event delivered: the status.
async fn first_contact(world: &World, location: &str) -> String {
    world.sandbox.ghl.take_events();
    world.sandbox.ghl.seed_contacts(location, 1, true);
    world.deliver_all().await.status().to_owned()
}

#[tokio::test]
async fn from_install_to_the_first_contact() {
    let world = World::app(&[]).await;
    let location = world.sandbox.ghl.location_id();
    let mut browser = Browser::signed_in(&world).await;
    let back = choose(&world, &mut browser).await;
    let connected = browser.open(&back).await;
    assert_eq!(
        (connected.code.as_u16(), connected.to.as_str()),
        (303, format!("/connections/{location}?notice=installed").as_str())
    );
    let page = browser.open(&connected.to).await;
    assert!(
        page.text.contains("waits for its Trafft account") && page.text.contains("contacts.readonly"),
        "{}",
        page.text
    );
    // An event that comes before the last step waits for it.
    assert_eq!(first_contact(&world, &location).await, "parked");
    let trafft = world.sandbox.trafft.clone();
    let wrong = [("url", trafft.url()), ("client_id", trafft.client_id()), ("client_secret", "wrong".to_owned())];
    let wrong = wrong.each_ref().map(|(name, value)| (*name, value.as_str()));
    let page = browser.submit(&format!("/connections/{location}"), &wrong).await;
    assert_eq!(page.code, 400);
    assert!(
        page.text.contains("copy client id and client secret again") && page.text.contains(&trafft.client_id()),
        "{}",
        page.text
    );
    assert!(!page.text.contains("\"wrong\""), "a secret is shown again");
    world.sandbox.trafft.forgive();
    enter(&world, &mut browser, &location, &trafft).await;
    let page = browser.open(&format!("/connections/{location}")).await;
    assert!(page.text.contains("working") && page.text.contains("Studio North"), "{}", page.text);
    assert_eq!(first_contact(&world, &location).await, "synced");
    world.drain().await;
    let customers = world.sandbox.trafft.customers();
    let emails: Vec<_> = customers.iter().filter_map(|customer| customer.email.as_deref()).collect();
    assert_eq!(emails.len(), 2, "the parked event was released: {emails:?}");
}

#[tokio::test]
async fn an_agency_brings_its_locations_now_and_later() {
    let mut world = World::app(&[]).await;
    let ghl = world.sandbox.ghl.clone();
    let locations = ["agencyLocation00001", "agencyLocation00002", "agencyLocation00003"];
    for id in locations {
        ghl.add_company_location(id, &format!("Studio {id}"), "America/New_York", "US");
    }
    let code = ghl.install_company(&locations, true, SCOPES);
    let mut browser = Browser::signed_in(&world).await;
    let confirm = browser.open(&format!("/oauth/callback?code={code}")).await;
    assert!(confirm.text.contains("Connect this install?"), "{}", confirm.text);
    let done = browser.submit("/oauth/callback", &[("code", &code)]).await;
    assert_eq!((done.code.as_u16(), done.to.as_str()), (303, "/?notice=agency"));
    for event in ghl.take_events() {
        assert_eq!(world.deliver(&event).await.code, 200);
    }
    let listed = world.get("/api/v1/connections").await.json;
    assert_eq!(listed["connections"].as_array().unwrap().len(), 3, "{listed}");
    // Later another one is added by the agency: it appears by itself.
    ghl.add_company_location("agencyLocation00004", "Studio Four", "America/New_York", "US");
    assert_eq!(world.deliver_all().await.status(), "applied");
    let all: Vec<_> = locations.into_iter().chain(["agencyLocation00004"]).collect();
    let listed = world.get("/api/v1/connections").await.json;
    assert_eq!(listed["connections"].as_array().unwrap().len(), 4, "{listed}");
    for location in all {
        let trafft = world.sandbox.add_trafft().await.unwrap();
        enter(&world, &mut browser, location, &trafft).await;
        assert_eq!(first_contact(&world, location).await, "synced");
        assert_eq!(trafft.customers().len(), 1);
    }
    assert_eq!(ghl.location_token_calls(), 4, "one token for each location");
}

#[tokio::test]
async fn an_install_that_was_not_begun_here_needs_a_word() {
    let world = World::app(&[]).await;
    let ghl = world.sandbox.ghl.clone();
    let code = ghl.install_location(&ghl.location_id(), SCOPES);
    let mut stranger = Browser::new(&world);
    let page = stranger.open(&format!("/oauth/callback?code={code}")).await;
    assert!(page.to.starts_with("/login?next="), "{page:?}");
    let page = stranger.submit("/oauth/callback", &[("code", &code)]).await;
    assert!(page.to.starts_with("/login"), "{page:?}");
    let mut browser = Browser::signed_in(&world).await;
    let page = browser.open(&format!("/oauth/callback?code={code}&state=made-up")).await;
    assert_eq!(page.code, 400);
    assert!(page.text.contains("not begun in this browser"), "{}", page.text);
    assert_eq!(world.get("/api/v1/connections").await.json["connections"], json!([]));
    // Another browser's state does not help either.
    let theirs = Browser::signed_in(&world).await.open("/oauth/install").await.to;
    let state = theirs.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let page = browser.open(&format!("/oauth/callback?code={code}&state={state}")).await;
    assert_eq!(page.code, 400);
    let page = browser.open("/oauth/callback?error=access_denied").await;
    assert!(page.code == 400 && page.text.contains("no code"), "{page:?}");
    let page = browser.submit("/oauth/callback", &[("code", &code)]).await;
    assert_eq!(page.code, 303);
    let page = browser.submit("/oauth/callback", &[("code", &code)]).await;
    assert!(page.code == 400 && page.text.contains("did not take the code"), "a code is good once: {page:?}");
}

/// What HighLevel refuses is told as what it is: the app's own keys, or the code.
#[tokio::test]
async fn a_wrong_client_secret_is_not_told_as_a_code_that_is_too_old() {
    let (mut world, code) = World::with_another_secret().await;
    let page = Browser::signed_in(&world).await.submit("/oauth/callback", &[("code", &code)]).await;
    assert!(page.code == 400 && page.text.contains("refuses the app itself"), "{page:?}");
    assert!(page.text.contains("GHL_CLIENT_SECRET") && !page.text.contains("another-secret"), "{page:?}");
    world.stop().await;
    world.set("GHL_CLIENT_SECRET", &world.sandbox.ghl.client_secret());
    world.start().await;
    let page = Browser::signed_in(&world).await.submit("/oauth/callback", &[("code", &code)]).await;
    assert_eq!(page.code, 303, "the code was not used up: {page:?}");
}

#[tokio::test]
async fn uninstalled_means_no_more_calls_and_a_return_finds_its_links() {
    let world = World::app(&[]).await;
    let ghl = world.sandbox.ghl.clone();
    let location = ghl.location_id();
    let mut browser = Browser::signed_in(&world).await;
    let back = choose(&world, &mut browser).await;
    browser.open(&back).await;
    enter(&world, &mut browser, &location, &world.sandbox.trafft.clone()).await;
    ghl.take_events();
    assert_eq!(first_contact(&world, &location).await, "synced");
    world.advance(Duration::from_secs(60));
    ghl.uninstall_location(&location);
    let told = ghl.take_events().pop().unwrap();
    assert_eq!(world.deliver(&told).await.status(), "applied");
    world.idle().await;
    let shown = world.get(&format!("/api/v1/connections/{location}")).await.json;
    assert_eq!(shown["install"], "uninstalled", "{shown}");
    world.forget_calls();
    world.rest(Duration::from_hours(30)).await;
    assert_eq!(world.sandbox.ghl.journal().entries().len(), 0, "nobody asks where it is not installed");
    // A login lasts for a day's work.
    let mut browser = Browser::signed_in(&world).await;
    let back = choose(&world, &mut browser).await;
    assert_eq!(browser.open(&back).await.code, 303);
    world.idle().await;
    // The old event comes once more, late: it is about the earlier install.
    let late = String::from_utf8(told.body.clone()).unwrap().replace("\"webhookId\":\"", "\"webhookId\":\"late-");
    assert_eq!(world.signed(late).await.status(), "ignored");
    ghl.take_events();
    ghl.edit_contact(&ghl.contact_ids()[0], json!({ "firstName": "Adele" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    assert_eq!(world.sandbox.trafft.customers().len(), 1, "the link was kept");
}

#[tokio::test]
async fn an_uninstall_without_a_time_is_believed_only_when_highlevel_says_the_same() {
    let world = World::installed(&[]).await;
    let ghl = world.sandbox.ghl.clone();
    let location = ghl.location_id();
    // It was sent for an earlier install, and carries nothing that would tell it from a new one.
    let event = world.event(json!({ "type": "UNINSTALL", "id": null, "timestamp": null, "webhookId": null }));
    for _ in 0..2 {
        let answer = world.tell(event.clone()).await;
        assert_eq!(answer.status(), "applied", "{}", answer.json);
        world.idle().await;
        assert_eq!(world.contact_in(&location).await.status(), "synced");
        assert_eq!(world.install_of(&location).await, "active");
    }
    ghl.uninstall_location(&location);
    ghl.take_events();
    assert_eq!(world.tell(event).await.status(), "applied");
    world.idle().await;
    assert_ne!(world.contact_in(&location).await.status(), "synced");
    world.idle().await;
    assert_eq!(world.install_of(&location).await, "lost", "HighLevel gives no tokens any more");
}

#[tokio::test]
async fn an_agency_that_goes_takes_only_what_it_brought() {
    let mut world = World::app(&[]).await;
    let ghl = world.sandbox.ghl.clone();
    world.connect().await;
    let (own, theirs) = (ghl.location_id(), "agencyLocation00001");
    world.install_agency(&[theirs]).await;
    let trafft = world.sandbox.add_trafft().await.unwrap();
    assert_eq!(world.enter(theirs, &trafft, json!({})).await.code, 200);
    world.advance(Duration::from_secs(60));
    // One more location, told by an event that does not name the agency, as those onto future
    // locations need not.
    let event =
        json!({ "type": "INSTALL", "id": null, "locationId": "agencyLocation00002", "installType": "Location" });
    assert_eq!(world.tell(world.event(event.clone())).await.status(), "applied");
    assert_eq!(world.install_of("agencyLocation00002").await, "active");
    world.advance(Duration::from_secs(60));
    let before = world.event(event);
    world.advance(Duration::from_secs(60));
    ghl.uninstall_company();
    assert_eq!(world.deliver_all().await.status(), "applied");
    let mut stand = Vec::new();
    for location in [own.as_str(), theirs, "agencyLocation00002"] {
        stand.push(world.install_of(location).await);
    }
    assert_eq!(stand, ["active", "uninstalled", "uninstalled"], "its own admin installed the first one");
    assert_eq!(world.signed(before).await.status(), "ignored", "told before, and come late");
    assert_eq!(world.install_of("agencyLocation00002").await, "uninstalled");
    assert_eq!(world.contact_in(&own).await.status(), "synced");
}
