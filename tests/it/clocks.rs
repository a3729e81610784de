//! Clocks that are wrong, that differ, and that are set right.

use std::fs;
use std::time::Duration;

use ghl_trafft_sync::clock::Clock;
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::stopping::{Stage, done};
use crate::support::World;
use crate::support::database::Database;
use crate::support::process::{Process, shim};

const HOUR: Duration = Duration::from_hours(1);

fn person(name: &str) -> Value {
    json!({ "firstName": name, "lastName": "Example", "email": format!("{name}@example.com") })
}

/// The true program on a machine whose clock is wrong.
pub(crate) struct Machine(tempfile::TempDir);

impl Machine {
    pub(crate) fn new(seconds_ahead: i64) -> Self {
        let machine = Self(tempfile::TempDir::new().unwrap());
        shim("clock.c", machine.0.path());
        machine.set(seconds_ahead);
        machine
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn set(&self, seconds_ahead: i64) {
        fs::write(self.file("new"), seconds_ahead.to_string()).unwrap();
        fs::rename(self.file("new"), self.file("shift")).unwrap();
    }

    /// What starts a program on this machine.
    pub(crate) fn wrap(&self) -> [String; 3] {
        let (shim, shift) = (self.file("clock.so"), self.file("shift"));
        ["env".to_owned(), format!("LD_PRELOAD={shim}"), format!("SHIFT={shift}")]
    }

    async fn process(&self, stage: &Stage) -> Process {
        let process = Process::wrapped(stage.settings.clone(), |command| _ = command.args(self.wrap()));
        process.ready(&stage.http).await;
        // It lives by that clock, or the tests would say nothing.
        let answer = stage.http.get(format!("{}/healthz", process.url)).send().await.unwrap();
        let told = jiff::fmt::rfc2822::parse(answer.headers()["date"].to_str().unwrap()).unwrap().timestamp();
        let ahead: i64 = fs::read_to_string(self.file("shift")).unwrap().parse().unwrap();
        let off = told.as_second() - Clock::system().now().as_second() - ahead;
        assert!(off.abs() < 15, "its clock is {off} s off what it was set to");
        process
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_whose_clocks_differ_create_one_customer() {
    let Some(database) = Database::postgres() else { return };
    let settings = [
        ("DATABASE_URL", database.url()),
        ("LEASE_SECONDS", "3"),
        ("SETTLE_SECONDS", "8"),
        ("SYNC_INLINE_DEADLINE_MS", "0"),
    ];
    let stage = Stage::set(&settings).await;
    let ahead = Machine::new(70);
    let mut first = stage.process().await;
    let _second = ahead.process(&stage).await;
    // The create is carried out long after the connection broke, and its process dies meanwhile.
    let late = Fault::DroppedThenDone { after_ms: 6_000 };
    stage.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), late);
    assert_eq!(stage.contact(&first, "Ada").await, done("queued"));
    let mut moment = tokio::time::interval(Duration::from_millis(20));
    while stage.sandbox.trafft.faults().unspent() > 0 {
        moment.tick().await;
    }
    first.kill();
    stage.customer("Ada").await;
    // The other one takes over after 4 s at most. It creates at once if it believes that the settle
    // time has passed, and else has looked for the customer by now.
    for _ in 0..250 {
        moment.tick().await;
    }
    let customers = stage.sandbox.trafft.customers();
    assert_eq!(customers.len(), 1, "{customers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_right_while_it_works_freezes_nothing() {
    let stage = Stage::set(&[("LEASE_SECONDS", "3")]).await;
    let machine = Machine::new(3600);
    let process = machine.process(&stage).await;
    assert_eq!(stage.contact(&process, "Ada").await, done("synced"));
    // One waits for its next attempt, half a minute later by the wrong clock.
    stage.sandbox.ghl.faults().push(Matcher::path("/contacts/"), Fault::TooManyRequests { retry_after: Some(2) });
    assert_eq!(stage.contact(&process, "Blaise").await, done("queued"));
    machine.set(0);
    stage.customer("Blaise").await;
    let contact = stage.sandbox.ghl.contact_ids()[0].clone();
    stage.sandbox.ghl.edit_contact(&contact, json!({ "firstName": "Adele" }));
    let body = stage.sandbox.ghl.take_events().pop().unwrap().body;
    stage.deliver(&process, &body).await.unwrap();
    stage.customer("Adele").await;
}

/// The clock of the service was an hour ahead; it is set right while the service is stopped.
#[tokio::test]
async fn what_a_clock_that_ran_ahead_has_stored_goes_on_at_once() {
    let settings = [("SYNC_INLINE_DEADLINE_MS", "0"), ("DELETE_POLICY", "delete-created")];
    let mut world = World::stopped(&settings).await;
    let ghl = world.sandbox.ghl.clone();
    let right = Clock::manual(world.clock.now());
    world.clock.advance(HOUR);
    world.start().await;
    let [settled, deleted, booked] = ["settled", "deleted", "booked"].map(|name| ghl.create_contact(person(name)));
    ghl.add_appointment(
        &booked,
        json!({ "title": "Massage", "startTime": "2026-09-01T15:00:00Z", "endTime": "2026-09-01T16:00:00Z",
            "appointmentStatus": "confirmed" }),
    );
    world.deliver_all().await;
    world.idle().await;
    let next = world.contact(&booked).await["due_at"].clone();
    assert!(next.is_string(), "it is due when the appointment begins");
    // A create whose end nobody knows, a read that has to wait, and a contact that was not found
    // once.
    world.sandbox.trafft.faults().push(Matcher::new("POST", "/api/v2/customers"), Fault::DoneThenDropped);
    ghl.create_contact(person("unclear"));
    world.deliver_all().await;
    world.idle().await;
    ghl.faults().push(Matcher::path("/contacts/"), Fault::TooManyRequests { retry_after: Some(60) });
    ghl.create_contact(person("waiting"));
    world.deliver_all().await;
    world.idle().await;
    ghl.delete_contact(&deleted);
    world.deliver_all().await;
    world.idle().await;
    world.stop().await;
    let passed = world.clock.now().duration_since(right.now() + HOUR);
    right.advance(Duration::try_from(passed).unwrap());
    world.clock = right;
    world.start().await;
    assert_eq!(world.contact(&booked).await["due_at"], next, "an appointment lies ahead for good reason");
    ghl.edit_contact(&settled, json!({ "firstName": "edited" }));
    world.deliver_all().await;
    world.rest(Duration::from_mins(3)).await;
    let customers = world.sandbox.trafft.customers();
    let mut names: Vec<_> = customers.iter().map(|customer| customer.first_name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["booked", "edited", "unclear", "waiting"]);
}

/// Only HighLevel's own clock tells when a contact changed, and whether an UNINSTALL is about this
/// install or an earlier one.
#[tokio::test]
async fn our_clock_is_not_highlevels() {
    let mut world = World::stopped(&[("SWEEP_CONTACTS_MINUTES", "15")]).await;
    world.clock.advance(Duration::from_mins(10));
    world.start().await;
    let contact = world.synced(person("before")).await;
    world.sandbox.ghl.edit_contact(&contact, json!({ "firstName": "after" }));
    world.sandbox.ghl.take_events();
    world.rest(Duration::from_mins(20)).await;
    assert_eq!(world.customer_of(&contact).await.first_name, "after");

    for (ahead, behind) in [(600, 0), (0, 600)] {
        let world = World::app(&[]).await;
        world.clock.advance(Duration::from_secs(ahead));
        world.sandbox.clock.advance_ms(behind * 1000);
        let (ghl, shown) = (world.sandbox.ghl.clone(), format!("{ahead} s ahead, {behind} s behind"));
        let path = format!("/api/v1/connections/{}", ghl.location_id());
        world.connect().await;
        world.advance(Duration::from_secs(60));
        ghl.uninstall_location(&ghl.location_id());
        let first = ghl.take_events().pop().unwrap();
        assert_eq!(world.deliver(&first).await.status(), "applied", "{shown}");
        assert_eq!(world.get(&path).await.json["install"], "uninstalled", "{shown}");
        world.advance(Duration::from_secs(60));
        world.install().await;
        // The same once more, late: it is about the install before.
        let late = String::from_utf8(first.body).unwrap().replace("\"webhookId\":\"", "\"webhookId\":\"late-");
        assert_eq!(world.signed(late).await.status(), "ignored", "{shown}");
        assert_eq!(world.get(&path).await.json["install"], "active", "{shown}");
    }
}
