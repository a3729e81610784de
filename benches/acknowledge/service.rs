//! The true service between the sandbox's two vendors, on a file, by the machine's clock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ghl_trafft_sync::app::{App, Error, load};
use ghl_trafft_sync::clock::Clock;
use ghl_trafft_sync::config::Sources;
use sandbox::Sandbox;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::load::Requests;

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    run: JoinHandle<Result<(), Error>>,
}

impl Service {
    /// Running on a database of its own in `folder`, its customers indexed.
    pub(crate) async fn start(sandbox: &Sandbox, folder: &Path, deadline: &str) -> Self {
        let vendors = sandbox.settings().into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut settings: HashMap<_, _> = vendors.collect();
        let file = format!("sqlite://{}/sync-{deadline}.db", folder.display());
        for (name, value) in [
            ("BIND_ADDR", "127.0.0.1:0"),
            ("DATABASE_URL", file.as_str()),
            ("TRAFFT_PAGE_PAUSE_MS", "0"),
            ("SYNC_INLINE_DEADLINE_MS", deadline),
        ] {
            settings.insert(name.to_owned(), value.to_owned());
        }
        let config = load(&Sources { environment: settings, ..Default::default() }).unwrap();
        let stop = CancellationToken::new();
        let app = App::build(config, Clock::system(), stop.clone()).await.unwrap();
        let (address, mut handle) = (app.address(), app.handle());
        let run = tokio::spawn(app.run());
        handle.idle().await.unwrap();
        Self { address, stop, run }
    }

    /// Work for the vendors may be left over: they allow ten calls a second, and the load was a
    /// thousand times that.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let _ = self.run.await.unwrap();
    }
}

/// A signed event as HighLevel sends it.
pub(crate) fn request(sandbox: &Sandbox, body: &[u8]) -> Vec<u8> {
    let (length, signature) = (body.len(), sandbox.ghl.sign(body));
    let head = format!(
        "POST /webhooks/ghl HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         x-ghl-signature: {signature}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// An event about a contact that nobody has heard of, nothing in it said before: nothing can be
/// taken together.
pub(crate) fn body(sandbox: &Sandbox) -> String {
    let (location, app, webhook) = (sandbox.ghl.location_id(), sandbox.ghl.app_id(), Uuid::new_v4());
    let contact = &Uuid::new_v4().simple().to_string()[..20];
    let at = Clock::system().now();
    format!(
        r#"{{"type":"ContactUpdate","locationId":"{location}","id":"{contact}","address1":"3535 1st St N","city":"Dolomite","state":"AL","companyName":"Loram ipsum","country":"US","source":"xyz form","dateAdded":"2026-08-26T22:14:36.000Z","dateOfBirth":"1990-09-25T00:00:00.000Z","dnd":false,"email":"{contact}@example.com","name":"John Deo","firstName":"John","lastName":"Deo","phone":"+19195550123","postalCode":"35061","tags":["id magna sed Lorem","Duis dolor commodo aliqua"],"website":"https://www.example.com/","attachments":[],"assignedTo":"nmFmQEsNgz6AVpgLVUJ0","customFields":[{{"id":"BcdmQEsNgz6AVpgLVUJ0","value":"Lorem ipsum dolor"}}],"timestamp":"{at}","webhookId":"{webhook}","appId":"{app}","companyId":"GpLXKgXJFhfZLl8ynnBo","versionId":"{app}"}}"#
    )
}

/// That many of them, signed beforehand.
pub(crate) fn requests(sandbox: &Sandbox, count: usize) -> Requests {
    Arc::new((0..count).map(|_| request(sandbox, body(sandbox).as_bytes())).collect())
}
