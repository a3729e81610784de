//! The database, as the settings name it, and what it tells of a service that works with it.

use std::path::Path;

use crate::app;
use crate::config::Config;
use crate::model::Check;
use crate::store::{self, Store};

/// Does a service work with this database?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// There is no database: none ever has.
    Never,
    /// None does now.
    Stopped,
    /// One does on this machine: it holds the file.
    Here,
    /// One does, here or on another machine.
    Somewhere,
    /// The database does not tell.
    Unknown,
}

impl Service {
    /// May one be running?
    pub(super) fn runs(self) -> bool {
        !matches!(self, Self::Never | Self::Stopped)
    }

    /// Is one known to be running?
    pub(super) fn can_be_asked(self) -> bool {
        matches!(self, Self::Here | Self::Somewhere)
    }
}

/// What came of opening it.
pub(super) struct Opened {
    pub(super) check: Check,
    pub(super) service: Service,
    /// Open, where no service has it for itself.
    pub(super) store: Option<Store>,
    /// How many locations people have connected, as far as that can be seen.
    pub(super) entered: usize,
}

impl Opened {
    fn without(check: Check, service: Service) -> Self {
        Self { check, service, store: None, entered: 0 }
    }
}

const TRIED: &str = "store: open the database";

pub(super) async fn open(config: &Config) -> Opened {
    if let Some(file) = store::sqlite_file(&config.database_url).filter(|file| !file.exists()) {
        return Opened::without(none_yet(&file), Service::Never);
    }
    let keys = match app::keys(config) {
        Ok(keys) => keys,
        Err(error) => return Opened::without(Check::bad(TRIED, "not tried", error.to_string()), Service::Unknown),
    };
    match Store::open(&config.database_url, keys).await {
        Ok(store) => match look(&store, config).await {
            Ok((service, entered)) => {
                let check = Check::good(TRIED, "works, and its secrets open");
                Opened { check, service, store: Some(store), entered }
            }
            Err(error) => {
                store.close().await;
                Opened::without(Check::bad(TRIED, "cannot be read", error.to_string()), Service::Unknown)
            }
        },
        Err(store::Error::Locked(_)) => {
            Opened::without(Check::good(TRIED, "a service is running with it"), Service::Here)
        }
        Err(error) => Opened::without(Check::bad(TRIED, "cannot be opened", error.to_string()), Service::Unknown),
    }
}

/// `serve` makes the file, but no folder.
fn none_yet(file: &Path) -> Check {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match folder.is_dir() {
        true => Check::good(TRIED, format!("there is none yet; `serve` makes it (`{}`)", file.display())),
        false => Check::bad(
            TRIED,
            format!("the folder `{}` is not there", folder.display()),
            "make it, or change `DATABASE_URL`",
        ),
    }
}

/// Whether a process lives by it, and how many locations people have connected.
async fn look(store: &Store, config: &Config) -> store::Result<(Service, usize)> {
    let service = if store.living(config.lease).await? > 0 { Service::Somewhere } else { Service::Stopped };
    let entered = store.connections().await?.iter().filter(|one| one.entered).count();
    Ok((service, entered))
}
