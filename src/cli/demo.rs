//! `demo`: the true service between a GoHighLevel and a Trafft on this machine, and a story that
//! plays on them.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use sandbox::ghl::{Delivery, WebhookSwitches};
use sandbox::{Customer, Event, Fault, Matcher, Sandbox};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::output::{Failure, print};
use crate::app::{self, App, Handle, load};
use crate::clock::Clock;
use crate::config::Sources;
use crate::lifecycle;
use crate::telemetry;

const ADMIN_TOKEN: &str = "demo-admin-token";

/// How to play.
#[derive(Debug, clap::Args)]
pub(super) struct Play {
    /// Exit when the story is told; fail if anything differs from what it should be
    #[arg(long)]
    once: bool,
}

pub(super) async fn demo(play: Play) -> Result<(), Failure> {
    telemetry::init(false, "error")?;
    let stop = lifecycle::stop_on_signal()?;
    let mut stage = Stage::set().await?;
    let told = tokio::select! {
        told = stage.story() => told,
        () = stop.cancelled() => Ok(()),
    };
    if told.is_ok() && !play.once && !stop.is_cancelled() {
        stage.invite()?;
        stop.cancelled().await;
    }
    stage.strike().await?;
    told?;
    if stage.wrong == 0 {
        Ok(())
    } else {
        Err(Failure::new(format!("{} things are not as they should be", stage.wrong)))
    }
}

/// The vendors, the service between them, and how the story has gone so far.
struct Stage {
    sandbox: Sandbox,
    settings: HashMap<String, String>,
    folder: std::path::PathBuf,
    service: Option<Service>,
    clock: Clock,
    steps: u32,
    wrong: u32,
}

struct Service {
    url: String,
    handle: Handle,
    stop: CancellationToken,
    run: JoinHandle<Result<(), app::Error>>,
}

