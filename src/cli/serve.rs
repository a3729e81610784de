//! `serve`: the service.

use super::output::Failure;
use crate::app::{self, App, load};
use crate::clock::Clock;
use crate::config::Sources;
use crate::lifecycle;
use crate::telemetry;

pub(super) async fn serve(sources: &Sources) -> Result<(), Failure> {
    let config = load(sources)?;
    telemetry::init(config.log_json, "info")?;
    let stop = lifecycle::stop_on_signal()?;
    match App::build(config, Clock::system(), stop).await {
        Ok(app) => Ok(app.run().await?),
        Err(app::Error::Stopped) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
