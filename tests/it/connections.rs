//! Locations connected on the command line, beside one that the settings connect: added, paused,
//! changed, removed, one without the others.

use std::path::Path;

use ghl_trafft_sync::app::load;
use ghl_trafft_sync::config::Sources;
use sandbox::Trafft;
use serde_json::{Value, json};

use crate::support::command::{Said, run};
use crate::support::others::Others;
use crate::support::{SEALING, World};

const EAST: &str = "anotherLocationEast1";
const WEST: &str = "anotherLocationWest1";
const NEW_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

async fn world(settings: &[(&str, &str)]) -> World {
    World::with(&[&[("ENCRYPTION_KEY", SEALING)], settings].concat()).await
}

/// `ghl-trafft-sync connections …`, on the machine of the running service.
async fn connections(world: &World, arguments: &[&str]) -> Said {
    cli(world, &[&["connections"], arguments].concat()).await
}

async fn cli(world: &World, arguments: &[&str]) -> Said {
    let mut settings = world.settings();
    settings.insert("SERVICE_URL".to_owned(), world.url(""));
    run(&settings, arguments).await
}

/// What it takes to connect a location with an account, its secrets in files.
async fn try_to_add(world: &World, location: &str, trafft: &Trafft, options: &[&str]) -> Said {
    let token = world.sandbox.ghl.add_location(location, location, "America/New_York", "US");
    let (token_file, secret_file) =
        (world.path(&format!("{location}.token")), world.path(&format!("{location}.secret")));
    std::fs::write(&token_file, token + "\n").unwrap();
    std::fs::write(&secret_file, trafft.client_secret() + "\n").unwrap();
    let (url, id) = (trafft.url(), trafft.client_id());
    let card = ["--trafft-url", &url, "--trafft-client-id", &id, "--trafft-client-secret-file", &secret_file];
    connections(world, &[&["add", location, "--ghl-token-file", &token_file], &card[..], options].concat()).await
}

/// Connects it with an account of its own.
async fn add(world: &mut World, location: &str, options: &[&str]) -> Trafft {
    let trafft = world.sandbox.add_trafft().await.unwrap();
    let said = try_to_add(world, location, &trafft, options).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert_eq!(said.json()["trafft_account"], trafft.url(), "{said:?}");
    world.idle().await;
    trafft
}

/// A new contact there, its event delivered: the contact, and how that went.
async fn contact(world: &World, location: &str) -> (String, String) {
    let id = world.sandbox.ghl.seed_contacts(location, 1, true).remove(0);
    (id, world.deliver_all().await.status().to_owned())
}

/// What stands in Trafft about its only customer.
#[track_caller]
fn description(trafft: &Trafft) -> String {
    let customers = trafft.customers();
    assert_eq!(customers.len(), 1, "{customers:?}");
    customers[0].description.clone().unwrap_or_default()
}

/// Waits until nobody works it.
async fn at_rest(world: &World, location: &str) {
    while !world.get(&format!("/api/v1/connections/{location}")).await.json["owner"].is_null() {
        tokio::task::yield_now().await;
    }
}

