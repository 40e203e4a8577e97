//! Removes what is due, in the background.

use super::{delete_due, pending};
use crate::{Error, Store, Worker};
use std::sync::Arc;
use std::time::Duration;

/// Objects removed between two looks at the queue.
const OBJECTS_PER_ROUND: usize = 256;
/// How long to look away at most: a deletion that was written meanwhile waits no longer than this.
const LOOK_AWAY_MAX: Duration = Duration::from_secs(10);

/// Removes objects in the background when they are due. What was left undone when the process ended is due at once.
pub fn start(store: Arc<Store>) -> Worker {
    Worker::start(async move { run(&store).await })
}

async fn run(store: &Arc<Store>) {
    loop {
        let wait = match delete_due(store, OBJECTS_PER_ROUND).await {
            Ok(deleted) if deleted.more => continue,
            Ok(_) => next(store).unwrap_or(LOOK_AWAY_MAX),
            Err(error) if error.is_final() => {
                tracing::debug!("objects are no longer removed in the background");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "objects that are due could not be looked for; they are looked for again");
                LOOK_AWAY_MAX
            }
        };
        let mut tick = tokio::time::interval(wait.clamp(Duration::from_millis(1), LOOK_AWAY_MAX));
        // The first tick is now.
        tick.tick().await;
        tick.tick().await;
    }
}

/// How long until the next one is due.
fn next(store: &Arc<Store>) -> Result<Duration, Error> {
    let next = pending(store.snapshot(), None, 1)?;
    let wait = next.first().map(|deletion| deletion.not_before.saturating_sub(store.env().now()));
    Ok(wait.map_or(LOOK_AWAY_MAX, |micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))))
}
