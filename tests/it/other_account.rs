//! A location whose Trafft URL was changed in the settings: its links are another account's, so it
//! stands still and says so. The others go on.

use std::path::Path;

use reqwest::Method;
use sandbox::Trafft;
use serde_json::Value;

use crate::support::World;
use crate::support::command::run;
use crate::support::others::Others;
use crate::support::standing::{counted, read, rows};

const NOBODY: &[(&str, &str)] = &[("SYNC_INLINE_DEADLINE_MS", "0")];

/// What the location says of itself.
async fn stands(world: &World, location: &str) -> Vec<String> {
    let shown = world.get(&format!("/api/v1/connections/{location}")).await.json;
    let states = shown["states"].as_array().unwrap_or_else(|| panic!("{location} is not shown: {shown}"));
    let state = |one: &Value| one["state"].as_str().unwrap().to_owned();
    let apart = states.iter().find(|one| one["state"] == "other_account");
    if let Some(apart) = apart {
        let [_, sees, does] = rows().into_iter().find(|[name, ..]| name == "other_account").unwrap();
        let fits = |pattern: &str, key: &str| crate::support::desk::fits(pattern, apart[key].as_str().unwrap());
        assert!(fits(&sees, "found") && fits(&does, "fix"), "{apart}");
    }
    states.iter().map(state).collect()
}

/// How a new contact there ends.
async fn contact(world: &World, location: &str) -> String {
    world.sandbox.ghl.seed_contacts(location, 1, true);
    let event = world.deliver_all().await.event();
    world.idle().await;
    world.get(&format!("/api/v1/events/{event}")).await.json["status"].as_str().unwrap().to_owned()
}

/// The doctor tells it of the sandbox's own location; `service`: where one is running.
async fn doctor_tells(world: &World, service: Option<String>) {
    let mut settings = world.settings();
    settings.extend(service.map(|url| ("SERVICE_URL".to_owned(), url)));
    let said = run(&settings, &["doctor"]).await;
    let told = format!("FAIL  {}: state `other_account`: ", world.sandbox.ghl.location_id());
    assert!(said.code == 1 && said.out.matches(&told).count() == 1, "{said:?}");
}

fn asked(trafft: &Trafft) -> usize {
    trafft.journal().entries().len()
}

/// The sandbox's own location in the environment, two more in a file, all working.
async fn three() -> (World, Others, String) {
    let mut world = World::stopped(NOBODY).await;
    let file = world.path("connections.toml");
    let others = Others::beside(&world.sandbox, 2, Path::new(&file)).await;
    world.set("CONNECTIONS_FILE", &file);
    world.start().await;
    let home = world.sandbox.ghl.location_id();
    for location in others.locations.iter().chain([&home]) {
        assert_eq!(contact(&world, location).await, "synced");
        assert_eq!(stands(&world, location).await, ["working"]);
    }
    world.stop().await;
    (world, others, file)
}

#[tokio::test]
async fn it_alone_stands_still_and_goes_on_when_the_url_is_set_back() {
    let (mut world, others, _) = three().await;
    let home = world.sandbox.ghl.location_id();
    let (right, wrong) = (world.sandbox.trafft.clone(), world.sandbox.add_trafft().await.unwrap());
    world.forget_calls();
    world.set("TRAFFT_API_URL", &wrong.url());
    world.start().await;
    assert_eq!(stands(&world, &home).await, ["other_account"]);
    let waits = contact(&world, &home).await;
    for location in &others.locations {
        assert_eq!(contact(&world, location).await, "synced");
        assert_eq!(stands(&world, location).await, ["working"]);
    }
    world.rest(std::time::Duration::from_hours(3)).await;
    assert_eq!((waits.as_str(), asked(&right), asked(&wrong)), ("queued", 0, 0), "nothing is asked of either account");
    let told = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(told.contains("connections{state=\"other_account\"} 1"), "{told}");
    doctor_tells(&world, Some(world.url(""))).await;
    let mut browser = crate::support::browser::Browser::signed_in(&world).await;
    assert!(read(&browser.open("/").await.text).contains("the location's links belong to"));
    // Before the start, the doctor finds it in the database.
    world.stop().await;
    doctor_tells(&world, None).await;
    world.set("TRAFFT_API_URL", &right.url());
    world.start().await;
    world.drain().await;
    assert_eq!(
        (stands(&world, &home).await, right.customers().len()),
        (vec!["working".to_owned()], 2),
        "nothing is lost"
    );
}

