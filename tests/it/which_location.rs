//! A command that is about a location finds it by itself where only one fits, and names its own
//! flag where several do.

use sandbox::Trafft;
use serde_json::{Value, json};

use crate::support::World;
use crate::support::command::{Said, run};
use crate::support::others::Others;

const FIRST: &str = "locationOfTheAgency1";
const SECOND: &str = "locationOfTheAgency2";

/// An agency with the app in two locations, of which nobody has connected any.
async fn agency() -> World {
    let world = World::app(&[]).await;
    world.install_agency(&[FIRST, SECOND]).await;
    world
}

impl World {
    async fn says(&self, arguments: &[&str]) -> Said {
        run(&self.settings(), arguments).await
    }

    async fn connected(&self, location: &str, trafft: &Trafft) {
        let entered = self.enter(location, trafft, json!({})).await;
        assert_eq!(entered.code, 200, "{}", entered.json);
        self.idle().await;
    }
}

/// Refused, with the flag that the command has.
fn asks_which(said: &Said) {
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    assert!(said.err.contains("say which one") && said.err.contains("hint: add `--location ID`"), "{said:?}");
    assert!(!said.err.contains("location_id"), "that is the API's word: {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_one_that_is_connected_is_meant() {
    let mut world = agency().await;
    let said = world.says(&["backfill", "--detach"]).await;
    assert!(said.code == 1 && said.err.contains("no location is connected yet"), "{said:?}");
    let (trafft, other) = (world.sandbox.trafft.clone(), world.sandbox.add_trafft().await.unwrap());
    world.connected(SECOND, &trafft).await;
    let contact = world.sandbox.ghl.seed_contacts(SECOND, 1, true).remove(0);
    let said = world.says(&["contacts", "sync", &contact]).await;
    assert_eq!(said.json()["status"], "synced", "{said:?}");
    for command in [&["backfill", "--dry-run", "--detach"][..], &["sweeps", "run", "contacts"], &["backfill", "--stop"]]
    {
        let said = world.says(command).await;
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{command:?}: {said:?}");
    }
    // From now on there are two.
    world.connected(FIRST, &other).await;
    for command in [&["backfill", "--detach"][..], &["sweeps", "run", "contacts"], &["contacts", "sync", "unknown"]] {
        asks_which(&world.says(command).await);
        let said = world.says(&[command, &["--location", FIRST]].concat()).await;
        assert_eq!(said.code, 0, "{command:?}: {said:?}");
    }
    // One that is known is found in its location, whatever else is connected.
    world.pass().await;
    let said = world.says(&["contacts", "sync", &contact]).await;
    assert_eq!(said.json()["status"], "unchanged", "{said:?}");
    // Both have a contact of this id.
    let said = world.says(&["contacts", "sync", &contact, "--location", FIRST]).await;
    assert_eq!(said.code, 0, "{said:?}");
    for command in [&["contacts", "show", &contact][..], &["contacts", "sync", &contact]] {
        asks_which(&world.says(command).await);
    }
    let said = world.says(&["contacts", "show", &contact, "--location", SECOND]).await;
    assert_eq!(said.json()["contact"]["location_id"], SECOND, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_in_the_settings_none_is_meant_unless_it_is_named_there() {
    let mut world = World::stopped(&[]).await;
    let file = world.path("connections.toml");
    let others = Others::beside(&world.sandbox, 2, file.as_ref()).await;
    let first = world.sandbox.ghl.location_id();
    world.set("CONNECTIONS_FILE", &file);
    let begin = async |world: &mut World| {
        world.start().await;
        let mut settings = world.settings();
        settings.insert("BIND_ADDR".to_owned(), world.address());
        let said = run(&settings, &["sweeps", "run", "contacts"]).await;
        world.idle().await;
        world.stop().await;
        said
    };
    let said = begin(&mut world).await;
    let begun = |said: &Said| -> Value { said.json()["sweeps"][0]["location_id"].clone() };
    assert_eq!(begun(&said), json!(first), "that of `GHL_LOCATION_ID`");
    for name in ["GHL_LOCATION_ID", "GHL_ACCESS_TOKEN", "TRAFFT_API_URL", "TRAFFT_CLIENT_ID", "TRAFFT_CLIENT_SECRET"] {
        world.set(name, "");
    }
    asks_which(&begin(&mut world).await);
    let text = std::fs::read_to_string(&file).unwrap();
    let (of_one, _) = text.split_at(text.rfind("[[connection]]").unwrap());
    std::fs::write(&file, of_one).unwrap();
    assert_eq!(begun(&begin(&mut world).await), json!(others.locations[0]), "the only one");
}
