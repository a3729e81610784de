//! How a location stands, by everything that says so. `docs/operations.md` has each state, word for
//! word.

use reqwest::Method;
use serde_json::{Value, json};

use super::World;
use super::browser::Browser;
use super::command::run;
use super::desk::fits;

/// More than anybody will ask.
pub const ALL: usize = 1_000_000;

/// A row of the table in the documentation: the state, what one sees, what to do.
pub fn rows() -> Vec<[String; 3]> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with("Connections\n")).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &str| {
        let mut cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        let state = cells.next().unwrap().trim_matches('`').to_owned();
        [state, cells.next().unwrap(), cells.next().unwrap()]
    };
    rows.map(cells).collect()
}

pub async fn metrics(world: &World) -> String {
    world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap()
}

/// What the metric counts above zero.
pub async fn counted(world: &World) -> Vec<String> {
    let text = metrics(world).await;
    let lines = text.lines().filter_map(|line| line.strip_prefix("ghl_trafft_sync_connections{state=\""));
    lines.filter_map(|line| line.strip_suffix("\"} 1")).map(str::to_owned).collect()
}

pub async fn states(world: &World) -> Value {
    world.get(&format!("/api/v1/connections/{}", world.sandbox.ghl.location_id())).await.json["states"].clone()
}

/// A page as people read it.
pub fn read(html: &str) -> String {
    let shown = [("<code>", "`"), ("</code>", "`"), ("&#x2f;", "/"), ("&#x27;", "'"), ("&amp;", "&")];
    shown.iter().fold(html.to_owned(), |text, (html, plain)| text.replace(html, plain))
}

/// This state and none besides (but that contacts wait): the API, both pages, the metric and the
/// doctor say so, and how to mend it.
pub async fn stands(world: &World, state: &str) {
    let states = states(world).await;
    let others: Vec<_> = states.as_array().unwrap().iter().skip(1).map(|one| &one["state"]).collect();
    assert!(states[0]["state"] == state && others.iter().all(|other| **other == "behind"), "{state}: {states}");
    let text = |name: &str| states[0][name].as_str().unwrap_or_default().to_owned();
    let (found, fix) = (text("found"), text("fix"));
    let [_, sees, does] = rows().into_iter().find(|[name, ..]| name == state).unwrap();
    assert!(fits(&sees, &found) && fits(&does, &fix), "{state}: {states}");
    let since: jiff::Timestamp = text("since").parse().unwrap();
    assert!(since <= world.clock.now(), "{states}");
    let counted = counted(world).await;
    assert!(counted.contains(&state.to_owned()) && !counted.contains(&"working".to_owned()), "{state}: {counted:?}");
    let location = world.sandbox.ghl.location_id();
    let mut browser = Browser::signed_in(world).await;
    for page in ["/", &format!("/connections/{location}")] {
        let page = read(&browser.open(page).await.text);
        let told = page.matches(&found).count();
        assert!(told == 1 && page.contains(&format!("(since {since})")) && page.contains(&fix), "{state}: {page}");
    }
    let said = run(&world.settings(), &["doctor"]).await;
    let failing = said.out.lines().filter(|line| line.starts_with("FAIL")).count();
    assert!(said.code == 1 && failing == 1, "{state}: {said:?}");
    assert_eq!(said.out.matches(&format!("-> {fix}\n")).count(), 1, "{state}: {fix}\n{}", said.out);
}

/// Nothing is wrong, and all four say so.
pub async fn works(world: &World) {
    let states = states(world).await;
    assert_eq!(states, json!([{ "state": "working", "since": null, "found": "working", "fix": null }]));
    assert_eq!(counted(world).await, ["working"]);
    let mut browser = Browser::signed_in(world).await;
    for page in ["/", &format!("/connections/{}", world.sandbox.ghl.location_id())] {
        let page = read(&browser.open(page).await.text);
        assert!(page.contains("working") && !page.contains("(since"), "{page}");
    }
    let said = run(&world.settings(), &["doctor"]).await;
    assert!(said.code == 0 && said.out.contains("state `working`"), "{said:?}");
}

/// Connected as real ones are; nothing waits for an answer while the clock stands still.
pub async fn world(settings: &[(&str, &str)]) -> World {
    let mut world = World::installed(&[&[("SYNC_INLINE_DEADLINE_MS", "0")], settings].concat()).await;
    // Faults that nobody met are left over when the vendor comes back, and the doctor tries what is
    // refused.
    world.forgiving = true;
    works(&world).await;
    world
}

/// So many new contacts, their events delivered.
pub async fn come(world: &World, contacts: usize) -> Vec<String> {
    let new = (0..contacts).map(|_| {
        let email = format!("{}@example.com", uuid::Uuid::new_v4());
        world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "email": email }))
    });
    let new = new.collect();
    world.deliver_all().await;
    world.idle().await;
    new
}

pub async fn erase(world: &World, contact: &str) {
    let erased = world.admin(Method::DELETE, &format!("/api/v1/contacts/{contact}"), None).await;
    assert_eq!(erased.code, 204, "{}", erased.json);
}