#[tokio::test]
async fn its_links_can_be_forgotten_and_it_begins_anew_with_the_other_account() {
    let (mut world, others, file) = three().await;
    let (moved, wrong) = (&others.locations[0], world.sandbox.add_trafft().await.unwrap());
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen(&others.traffts[0].url(), &wrong.url(), 1)).unwrap();
    world.start().await;
    assert_eq!(stands(&world, moved).await, ["other_account"]);
    assert!(counted(&world).await.contains(&"other_account".to_owned()));
    let remove = async |location: &str| {
        world.admin(Method::DELETE, &format!("/api/v1/connections/{location}"), None).await.code.as_u16()
    };
    assert_eq!((remove(&others.locations[1]).await, remove(moved).await), (400, 204), "one that works stays");
    // Its client's id and secret are the other account's by now, too.
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replacen(&others.traffts[0].client_id(), &wrong.client_id(), 1);
    std::fs::write(&file, text.replacen(&others.traffts[0].client_secret(), &wrong.client_secret(), 1)).unwrap();
    world.restart().await;
    assert_eq!(stands(&world, moved).await, ["working"]);
    assert_eq!((contact(&world, moved).await.as_str(), wrong.customers().len()), ("synced", 1));
}

#[tokio::test]
async fn of_two_locations_with_one_account_the_second_stands_still() {
    let (mut world, others, file) = three().await;
    let home = world.sandbox.ghl.location_id();
    // One that was never connected, with the account of the first; and one that was, with the
    // account of another.
    let token = world.sandbox.ghl.add_location("locationOfNobody0001", "Studio", "UTC", "US");
    let text = std::fs::read_to_string(&file).unwrap().replacen(&others.traffts[0].url(), &others.traffts[1].url(), 1);
    let trafft = &world.sandbox.trafft;
    let new = format!(
        "[[connection]]\nghl_location_id = \"locationOfNobody0001\"\nghl_access_token = \"{token}\"\ntrafft_api_url = \"{}\"\n\
         trafft_client_id = \"{}\"\ntrafft_client_secret = \"{}\"\n",
        trafft.url(),
        trafft.client_id(),
        trafft.client_secret(),
    );
    std::fs::write(&file, text + &new).unwrap();
    world.start().await;
    for (location, state) in [
        (&home, "working"),
        (&others.locations[0], "other_account"),
        (&others.locations[1], "working"),
        (&"locationOfNobody0001".to_owned(), "other_account"),
    ] {
        assert_eq!(stands(&world, location).await, [state], "{location}");
    }
    let listed = world.get("/api/v1/connections").await.json;
    assert_eq!(listed["connections"].as_array().map(Vec::len), Some(4), "{listed}");
    assert_eq!(contact(&world, &home).await, "synced");
    // A database that knows neither of the two: the first one gets the account.
    std::fs::write(&file, &new).unwrap();
    world.set("DATABASE_URL", &format!("sqlite://{}", world.path("another.db")));
    world.restart().await;
    assert_eq!(stands(&world, &home).await, ["working"]);
    assert_eq!(stands(&world, "locationOfNobody0001").await, ["other_account"]);
    let shown = world.get("/api/v1/connections/locationOfNobody0001").await.json["states"].to_string();
    assert!(shown.contains(&format!("forget it: `connections remove {home} --yes`")), "{shown}");
}
