//! The doctor tries everything that a set-up needs, with the service running and without, for people and for programs.

use serde_json::{Value, json};

use crate::support::ADMIN;
use crate::support::desk::{Desk, app, fits, row};
use crate::support::others::Others;
use crate::support::process::Process;

const OTHER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_without_a_service_and_with_one() {
    let mut desk = Desk::new().await;
    let said = desk.doctor(&[]).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.lines().all(|line| line.starts_with("ok    ")), "{}", said.out);
    for part in
        ["there is none yet", "HighLevel: read contacts (`contacts.readonly`): works, ", "less than two minutes apart"]
    {
        assert!(said.out.contains(part), "no `{part}` in: {}", said.out);
    }
    let mut service = Process::start(desk.settings.clone());
    service.ready(&desk.http).await;
    let address = service.url.trim_start_matches("http://").to_owned();
    desk.set(&[("BIND_ADDR", &address), ("PUBLIC_URL", &service.url)]);
    let said = desk.doctor(&[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    for part in ["a service is running with it", "the service answers, and refuses what is not signed"] {
        assert!(said.out.contains(part), "no `{part}` in: {}", said.out);
    }
    assert_eq!(service.stop(), Some(0));
    desk.set(&[("PUBLIC_URL", "")]);
    let said = desk.doctor(&[]).await;
    assert!(said.code == 0 && said.out.contains("works, and its secrets open"), "{said:?}");
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
        faults.push(sandbox::Matcher::any(), sandbox::Fault::Html200);
        let said = desk.doctor(&["--json"]).await;
        let told = said.json();
        let failing: Vec<_> = told["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
        let does = row(&format!("a URL of {vendor} that leads elsewhere")).does;
        assert!(failing.len() == 1 && fits(&does, failing[0]["fix"].as_str().unwrap()), "{told}");
    }
}

#[tokio::test]
async fn a_scope_that_is_not_needed_is_noted_and_nothing_fails() {
    let desk = Desk::new().await;
    desk.sandbox.ghl.set_scopes(&desk.sandbox.ghl.token(), &["contacts.readonly", "locations.readonly"]);
    let said = desk.doctor(&[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let notes: Vec<_> = said.out.lines().filter(|line| line.starts_with("note  ")).collect();
    assert!(notes.len() == 2 && notes[1].contains("`locations/tasks.readonly`: the scope is missing"), "{}", said.out);
    assert!(said.out.contains("-> grant it, for: edited tasks, which no event tells of"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_locations_that_people_connected_are_tried_by_the_service_that_runs() {
    let mut desk = Desk::new().await;
    app(&mut desk);
    let (ghl, trafft) = (desk.sandbox.ghl.clone(), desk.sandbox.trafft.clone());
    for name in ["GHL_LOCATION_ID", "GHL_ACCESS_TOKEN", "TRAFFT_API_URL", "TRAFFT_CLIENT_ID", "TRAFFT_CLIENT_SECRET"] {
        desk.set(&[(name, "")]);
    }
    let mut service = Process::start(desk.settings.clone());
    service.ready(&desk.http).await;
    desk.set(&[("BIND_ADDR", service.url.clone().trim_start_matches("http://")), ("PUBLIC_URL", &service.url)]);
    let put = json!({
        "ghl_access_token": ghl.token(), "trafft_api_url": trafft.url(), "trafft_client_id": trafft.client_id(),
        "trafft_client_secret": trafft.client_secret(),
    });
    let path = format!("{}/api/v1/connections/{}", service.url, ghl.location_id());
    let answer = desk.http.put(path).bearer_auth(ADMIN).json(&put).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    let said = desk.doctor(&[]).await;
    let tried = format!("ok    {}: Trafft: get a token and read customers: works, 0 in all", ghl.location_id());
    assert!(said.code == 0 && said.out.contains(&tried), "{said:?}");
    ghl.revoke_token(&ghl.token());
    desk.is_told("a token of HighLevel that is wrong").await;
    desk.set(&[("ADMIN_TOKEN", "not-the-admin-token")]);
    desk.is_told("another `ADMIN_TOKEN` than the running service has").await;
    desk.set(&[("ADMIN_TOKEN", ADMIN)]);
    assert_eq!(service.stop(), Some(0));
    for (name, _) in desk.sandbox.oauth_settings().iter().filter(|(name, _)| name.starts_with("GHL_CLIENT")) {
        desk.set(&[(name, "")]);
    }
    desk.set(&[("PUBLIC_URL", "")]);
    let said = desk.doctor(&[]).await;
    assert!(said.code == 0 && said.out.contains("note  service: ask the running one"), "{said:?}");
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
