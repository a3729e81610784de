//! The doctor tries everything that a set-up needs, with the service running and without, for
//! people and for programs.

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::command::run;
use crate::support::database::Database;
use crate::support::desk::{Desk, app, fits, row};
use crate::support::others::Others;
use crate::support::{ADMIN, World};

/// What the settings connect a single location by.
const PAIR: [&str; 5] =
    ["GHL_LOCATION_ID", "GHL_ACCESS_TOKEN", "TRAFFT_API_URL", "TRAFFT_CLIENT_ID", "TRAFFT_CLIENT_SECRET"];

const OTHER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_without_a_service_and_with_one() {
    let mut desk = Desk::new().await;
    let said = desk.doctor(&[]).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let lines: Vec<_> = said.out.lines().filter(|line| !line.starts_with("ok    ")).collect();
    assert!(lines.len() == 2 && lines[0] == "note  service: it has not been started yet", "{}", said.out);
    for part in
        ["there is none yet", "HighLevel: read contacts (`contacts.readonly`): works, ", "less than two minutes apart"]
    {
        assert!(said.out.contains(part), "no `{part}` in: {}", said.out);
    }
    let mut service = desk.serve().await;
    desk.set(&[("PUBLIC_URL", &service.url)]);
    let said = desk.doctor(&[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    for part in [
        "a service is running with it",
        "the service answers, and refuses what is not signed",
        "note  deliveries: how HighLevel was answered in the past three days: none came with a signature or token that is right",
    ] {
        assert!(said.out.contains(part), "no `{part}` in: {}", said.out);
    }
    assert_eq!(service.stop(), Some(0));
    desk.set(&[("PUBLIC_URL", "")]);
    let said = desk.doctor(&[]).await;
    assert!(said.code == 0 && said.out.contains("works, and its secrets open"), "{said:?}");
    assert!(said.out.contains("note  service: it is not running"), "{said:?}");
}

#[tokio::test]
async fn without_any_setting_it_says_what_either_way_needs() {
    let mut desk = Desk::new().await;
    for name in PAIR {
        desk.set(&[(name, "")]);
    }
    let said = desk.doctor(&[]).await;
    let told = "FAIL  setting `GHL_LOCATION_ID`: is not set\n        -> set it: a single account needs it, and `GHL_ACCESS_TOKEN`";
    assert!(
        said.code == 1 && said.out.starts_with(told) && said.out.contains("needs `GHL_CLIENT_ID` instead"),
        "{said:?}"
    );
}

#[tokio::test]
async fn before_the_first_start_it_says_so_and_nothing_fails() {
    let mut bare = Desk::new().await;
    bare.set(&[("ADMIN_TOKEN", "")]);
    let mut private = Desk::new().await;
    private.set(&[("PUBLIC_URL", "https://sync.invalid")]);
    let mut oauth = Desk::new().await;
    app(&mut oauth);
    oauth.set(&[("PUBLIC_URL", "https://sync.invalid")]);
    for name in PAIR {
        oauth.set(&[(name, "")]);
    }
    let public = "then run `doctor` again: only then can be tried: the public address";
    let all = format!("{public}, the locations that people connect");
    for (desk, then) in [(bare, ""), (private, public), (oauth, all.as_str())] {
        let said = desk.doctor(&[]).await;
        assert!(said.code == 0 && !said.out.contains("FAIL"), "{said:?}");
        assert!(said.out.contains("ok    store: open the database: there is none yet"), "{}", said.out);
        let told = "note  service: it has not been started yet\n        -> start it with `ghl-trafft-sync serve`";
        let told = if then.is_empty() { format!("{told}\n") } else { format!("{told}, {then}\n") };
        assert!(said.out.contains(&told), "{}", said.out);
    }
}

#[tokio::test]
async fn installs_of_one_app_and_events_of_another_are_noted() {
    let mut desk = Desk::new().await;
    app(&mut desk);
    let told = "note  webhooks: the app that they come from: `GHL_APP_ID` is `another-app`, and the app of `GHL_CLIENT_ID` is `";
    assert!(!desk.doctor(&[]).await.out.contains("the app that they come from"));
    desk.set(&[("GHL_APP_ID", "another-app")]);
    let said = desk.doctor(&[]).await;
    assert!(said.out.contains(told) && said.out.contains("-> leave `GHL_APP_ID` out"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_works_with_another_database_is_not_taken_for_none() {
    let mut desk = Desk::new().await;
    let _service = desk.serve().await;
    let other = format!("sqlite://{}/other.db", desk.folder.path().display());
    desk.set(&[("DATABASE_URL", &other)]);
    desk.is_told("another `DATABASE_URL` than the running service has").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_postgresql_it_sees_whether_a_service_runs() {
    let Some(database) = Database::postgres() else { return };
    let mut desk = Desk::new().await;
    desk.set(&[("DATABASE_URL", database.url())]);
    let mut service = desk.serve().await;
    let said = desk.doctor(&[]).await;
    assert!(said.code == 0 && !said.out.contains("  service: ") && said.out.contains("state `"), "{said:?}");
    desk.set(&[("BIND_ADDR", "127.0.0.1:1")]);
    let said = desk.doctor(&[]).await;
    assert!(said.code == 0 && said.out.contains("it runs on another machine"), "{said:?}");
    assert_eq!(service.stop(), Some(0));
    let said = desk.doctor(&[]).await;
    assert!(said.code == 0 && said.out.contains("note  service: it is not running"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn locations_of_an_agency_that_nobody_connected_are_one_line_and_no_problem() {
    let world = World::app(&[]).await;
    let ids: Vec<String> = (0..153).map(|number| format!("location{number:012}")).collect();
    world.install_agency(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let entered = world.enter(&ids[0], &world.sandbox.trafft, json!({})).await;
    assert_eq!(entered.code, 200, "{}", entered.json);
    world.idle().await;
    let doctor = async || run(&world.settings(), &["doctor"]).await;
    let said = doctor().await;
    let others = "note  locations that nobody has connected: 152 have the app and no Trafft account";
    assert!(said.code == 0 && said.out.contains(others), "{said:?}");
    assert!(ids[1..].iter().all(|id| !said.out.contains(id.as_str())), "{}", said.out);
    assert!(said.out.contains(&format!("ok    {}: state `working`", ids[0])), "{}", said.out);
    // What somebody connected is a problem as ever.
    world.sandbox.trafft.faults().push(sandbox::Matcher::any(), sandbox::Fault::Html(500));
    let said = doctor().await;
    assert!(said.code == 1 && said.out.matches("FAIL  ").count() == 1 && said.out.contains(others), "{said:?}");
}

#[tokio::test]
async fn a_program_reads_the_same() {
    let mut desk = Desk::new().await;
    let good = desk.doctor(&["--json"]).await;
    assert_eq!((good.code, &good.json()["ok"]), (0, &json!(true)), "{good:?}");
    desk.set(&[("TRAFFT_CLIENT_SECRET", "not-the-secret")]);
    let bad = desk.doctor(&["--json"]).await;
    let told = bad.json();
    assert_eq!((bad.code, &told["ok"]), (1, &json!(false)), "{bad:?}");
    let failing: Vec<_> = told["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(failing.len(), 1, "{told}");
    assert_eq!(failing[0]["location_id"], desk.sandbox.ghl.location_id());
    let row = row("a client secret of Trafft that is wrong");
    assert!(fits(&row.does, failing[0]["fix"].as_str().unwrap()), "{told}");
}

#[tokio::test]
async fn what_a_contact_would_become_is_shown_to_whoever_asks() {
    let mut desk = Desk::new().await;
    let ada = desk.sandbox.ghl.create_contact(
        json!({ "firstName": "ada", "lastName": "Lovelace", "email": "Ada@Example.com", "phone": "+14155550142" }),
    );
    let said = desk.doctor(&["--contact", &ada, "--json"]).await;
    let told = said.json();
    let last = told["checks"].as_array().unwrap().last().unwrap();
    assert_eq!((said.code, last["tried"].as_str()), (0, Some(format!("mapping: contact {ada}").as_str())), "{told}");
    let customer: Value = serde_json::from_str(last["found"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&customer["email"], &customer["last_name"]),
        (&json!("Ada@Example.com"), &json!("Lovelace")),
        "{customer}"
    );
    assert!(desk.sandbox.trafft.customers().is_empty(), "it only looks");
    let mapping = desk.folder.path().join("mapping.toml");
    std::fs::write(&mapping, "only = \"'vip' in tags\"\n").unwrap();
    desk.set(&[("MAPPING_FILE", mapping.to_str().unwrap())]);
    let said = desk.doctor(&["--contact", &ada]).await;
    assert!(said.code == 0 && said.out.contains("the mapping's `only` leaves it out"), "{said:?}");
    // That the other locations do not have it is no fault of theirs.
    let file = desk.folder.path().join("connections.toml");
    let _others = Others::beside(&desk.sandbox, 1, &file).await;
    desk.set(&[("CONNECTIONS_FILE", file.to_str().unwrap())]);
    let said = desk.doctor(&["--contact", &ada]).await;
    assert!(said.code == 0 && said.out.matches("mapping: contact").count() == 1, "{said:?}");
    desk.set(&[("CONNECTIONS_FILE", "")]);
    let said = desk.doctor(&["--contact", "nobodyKnowsThisOne01"]).await;
    assert!(said.code == 1 && said.out.contains("there is no such contact"), "{said:?}");
}

#[tokio::test]
async fn a_page_where_the_api_should_be_is_told_as_a_wrong_url() {
    for vendor in ["Trafft", "HighLevel"] {
        let desk = Desk::new().await;
        let faults = if vendor == "Trafft" { desk.sandbox.trafft.faults() } else { desk.sandbox.ghl.faults() };
        faults.push(sandbox::Matcher::any(), sandbox::Fault::Html(200));
        let said = desk.doctor(&["--json"]).await;
        let told = said.json();
        let failing: Vec<_> = told["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
        let does = row(&format!("a URL of {vendor} that leads elsewhere")).does;
        assert!(failing.len() == 1 && fits(&does, failing[0]["fix"].as_str().unwrap()), "{told}");
    }
}

/// But for what is told of a service that is not running.
fn notes(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.starts_with("note  ") && !line.starts_with("note  service: ")).collect()
}

#[tokio::test]
async fn a_scope_that_is_not_needed_is_noted_and_nothing_fails() {
    let desk = Desk::new().await;
    desk.sandbox.ghl.set_scopes(&desk.sandbox.ghl.token(), &["contacts.readonly", "locations.readonly"]);
    let said = desk.doctor(&[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let notes = notes(&said.out);
    assert!(notes.len() == 2 && notes[1].contains("`locations/tasks.readonly`: the scope is missing"), "{}", said.out);
    assert!(said.out.contains("-> grant it, for: edited tasks, which no event tells of"), "{}", said.out);
}

#[tokio::test]
async fn a_zone_or_a_country_that_is_not_known_is_told() {
    let mut desk = Desk::new().await;
    desk.set(&[("TIME_ZONE", ""), ("PHONE_REGION", "")]);
    let home = desk.sandbox.ghl.location_id();
    let zone = r#""Mars/Olympus","country":"Atlantis""#;
    desk.sandbox.ghl.raw().field("/locations/", home, "timezone", zone);
    let said = desk.doctor(&[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let notes = notes(&said.out);
    assert!(notes.len() == 2 && notes[0].contains("time zone `Mars/Olympus` is not known"), "{}", said.out);
    assert!(
        notes[1].contains("country `Atlantis` is not known") && said.out.contains("-> set `PHONE_REGION`"),
        "{}",
        said.out
    );
}

/// As Windows names zones, and as people name countries; by the page as by the doctor.
#[tokio::test]
async fn a_zone_or_a_country_that_is_not_known_is_told_on_the_page() {
    let world = World::with(&[("TIME_ZONE", ""), ("PHONE_REGION", "")]).await;
    let location = world.sandbox.ghl.location_id();
    let zone = r#""Eastern Standard Time","country":"United States""#;
    world.sandbox.ghl.raw().field("/locations/", &location, "timezone", zone);
    let page = Browser::signed_in(&world).await.submit(&format!("/connections/{location}/test"), &[]).await;
    for part in ["Eastern Standard Time", "TIME_ZONE", "United States", "PHONE_REGION"] {
        assert!(page.code == 200 && page.text.contains(part), "no `{part}` in: {}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_locations_that_people_connected_are_tried_by_the_service_that_runs() {
    let mut desk = Desk::new().await;
    app(&mut desk);
    let (ghl, trafft) = (desk.sandbox.ghl.clone(), desk.sandbox.trafft.clone());
    for name in PAIR {
        desk.set(&[(name, "")]);
    }
    let mut service = desk.serve().await;
    desk.set(&[("PUBLIC_URL", &service.url)]);
    let nobody = "note  locations: none is connected yet";
    let said = desk.doctor(&[]).await;
    assert!(said.code == 0 && said.out.contains(nobody), "{said:?}");
    let put = json!({
        "ghl_access_token": ghl.token(), "trafft_api_url": trafft.url(), "trafft_client_id": trafft.client_id(),
        "trafft_client_secret": trafft.client_secret(),
    });
    let path = format!("{}/api/v1/connections/{}", service.url, ghl.location_id());
    let answer = desk.http.put(path).bearer_auth(ADMIN).json(&put).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    let said = desk.doctor(&[]).await;
    let tried = format!("ok    {}: Trafft: get a token and read customers: works, 0 in all", ghl.location_id());
    assert!(said.code == 0 && said.out.contains(&tried) && !said.out.contains(nobody), "{said:?}");
    ghl.revoke_token(&ghl.token());
    desk.is_told("a token of HighLevel that is wrong").await;
    desk.set(&[("ADMIN_TOKEN", "not-the-admin-token")]);
    desk.is_told("another `ADMIN_TOKEN` than the running service has").await;
    assert!(!desk.doctor(&[]).await.out.contains(nobody), "it is not known");
    desk.set(&[("ADMIN_TOKEN", ADMIN)]);
    assert_eq!(service.stop(), Some(0));
    for (name, _) in desk.sandbox.oauth_settings().iter().filter(|(name, _)| name.starts_with("GHL_CLIENT")) {
        desk.set(&[(name, "")]);
    }
    desk.set(&[("PUBLIC_URL", "")]);
    let said = desk.doctor(&[]).await;
    assert!(said.code == 0 && said.out.contains("note  service: it is not running"), "{said:?}");
    assert!(said.out.contains("only then can be tried: the locations that people connect"), "{said:?}");
    desk.set(&[("ENCRYPTION_KEY", OTHER_KEY)]);
    desk.is_told("the key that seals secrets was replaced").await;
    // Without a key there has to be another location, one of the settings.
    let token = desk.sandbox.ghl.add_location("anotherLocation00001", "Studio", "UTC", "US");
    for (name, value) in desk.sandbox.settings() {
        desk.set(&[(name, &value)]);
    }
    desk.set(&[("GHL_LOCATION_ID", "anotherLocation00001"), ("GHL_ACCESS_TOKEN", &token), ("ENCRYPTION_KEY", "")]);
    desk.is_told("the key that seals secrets is gone").await;
}

#[tokio::test]
async fn a_private_token_without_a_way_for_webhooks_is_told() {
    let world = World::new().await;
    let mut settings = world.settings();
    for name in ["GHL_WEBHOOK_PUBLIC_KEYS", "GHL_WORKFLOW_TOKEN", "GHL_APP_ID"] {
        settings.remove(name);
    }
    let told = run(&settings, &["doctor"]).await.out;
    assert!(
        told.contains("a private token brings no webhooks by itself") && told.contains("-> set `GHL_WORKFLOW_TOKEN`"),
        "{told}"
    );
    settings.insert("GHL_WORKFLOW_TOKEN".to_owned(), crate::support::WORKFLOW.to_owned());
    let told = run(&settings, &["doctor"]).await.out;
    assert!(!told.contains("brings no webhooks"), "{told}");
}