impl Stage {
    async fn set() -> Result<Self, Failure> {
        let sandbox = Sandbox::start(sandbox::Options::default()).await?;
        let folder = std::env::temp_dir().join(format!("ghl-trafft-sync-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut settings: HashMap<String, String> =
            sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (name, value) in [
            ("DATABASE_URL", format!("sqlite://{}", folder.join("demo.db").display())),
            ("BIND_ADDR", "127.0.0.1:0".to_owned()),
            ("ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
        ] {
            settings.insert(name.to_owned(), value);
        }
        let clock = Clock::system();
        let mut stage = Self { sandbox, settings, folder, service: None, clock, steps: 0, wrong: 0 };
        stage.start().await?;
        Ok(stage)
    }

    async fn start(&mut self) -> Result<(), Failure> {
        let config = load(&Sources { environment: self.settings.clone(), ..Default::default() })?;
        let stop = CancellationToken::new();
        let app = App::build(config, self.clock.clone(), stop.clone()).await?;
        let url = format!("http://{}/webhooks/ghl", app.address());
        let handle = app.handle();
        // Also after a restart it listens where it did before.
        self.settings.insert("BIND_ADDR".to_owned(), app.address().to_string());
        self.service = Some(Service { url, handle, stop, run: tokio::spawn(app.run()) });
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), Failure> {
        if let Some(service) = self.service.take() {
            service.stop.cancel();
            service.run.await??;
        }
        Ok(())
    }

    async fn strike(&mut self) -> Result<(), Failure> {
        self.stop().await?;
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }

    async fn story(&mut self) -> Result<(), Failure> {
        print("A GoHighLevel (GHL) and a Trafft run on this machine, the service between them. Every event below is")?;
        print(
            "signed as HighLevel signs, and goes the whole way: verified, stored, read back from GHL, made true in Trafft.",
        )?;
        let ghl = self.sandbox.ghl.clone();
        let trafft = self.sandbox.trafft.clone();

        self.step("A contact is created in GHL")?;
        let ada = ghl.create_contact(json!({
            "firstName": "Ada", "lastName": "Example", "email": "ada@example.com", "phone": "+14155550142", "tags": ["vip"]
        }));
        let answer = self.deliver_all().await?;
        let customer = answer["trafft_customer_id"].as_i64().unwrap_or_default();
        self.check("it is synced while HighLevel waits", answer["status"] == "synced")?;
        self.holds(customer, |now| now.last_name == "Example" && now.phone_number.as_deref() == Some("+14155550142"))?;

        self.step("The contact is edited")?;
        ghl.edit_contact(&ada, json!({ "lastName": "Byron" }));
        let edit = ghl.events().last().cloned();
        self.deliver_all().await?;
        self.holds(customer, |now| now.last_name == "Byron")?;

        self.step("HighLevel delivers the same event again")?;
        if let Some(edit) = edit {
            let answer = self.deliver(&edit).await?;
            self.check("it is known, and costs no call", answer["status"] == "duplicate" && self.asked().is_empty())?;
        }

        self.step("Somebody tampers with an event on its way")?;
        ghl.edit_contact(&ada, json!({ "website": "https://example.com" }));
        ghl.set_switches(WebhookSwitches { bad_signature: true, ..WebhookSwitches::default() });
        for event in ghl.take_events() {
            let refused = self.post(&event).await?;
            let detail = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
            print(format!("  {} → {}: {detail}", event.kind, refused.status))?;
            self.check(
                "it is refused, and nobody is asked anything",
                refused.status == 401 && self.asked().is_empty(),
            )?;
        }
        ghl.set_switches(WebhookSwitches::default());

        self.step("A task is created, and a note that holds HTML")?;
        let task = ghl
            .add_task(&ada, json!({ "title": "Call back", "dueDate": "2027-09-08T14:30:00.000Z", "completed": false }));
        ghl.add_note(&ada, json!({ "body": "<p>Prefers <b>mornings</b><script>alert(1)</script></p>" }));
        self.deliver_all().await?;
        self.holds(customer, |now| {
            described(now, "[ ] Call back") && described(now, "Prefers mornings") && !described(now, "<")
        })?;

        self.step("The task is completed")?;
        ghl.complete_task(&ada, &task);
        self.deliver_all().await?;
        self.holds(customer, |now| described(now, "[x] Call back"))?;

        self.step("Fifty edits arrive at once")?;
        for edit in 1..=50 {
            ghl.edit_contact(&ada, json!({ "lastName": format!("Edit {edit}") }));
        }
        let events = ghl.take_events();
        join_all(events.iter().map(|event| self.deliver_quietly(event))).await;
        self.settle().await?;
        let reads = ghl.journal().reads();
        print(format!("  50 events, {reads} reads from GHL, {} writes to Trafft", trafft.journal().writes()))?;
        self.check("they are read together", reads <= 3)?;
        self.holds(customer, |now| now.last_name == "Edit 50")?;

        self.step("Trafft is down for a moment")?;
        trafft.faults().push(Matcher::any(), Fault::Status(503));
        ghl.edit_contact(&ada, json!({ "lastName": "Lovelace" }));
        let answer = self.deliver_all().await?;
        self.check("HighLevel is answered all the same: the event is stored", answer["status"] == "queued")?;
        print("  … waiting for the next attempt")?;
        self.settle().await?;
        self.holds(customer, |now| now.last_name == "Lovelace")?;

        self.step("The service is restarted in the middle of its work")?;
        trafft.faults().push(Matcher::any(), Fault::Status(503));
        ghl.create_contact(json!({ "firstName": "Bob", "lastName": "Sample", "email": "bob@example.com" }));
        let answer = self.deliver_all().await?;
        self.check("an event is stored, its work is not done", answer["status"] == "queued")?;
        self.stop().await?;
        print("  … stopped, and started again")?;
        self.start().await?;
        self.settle().await?;
        let found: Vec<_> =
            trafft.customers().into_iter().filter(|one| one.email.as_deref() == Some("bob@example.com")).collect();
        self.check("the contact became one customer, not two, not none", found.len() == 1)?;
        if let Some(one) = found.first() {
            self.holds(one.id, |now| now.first_name == "Bob")?;
        }

        let complaints = [ghl.complaints(), trafft.complaints()].concat();
        self.check("nobody was asked for anything that the vendors' contracts forbid", complaints.is_empty())?;
        print(match self.wrong {
            0 => "\nEverything is as it should be.".to_owned(),
            wrong => format!("\n{wrong} things are NOT as they should be."),
        })
    }

    fn step(&mut self, title: &str) -> Result<(), Failure> {
        self.steps += 1;
        self.sandbox.ghl.journal().clear();
        self.sandbox.trafft.journal().clear();
        print(format!("\n{}. {title}", self.steps))
    }

    /// Everything that GHL has to tell, in order; the last answer.
    async fn deliver_all(&self) -> Result<Value, Failure> {
        let mut last = Value::Null;
        for event in self.sandbox.ghl.take_events() {
            last = self.deliver(&event).await?;
        }
        Ok(last)
    }

    async fn deliver(&self, event: &Event) -> Result<Value, Failure> {
        let answer = self.post(event).await?.json();
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let reason = Some(word("reason")).filter(|reason| !reason.is_empty()).map(|reason| format!(" ({reason})"));
        print(format!("  {} → {}{}", event.kind, word("status"), reason.unwrap_or_default()))?;
        for call in self.asked() {
            print(format!("      {call}"))?;
        }
        Ok(answer)
    }

    async fn deliver_quietly(&self, event: &Event) {
        // Whether it arrived shows in what Trafft holds afterwards.
        let _ = self.post(event).await;
    }

    async fn post(&self, event: &Event) -> Result<Delivery, Failure> {
        let service = self.service.as_ref().ok_or_else(|| Failure::new("the service is not running"))?;
        Ok(self.sandbox.ghl.deliver(event, &service.url).await?)
    }

    /// What the vendors were asked since the last look.
    fn asked(&self) -> Vec<String> {
        let journals = [("GHL   ", self.sandbox.ghl.journal()), ("Trafft", self.sandbox.trafft.journal())];
        let mut asked = Vec::new();
        for (vendor, journal) in journals {
            asked.extend(
                journal
                    .entries()
                    .iter()
                    .map(|call| format!("{vendor} {} {} → {}", call.method, call.path, call.status)),
            );
            journal.clear();
        }
        asked
    }

    /// Waits until the service has nothing left to do in the next minute.
    async fn settle(&mut self) -> Result<(), Failure> {
        let Some(service) = &mut self.service else { return Ok(()) };
        let horizon = self.clock.now() + Duration::from_mins(2);
        while let Some(next) = service.handle.idle().await?.filter(|next| *next < horizon) {
            self.clock.sleep_until(next).await;
        }
        Ok(())
    }

    fn holds(&mut self, customer: i64, right: impl Fn(&Customer) -> bool) -> Result<(), Failure> {
        let Some(now) = self.sandbox.trafft.customer(customer) else {
            return self.check(&format!("Trafft has customer {customer}"), false);
        };
        let or_none = |field: &Option<String>| field.clone().unwrap_or_else(|| "—".to_owned());
        print(format!(
            "  Trafft holds customer {}: {} {}, {}, {}",
            now.id,
            now.first_name,
            now.last_name,
            or_none(&now.email),
            or_none(&now.phone_number)
        ))?;
        for line in now.description.as_deref().unwrap_or_default().lines() {
            print(format!("      | {line}"))?;
        }
        self.check("as it should be", right(&now))
    }

    fn check(&mut self, what: &str, holds: bool) -> Result<(), Failure> {
        self.wrong += u32::from(!holds);
        print(format!("  {} {what}", if holds { "✓" } else { "✗ NOT:" }))
    }

    /// The story is told; what the reader can do now.
    fn invite(&self) -> Result<(), Failure> {
        let Some(service) = &self.service else { return Ok(()) };
        self.sandbox.ghl.set_webhook_url(Some(service.url.clone()));
        let ghl = self.sandbox.ghl.url();
        let trafft = self.sandbox.trafft.url();
        let url = service.url.trim_end_matches("/webhooks/ghl");
        print(format!(
            "\nAll three stay up until Ctrl-C, and GHL now delivers its events by itself. Try:\n\n\
             \x20 # somebody edits contacts in GHL, and staff look at Trafft\n\
             \x20 curl -s -X POST {ghl}/_control/contacts -H 'content-type: application/json' \\\n\
             \x20      -d '{{\"firstName\": \"Grace\", \"lastName\": \"Hopper\", \"email\": \"grace@example.com\"}}'\n\
             \x20 curl -s {trafft}/_control/customers\n\n\
             \x20 # what happened, as the operator sees it\n\
             \x20 curl -s {url}/api/v1/events -H 'authorization: Bearer {ADMIN_TOKEN}'\n\
             \x20 curl -s {url}/metrics\n\n\
             \x20 # everything else that the two can do\n\
             \x20 curl -s {ghl}/ ; curl -s {trafft}/\n"
        ))
    }
}

fn described(customer: &Customer, part: &str) -> bool {
    customer.description.as_deref().unwrap_or_default().contains(part)
}
