//! How HighLevel judges us: the share of deliveries that is accepted at the first try, over moved
//! days in which processes and databases come and go; and what is seen when it has switched the
//! events off.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use ghl_trafft_sync::clock::Clock;
use sandbox::ghl::LOOK_MS;
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::process::free_address;
use crate::support::{World, number};

const MINUTE: Duration = Duration::from_secs(60);
/// So many contacts are edited at once.
const TOGETHER: usize = 10;
const HOUR: Duration = Duration::from_hours(1);
const DAYS: Duration = Duration::from_hours(72);

/// A world whose HighLevel delivers by itself, to an address that stays, of contacts that are there
/// already.
struct Days {
    world: World,
    contacts: Vec<String>,
    edits: usize,
    /// Is the service running, and its database there?
    is_up: bool,
    /// Edits in three days, more or less.
    count: usize,
    /// When it was not, from when to when.
    excused: Vec<(i64, i64)>,
}

impl Days {
    async fn begin(settings: &[(&str, &str)]) -> Self {
        let address = free_address();
        let mut all = vec![("SYNC_INLINE_DEADLINE_MS", "0")];
        let bind = address.to_string();
        all.extend([("BIND_ADDR", bind.as_str())]);
        all.extend(settings);
        let world = World::with(&all).await;
        let ghl = &world.sandbox.ghl;
        ghl.set_webhook_url(Some(format!("http://{address}/webhooks/ghl")));
        let person =
            |number: usize| json!({ "firstName": "N", "lastName": "N", "email": format!("n{number}@example.com") });
        let contacts = (0..20).map(|number| ghl.create_contact(person(number))).collect();
        let mut days = Self { world, contacts, edits: 0, is_up: true, count: 0, excused: Vec::new() };
        days.pass(10 * MINUTE).await;
        days
    }

    fn now(&self) -> i64 {
        self.world.clock.now().as_millisecond()
    }

    /// Somebody edits a contact, who is the next one.
    fn edit(&mut self) {
        let contact = &self.contacts[self.edits % self.contacts.len()];
        self.edits += 1;
        self.world.sandbox.ghl.edit_contact(contact, json!({ "firstName": format!("N{}", self.edits) }));
    }

    /// As many edits as there are in so long a time; one at least.
    fn edit_as_ever(&mut self, time: Duration) {
        let edits = self.count as u64 * time.as_secs() / DAYS.as_secs();
        (0..edits.max(1)).for_each(|_| self.edit());
    }

    /// Everything is done that can be without time passing; tells when there is more to do.
    async fn settle(&self) -> Option<i64> {
        let ghl = &self.world.sandbox.ghl;
        while !ghl.deliveries_rest() {
            Clock::system().sleep(Duration::from_micros(200)).await;
        }
        let next = if self.is_up { self.world.idle().await } else { None };
        next.map(|at| at.as_millisecond()).into_iter().chain(ghl.next_delivery_ms()).min()
    }

    /// Lets so much time pass, and everything happen at its time.
    async fn pass(&mut self, time: Duration) {
        let end = self.now() + i64::try_from(time.as_millis()).unwrap();
        loop {
            let next = self.settle().await.unwrap_or(i64::MAX).min(end);
            let wait = u64::try_from(next - self.now()).unwrap_or(0);
            if next == end && wait == 0 {
                return;
            }
            self.world.advance(Duration::from_millis(wait.max(1)));
        }
    }

    /// Does the service take the events of the location for paused?
    async fn is_paused(&self) -> bool {
        let location = self.world.sandbox.ghl.location_id();
        let shown = self.world.get(&format!("/api/v1/connections/{location}")).await.json;
        shown["states"].as_array().unwrap().iter().any(|one| one["state"] == "events_paused")
    }

    /// The service is stopped while webhooks come, is away for so long, and is started again.
    async fn restart(&mut self, away: Duration) {
        let (begin, step) = (self.now(), away / 2);
        self.is_up = false;
        self.edit();
        self.world.stop().await;
        for _ in 0..2 {
            self.edit_as_ever(step);
            self.pass(step).await;
        }
        self.world.start().await;
        self.is_up = true;
        self.excused.push((begin, self.now()));
    }

