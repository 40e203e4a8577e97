//! Publishes what changed, in the background.

use super::publish_due;
use crate::{Error, Store, Worker};
use std::sync::Arc;
use std::time::Duration;

/// Users published between two looks at the list.
const USERS_PER_ROUND: usize = 256;
/// How long to look away at most: a change that nobody told of waits no longer than this.
const LOOK_AWAY_MAX: Duration = Duration::from_secs(30);

/// Publishes in the background. What was not published when the process ended is published first.
pub fn start(store: Arc<Store>) -> Worker {
    Worker::start(async move { run(&store).await })
}

async fn run(store: &Arc<Store>) {
    loop {
        let told = store.turns().told.notified();
        if let Err(error) = round(store).await {
            if error.is_final() {
                tracing::debug!("manifests are no longer published in the background");
                return;
            }
            tracing::warn!(%error, "manifests that are due could not be looked for; they are looked for again");
        }
        // A storage that failed is asked again no sooner than this, unless somebody tells of a change.
        let _ = tokio::time::timeout(LOOK_AWAY_MAX, told).await;
    }
}

/// Everybody who is due, once.
async fn round(store: &Arc<Store>) -> Result<(), Error> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let (outcome, last) = publish_due(store, after.as_deref(), USERS_PER_ROUND).await?;
        if outcome.users > 0 {
            store.env().reached("published.round");
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}
