//! Further locations beside the sandbox's first, each with a Trafft account of its own.

use std::path::Path;

use sandbox::{Sandbox, Trafft};

pub struct Others {
    pub locations: Vec<String>,
    pub traffts: Vec<Trafft>,
    /// To be kept as long as they are needed.
    pub sandboxes: Vec<Sandbox>,
}

impl Others {
    /// So many, told in a file as `CONNECTIONS_FILE` wants it.
    pub async fn beside(first: &Sandbox, count: usize, path: &Path) -> Self {
        let (mut file, mut locations, mut sandboxes) = (String::new(), Vec::new(), Vec::new());
        for number in 0..count {
            let options = sandbox::Options { clock: first.clock.clone(), ..Default::default() };
            let other = Sandbox::start(options).await.unwrap();
            let location = format!("location{number:012}");
            let token = first.ghl.add_location(&location, "Studio", "America/New_York", "US");
            file += &format!(
                "[[connection]]\nghl_location_id = \"{location}\"\nghl_access_token = \"{token}\"\ntrafft_api_url = \"{}\"\n\
                 trafft_client_id = \"{}\"\ntrafft_client_secret = \"{}\"\n",
                other.trafft.url(),
                other.trafft.client_id(),
                other.trafft.client_secret()
            );
            locations.push(location);
            sandboxes.push(other);
        }
        std::fs::write(path, file).unwrap();
        let traffts = sandboxes.iter().map(|other| other.trafft.clone()).collect();
        Self { locations, traffts, sandboxes }
    }
}