    /// The same of its database, while it runs.
    async fn lose_database(&mut self, away: Duration) {
        let (begin, step) = (self.now(), away / 2);
        self.is_up = false;
        self.settle().await;
        self.world.lose_database(true);
        for _ in 0..2 {
            self.edit_as_ever(step);
            self.pass(step).await;
        }
        self.world.lose_database(false);
        // The connections that were in trouble are made anew, as time goes on by either clock.
        while self.world.get("/readyz").await.code != 200 {
            Clock::system().sleep(Duration::from_millis(20)).await;
            self.world.advance(Duration::from_millis(100));
        }
        self.is_up = true;
        self.excused.push((begin, self.now()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_days_with_restarts_and_a_database_that_comes_and_goes() {
    // `SCALE=20000` in the long run of docs/reliability.md: then HighLevel's own threshold holds.
    let count = usize::try_from(number("SCALE", 600)).unwrap();
    let mut days = Days::begin(&[]).await;
    days.count = count;
    days.world.sandbox.ghl.set_breaker_busy((count / 2).min(sandbox::ghl::BUSY));
    let steps = count / TOGETHER;
    let step = DAYS / u32::try_from(steps).unwrap();
    for number in 0..steps {
        match number * 4 % steps {
            // Four times in three days, in turn.
            rest if rest < 4 && (number * 4 / steps).is_multiple_of(2) => days.restart(MINUTE).await,
            rest if rest < 4 => days.lose_database(3 * MINUTE).await,
            _ => (0..TOGETHER).for_each(|_| days.edit()),
        }
        days.pass(step).await;
    }
    days.pass(3 * HOUR).await;

    let ghl = &days.world.sandbox.ghl;
    let tries = ghl.deliveries();
    let is_excused = |at: i64| days.excused.iter().any(|(begin, end)| (*begin..=*end).contains(&at));
    let is_accepted = |status: Option<u16>| status.is_some_and(|status| (200..300).contains(&status));
    let firsts: Vec<_> = tries.iter().filter(|one| one.retry == 0).collect();
    let judged: Vec<_> = firsts.iter().filter(|one| !is_excused(one.at_ms)).collect();
    let accepted = judged.iter().filter(|one| is_accepted(one.status)).count();
    let refused = firsts.iter().filter(|one| !is_accepted(one.status)).count();
    let _ = writeln!(
        std::io::stdout(),
        "{} first deliveries, {} of them while ready, of which {accepted} were accepted; {refused} refused in all; {} tries",
        firsts.len(),
        judged.len(),
        tries.len()
    );
    assert!(judged.len() >= count * 9 / 10 && refused >= 8, "{} and {refused}: this test shows nothing", judged.len());
    assert!(accepted * 1000 >= judged.len() * 999, "{accepted} of {}", judged.len());
    let ends: BTreeMap<_, _> = tries.iter().map(|one| (&one.webhook_id, one.status)).collect();
    assert!(ends.values().all(|status| is_accepted(*status)), "every delivery ends 2xx");
    assert_eq!(ghl.pending_deliveries(), 0);
    let breaker = ghl.breaker();
    assert_eq!((breaker.warned, breaker.paused_at_ms), (false, None), "{breaker:?}");

    // As the service counts it itself: what came while it did not run, it cannot know.
    let counted = days.world.deliveries().await;
    assert!(counted["share"].as_f64().unwrap() > 0.95 && counted["refused"].as_i64().unwrap() >= 4, "{counted}");
    let last = days.edits % days.contacts.len();
    let newest = days.world.customer_of(&days.contacts[(last + days.contacts.len() - 1) % days.contacts.len()]).await;
    assert_eq!(newest.first_name, format!("N{}", days.edits), "and nothing is lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_highlevel_has_switched_off_are_noticed_and_named() {
    let mut days = Days::begin(&[("SWEEP_CONTACTS_MINUTES", "60")]).await;
    days.world.sandbox.ghl.set_breaker_busy(100);
    days.edit();
    days.pass(2 * HOUR).await;
    assert!(!days.is_paused().await);
    // HighLevel signs with another key than the one in the settings: everything is refused.
    let key = days.world.settings()["GHL_WEBHOOK_PUBLIC_KEYS"].clone();
    let other = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";
    days.world.set("GHL_WEBHOOK_PUBLIC_KEYS", other);
    days.world.restart().await;
    for _ in 0..2 * LOOK_MS / 3_600_000 / 4 {
        days.edit();
        days.pass(4 * HOUR).await;
    }
    assert!(days.is_paused().await);
    let breaker = days.world.sandbox.ghl.breaker();
    assert!(breaker.paused_at_ms.is_some(), "{breaker:?}");
    // The mistake is mended, and still nothing comes: a person has to switch the events on.
    days.world.set("GHL_WEBHOOK_PUBLIC_KEYS", &key);
    days.world.restart().await;
    days.edit();
    days.pass(24 * HOUR).await;
    assert!(days.world.sandbox.ghl.breaker().unsent > 0);
    assert!(days.is_paused().await);
    days.world.sandbox.ghl.switch_events_on();
    days.edit();
    days.pass(2 * HOUR).await;
    assert!(!days.is_paused().await, "events come again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_while_the_service_was_away_is_no_pause() {
    let mut days = Days::begin(&[("SWEEP_CONTACTS_MINUTES", "60")]).await;
    days.edit();
    days.pass(HOUR).await;
    days.is_up = false;
    days.world.stop().await;
    days.world.sandbox.ghl.set_webhook_url(None);
    for _ in 0..8 {
        days.edit();
        days.pass(2 * HOUR).await;
    }
    // HighLevel has given all of them up.
    days.world.sandbox.ghl.take_events();
    days.world.start().await;
    days.is_up = true;
    days.pass(4 * HOUR).await;
    // One event that got lost makes no pause of it.
    days.edit();
    days.world.sandbox.ghl.take_events();
    days.pass(4 * HOUR).await;
    let found = days.world.get("/api/v1/findings?sweep=contacts").await;
    assert!(found.json["findings"].as_array().unwrap().len() >= 9, "{}", found.json);
    assert!(!days.is_paused().await);
}

#[tokio::test]
async fn first_deliveries_are_counted_and_repeats_are_not() {
    let mut world = World::new().await;
    let id = |number: u8| json!({ "webhookId": format!("{number}") });
    // While no event of our own app has come, another's is refused.
    let others = world.event(json!({ "webhookId": "other", "appId": "another-app" }));
    assert_eq!(world.deliveries().await, json!({ "accepted": 0, "refused": 0, "share": null, "too_few": false }));
    for _ in 0..3 {
        assert_eq!(world.signed(others.clone()).await.code, 429);
    }
    let own = world.event(id(1));
    for _ in 0..2 {
        assert_eq!(world.tell(own.clone()).await.code, 200);
    }
    assert_eq!(world.signed(others).await.code, 200, "the repeat of a refused one");
    world.post("/webhooks/ghl", &[], world.event(id(2))).await;
    let one_each = json!({ "accepted": 1, "refused": 1, "share": 0.5, "too_few": false });
    assert_eq!(world.deliveries().await, one_each);
    let metric =
        async |world: &World| world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metric(&world).await.contains("ghl_trafft_sync_deliveries_accepted_ratio 0.5\n"));
    world.restart().await;
    assert_eq!(world.deliveries().await, one_each, "a stop keeps them");
    // Stored as time passes, once each; and only three days count.
    assert_eq!(world.tell(world.event(id(3))).await.code, 200);
    for _ in 0..3 {
        world.rest(2 * MINUTE).await;
    }
    assert_eq!(world.deliveries().await["accepted"], 2);
    world.rest(74 * HOUR).await;
    assert_eq!(world.deliveries().await["share"], Value::Null);
    assert!(metric(&world).await.contains("ghl_trafft_sync_deliveries_accepted_ratio NaN\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_that_are_accepted_are_told() {
    let world = World::new().await;
    world.sql("INSERT INTO deliveries (hour, accepted, refused) VALUES (1788253200000, 970, 30)").await;
    let doctor = async |world: &World| {
        let mut settings = world.settings();
        settings.insert("BIND_ADDR".to_owned(), world.address());
        run(&settings, &["doctor", "--url", &world.url("")]).await.out
    };
    assert_eq!(world.deliveries().await["too_few"], false);
    let said = doctor(&world).await;
    assert!(
        said.contains("ok    deliveries: how HighLevel was answered in the past three days: 970 of 1000"),
        "{said}"
    );
    world.sql("UPDATE deliveries SET accepted = 900, refused = 100").await;
    assert_eq!(world.deliveries().await["too_few"], true);
    let said = doctor(&world).await;
    assert!(
        said.contains("FAIL  deliveries: how HighLevel was answered in the past three days: 900 of 1000"),
        "{said}"
    );
    assert!(said.contains("switches off an address"), "{said}");
}

impl World {
    async fn deliveries(&self) -> Value {
        self.get("/api/v1/deliveries").await.json
    }
}
