//! An edit in HighLevel, one at a time, while nothing else goes on: how long until Trafft has it?

use std::time::{Duration, Instant};

use sandbox::Sandbox;
use serde_json::json;

use crate::load::{Line, alone};
use crate::service::{Service, request};

/// Contacts take turns, so that none is in the breather after its last settle, and edits are far
/// enough apart for HighLevel's ten calls a second.
const CONTACTS: usize = 10;
const APART: Duration = Duration::from_millis(250);

/// From sending each event until it is answered `synced`. That is after Trafft's answer and after
/// our own last commit, and it holds the time of the two emulators: more than what the service
/// adds, never less.
#[expect(clippy::disallowed_methods, reason = "a bench lives by the machine's clock")]
pub(crate) fn edits(sandbox: &Sandbox, service: &Service, count: usize) -> Vec<Duration> {
    alone(async {
        let mut line = Line::open(service.address).await;
        let contact = |number| {
            let email = format!("idle{number}@example.com");
            sandbox.ghl.create_contact(json!({ "firstName": "Idle", "lastName": "Contact", "email": email }))
        };
        let contacts: Vec<_> = (0..CONTACTS).map(contact).collect();
        for event in sandbox.ghl.take_events() {
            tokio::time::sleep(APART * 4).await;
            line.ask(&request(sandbox, &event.body)).await;
        }
        let mut taken = Vec::new();
        for number in 0..count {
            tokio::time::sleep(APART).await;
            sandbox.ghl.edit_contact(&contacts[number % CONTACTS], json!({ "firstName": format!("Idle{number}") }));
            let event = sandbox.ghl.take_events().pop().unwrap();
            let signed = request(sandbox, &event.body);
            let before = sandbox.trafft.journal().writes();
            let start = Instant::now();
            let answer = line.ask(&signed).await;
            taken.push(start.elapsed());
            assert!(answer.contains(r#""status":"synced""#), "not synced: {answer}");
            assert_eq!(sandbox.trafft.journal().writes(), before + 1, "an edit is one write");
        }
        taken
    })
}