fn ids(listed: &Value) -> Vec<String> {
    let all = listed["connections"].as_array().unwrap().iter();
    all.map(|one| one["location_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_location_is_added_listed_shown_and_tried() {
    let mut world = world(&[]).await;
    let trafft = add(&mut world, EAST, &[]).await;
    let home = world.sandbox.ghl.location_id();
    assert_eq!(ids(&connections(&world, &["list"]).await.json()), [EAST.to_owned(), home]);
    let shown = connections(&world, &["show", EAST]).await;
    assert!(shown.json()["entered"] == true && !shown.out.contains(&trafft.client_secret()), "{shown:?}");
    let (id, status) = contact(&world, EAST).await;
    assert_eq!((status.as_str(), trafft.customers().len()), ("synced", 1));
    let tried = connections(&world, &["test", EAST, "--contact", &id]).await;
    assert!(tried.code == 0 && tried.out.contains(&format!("ok    mapping: contact {id}: {{")), "{tried:?}");
    world.forgiving = true;
    world.sandbox.ghl.revoke_token(std::fs::read_to_string(world.path(&format!("{EAST}.token"))).unwrap().trim());
    let tried = connections(&world, &["test", EAST]).await;
    assert!(tried.code == 1 && tried.out.contains("FAIL  HighLevel: read contacts"), "{tried:?}");
    assert_eq!(tried.err, "error: a check failed\n");
    let nobody = connections(&world, &["show", "nobodyKnowsThisOne01"]).await;
    assert!(nobody.code == 1 && nobody.err.contains("there is no connection with this id"), "{nobody:?}");
}

#[tokio::test]
async fn an_account_is_fed_by_one_location_and_a_location_feeds_one_account() {
    let mut world = world(&[]).await;
    let home = world.sandbox.ghl.location_id();
    let said = try_to_add(&world, EAST, &world.sandbox.trafft.clone(), &[]).await;
    let why = format!("belongs to location `{home}` already: an account is fed by one location\n");
    assert!(said.code == 1 && said.err.ends_with(&why), "{said:?}");
    assert_eq!(ids(&connections(&world, &["list"]).await.json()), [home]);
    add(&mut world, EAST, &[]).await;
    let other = world.sandbox.add_trafft().await.unwrap();
    let said = try_to_add(&world, EAST, &other, &[]).await;
    assert!(said.code == 1 && said.err.contains("its links point at customers of the other account"), "{said:?}");
    assert_eq!(contact(&world, EAST).await.1, "synced", "it goes on with its own");
}

#[tokio::test]
async fn options_hold_for_their_connection_alone() {
    let mut world = world(&[]).await;
    let mapping = world.path("vip.toml");
    std::fs::write(&mapping, "only = \"'vip' in tags\"\n").unwrap();
    let own = ["--mapping", &mapping, "--set", "TIME_ZONE=Asia/Tokyo", "--set", "DESCRIPTION_POLICY=at-creation"];
    let east = add(&mut world, EAST, &own).await;
    let west = add(&mut world, WEST, &[]).await;
    let shown = connections(&world, &["show", EAST]).await.json();
    assert_eq!(shown["options"]["TIME_ZONE"], "Asia/Tokyo", "{shown}");
    let ((in_east, east_status), (in_west, west_status)) = (contact(&world, EAST).await, contact(&world, WEST).await);
    assert_eq!(
        (east_status.as_str(), west_status.as_str()),
        ("filtered", "synced"),
        "`only` is the one's, not the other's"
    );
    let ghl = world.sandbox.ghl.clone();
    for id in [&in_east, &in_west] {
        ghl.add_task(id, json!({ "title": "Call", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false }));
        ghl.edit_contact(id, json!({ "tags": ["vip"] }));
        world.deliver_all().await;
    }
    let told = [&east, &west].map(description);
    assert_eq!(
        told,
        [
            "Tags: vip\nTasks:\n- [ ] Call (due 2026-09-08 23:30)",
            "Tags: vip\nTasks:\n- [ ] Call (due 2026-09-08 10:30)"
        ]
    );
    for id in [&in_east, &in_west] {
        ghl.add_note(id, json!({ "body": "Prefers mornings" }));
        world.deliver_all().await;
    }
    let told = [&east, &west].map(|trafft| description(trafft).contains("Prefers mornings"));
    assert_eq!(told, [false, true], "`at-creation` is the one's, not the other's");
    // Entered again, options and all.
    let said = try_again(&world, EAST, &east, &["--set", "TIME_ZONE=Europe/Berlin"]).await;
    assert_eq!(said.json()["options"], json!({ "TIME_ZONE": "Europe/Berlin" }));
}

/// The location is there, and so are the files.
async fn try_again(world: &World, location: &str, trafft: &Trafft, options: &[&str]) -> Said {
    let (url, id, secret) = (trafft.url(), trafft.client_id(), world.path(&format!("{location}.secret")));
    let card = ["--trafft-url", &url, "--trafft-client-id", &id, "--trafft-client-secret-file", &secret];
    connections(world, &[&["add", location], &card[..], options].concat()).await
}

#[tokio::test]
async fn paused_means_stored_and_nothing_done_until_it_goes_on() {
    let mut world = world(&[("SYNC_INLINE_DEADLINE_MS", "0")]).await;
    let (east, west) = (add(&mut world, EAST, &[]).await, add(&mut world, WEST, &[]).await);
    assert_eq!(connections(&world, &["pause", EAST]).await.json()["paused"], true);
    at_rest(&world, EAST).await;
    world.forget_calls();
    east.journal().clear();
    assert_eq!(contact(&world, EAST).await.1, "queued");
    world.rest(std::time::Duration::from_hours(2)).await;
    assert_eq!(world.sandbox.ghl.journal().entries().len() + east.journal().entries().len(), 0, "nothing is asked");
    contact(&world, WEST).await;
    world.idle().await;
    assert_eq!((east.customers().len(), west.customers().len()), (0, 1), "the others go on");
    world.restart().await;
    assert_eq!(east.customers().len(), 0, "a restart does not forget that it was paused");
    assert_eq!(connections(&world, &["resume", EAST]).await.json()["paused"], false);
    world.drain().await;
    assert_eq!(east.customers().len(), 1);
    let home = world.sandbox.ghl.location_id();
    assert_eq!(connections(&world, &["pause", &home]).await.json()["paused"], true, "those of the settings too");
    at_rest(&world, &home).await;
    let nobody = connections(&world, &["pause", "nobodyKnowsThisOne01"]).await;
    assert!(nobody.code == 1 && nobody.err.contains("there is no such connection"), "{nobody:?}");
}

#[tokio::test]
async fn removed_means_forgotten_and_of_the_others_nothing() {
    let mut world = world(&[]).await;
    let (first, west) = (add(&mut world, EAST, &[]).await, add(&mut world, WEST, &[]).await);
    let ((in_east, _), (in_west, _)) = (contact(&world, EAST).await, contact(&world, WEST).await);
    let said = connections(&world, &["remove", EAST]).await;
    assert!(said.code == 2 && said.err.contains("--yes"), "{said:?}");
    let said = connections(&world, &["remove", EAST, "--yes"]).await;
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
    assert_eq!(connections(&world, &["show", EAST]).await.code, 1);
    for (path, known) in [
        (format!("/api/v1/contacts/{in_east}"), 404),
        (format!("/api/v1/contacts/{in_west}"), 200),
        (format!("/api/v1/connections/{WEST}"), 200),
    ] {
        assert_eq!(world.get(&path).await.code, known, "{path}");
    }
    let of = async |location: &str| {
        world.get(&format!("/api/v1/events?location_id={location}")).await.json["events"].as_array().map(Vec::len)
    };
    assert_eq!((of(EAST).await, of(WEST).await), (Some(0), Some(1)));
    assert_eq!(first.customers().len(), 1, "neither vendor is told");
    world.sandbox.ghl.edit_contact(&in_west, json!({ "firstName": "Still" }));
    assert_eq!((world.deliver_all().await.status(), west.customers().len()), ("synced", 1));
    assert_eq!(contact(&world, EAST).await.1, "parked", "nobody works it");
    // It begins anew, with another account even.
    let second = add(&mut world, EAST, &[]).await;
    assert_eq!((contact(&world, EAST).await.1.as_str(), first.customers().len()), ("synced", 1));
    assert!(!second.customers().is_empty());
}

#[tokio::test]
async fn a_location_of_the_settings_is_changed_there_alone() {
    let mut world = world(&[]).await;
    let home = world.sandbox.ghl.location_id();
    let other = world.sandbox.add_trafft().await.unwrap();
    std::fs::write(world.path(&format!("{home}.secret")), other.client_secret()).unwrap();
    let removed = connections(&world, &["remove", &home, "--yes"]).await;
    let entered = try_again(&world, &home, &other, &[]).await;
    for said in [removed, entered] {
        let why = format!("location `{home}` is connected by the settings: change it there\n");
        assert!(said.code == 1 && said.err.ends_with(&why), "{said:?}");
    }
    assert_eq!(contact(&world, &home).await.1, "synced");
    // Once it has left them it can be forgotten, and its account is free.
    let former = world.sandbox.trafft.clone();
    world.stop().await;
    for name in ["GHL_LOCATION_ID", "GHL_ACCESS_TOKEN", "TRAFFT_API_URL", "TRAFFT_CLIENT_ID", "TRAFFT_CLIENT_SECRET"] {
        world.set(name, "");
    }
    world.start().await;
    let said = connections(&world, &["remove", &home, "--yes"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(try_to_add(&world, EAST, &former, &[]).await.code, 0);
    world.idle().await;
}

#[tokio::test]
async fn bad_options_are_told_and_secrets_come_from_files_alone() {
    let mut world = world(&[]).await;
    let trafft = world.sandbox.add_trafft().await.unwrap();
    let broken = world.path("broken.toml");
    std::fs::write(&broken, "[customer]\nfirst_name = \"{{ frist_name }}\"\n").unwrap();
    for (options, part) in [
        (["--set", "DELETE_POLICY=purge"], "`DELETE_POLICY`: write one of: keep, delete-created, ignore"),
        (["--set", "TIME_ZONE=Moon/Base"], "`TIME_ZONE`: write a zone's name"),
        (
            ["--set", "ADMIN_TOKEN=hush"],
            "`ADMIN_TOKEN` is no setting of a connection; there are: MAPPING, PHONE_REGION",
        ),
        (["--mapping", &broken], "the mapping: line 2, `customer.first_name`"),
        (["--mapping", "/no/such/file"], "the file `/no/such/file` cannot be read"),
    ] {
        let said = try_to_add(&world, EAST, &trafft, &options).await;
        assert!(said.code == 1 && said.err.contains(part) && !said.err.contains("hush"), "no `{part}` in: {said:?}");
    }
    for (options, part) in [
        (["--set", "DELETE_POLICY"], "write it as in `DELETE_POLICY=ignore`"),
        (["--trafft-client-secret", "hush"], "unexpected argument '--trafft-client-secret'"),
        (["--ghl-token", "hush"], "unexpected argument '--ghl-token'"),
    ] {
        let said = try_to_add(&world, EAST, &trafft, &options).await;
        assert!(said.code == 2 && said.err.contains(part), "no `{part}` in: {said:?}");
    }
    assert_eq!(world.get(&format!("/api/v1/connections/{EAST}")).await.code, 404, "nothing was kept");
}

#[tokio::test]
async fn after_a_rotation_the_old_key_is_not_needed() {
    let mut world = world(&[]).await;
    let trafft = add(&mut world, EAST, &[]).await;
    world.stop().await;
    world.set("ENCRYPTION_KEY", NEW_KEY);
    let why = world.refusal().await;
    assert!(why.contains("sealed with another key") && why.contains("after a comma"), "{why}");
    world.set("ENCRYPTION_KEY", &format!("{NEW_KEY}, {SEALING}"));
    world.start().await;
    assert_eq!(
        cli(&world, &["keys", "rotate"]).await.json(),
        json!({ "resealed": 2 }),
        "a token, and Trafft's credentials"
    );
    assert_eq!(cli(&world, &["keys", "rotate"]).await.json(), json!({ "resealed": 0 }));
    world.stop().await;
    world.set("ENCRYPTION_KEY", NEW_KEY);
    world.start().await;
    assert_eq!((contact(&world, EAST).await.1.as_str(), trafft.customers().len()), ("synced", 1));
}

#[tokio::test]
async fn a_file_connects_locations_with_options_of_their_own() {
    let mut world = World::stopped(&[]).await;
    let (file, mapping) = (world.path("connections.toml"), world.path("vip.toml"));
    let others = Others::beside(&world.sandbox, 2, Path::new(&file)).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let own = format!("[[connection]]\nmapping_file = \"{mapping}\"\ntime_zone = \"Asia/Tokyo\"\n");
    std::fs::write(&file, text.replacen("[[connection]]\n", &own, 1)).unwrap();
    std::fs::write(&mapping, "only = \"'vip' in tags\"\n").unwrap();
    world.set("CONNECTIONS_FILE", &file);
    world.start().await;
    let statuses = [contact(&world, &others.locations[0]).await.1, contact(&world, &others.locations[1]).await.1];
    assert_eq!(statuses, ["filtered", "synced"]);
}

/// What is wrong with a file of one connection, `more` in it.
fn told(world: &World, more: &str) -> String {
    let file = world.path("connections.toml");
    let text = format!(
        "[[connection]]\nghl_location_id = \"{EAST}\"\nghl_access_token = \"pit-hush\"\ntrafft_client_id = \"id\"\n\
         trafft_api_url = \"https://east.admin.trafft.com\"\n{more}\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut environment = world.settings();
    environment.insert("CONNECTIONS_FILE".to_owned(), file);
    let problems = load(&Sources { environment, ..Default::default() }).unwrap_err();
    assert_eq!(problems.0.iter().map(|problem| problem.name.as_str()).collect::<Vec<_>>(), ["CONNECTIONS_FILE"]);
    problems.to_string()
}

#[tokio::test]
async fn mistakes_in_the_file_are_told_by_connection_and_key() {
    let world = World::stopped(&[]).await;
    let broken = world.path("broken.toml");
    std::fs::write(&broken, "[customer]\nfirst_name = \"{{ frist_name }}\"\n").unwrap();
    let secret = "trafft_client_secret = \"hush\"";
    let mapping = format!("{secret}\nmapping_file = \"{broken}\"");
    for (more, key, part) in [
        ("", "trafft_client_secret", "is missing"),
        ("trafft_client_secret = 4711", "trafft_client_secret", "write a text, in quotes"),
        (&format!("{secret}\ndelete_policy = [\"keep\"]"), "delete_policy", "write a text, in quotes"),
        (
            &format!("{secret}\ndescription_polcy = \"all\""),
            "description_polcy",
            "there is no such key; there are: ghl_location_id",
        ),
        (&format!("{secret}\nadmin_token = \"hush\""), "admin_token", "there is no such key"),
        (&format!("{secret}\nmapping_file = \"/no/such\""), "mapping_file", "`/no/such` cannot be read"),
    ] {
        let told = told(&world, more);
        let whole = format!("connection `{EAST}`, `{key}`: {part}");
        assert!(told.contains(&whole) && !told.contains("hush") && !told.contains("4711"), "no `{whole}` in: {told}");
    }
    let policy = told(&world, &format!("{secret}\ndelete_policy = \"purge\""));
    assert!(policy.contains(&format!("connection `{EAST}`, `DELETE_POLICY`: write one of: keep")), "{policy}");
    let line = told(&world, &mapping);
    assert!(line.contains(&format!("connection `{EAST}`, the mapping: line 2, `customer.first_name`")), "{line}");
    let syntax = told(&world, "trafft_client_secret = hush");
    assert!(syntax.contains("line 6") && !syntax.contains("hush"), "{syntax}");
    let first_column = told(&world, "= \"hush\"");
    assert!(first_column.contains("line 6") && !first_column.contains("hush"), "{first_column}");
}
