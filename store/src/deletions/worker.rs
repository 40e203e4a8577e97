//! Removes what is due, in the background.

use super::{delete_due, pending};
use crate::{Error, Store};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Objects removed between two looks at the queue.
const OBJECTS_PER_ROUND: usize = 256;
/// How long to look away at most: a deletion that was written meanwhile waits no longer than this.
const LOOK_AWAY_MAX: Duration = Duration::from_secs(10);

/// A task that removes objects when they are due. It keeps the store open until it is stopped.
#[derive(Debug)]
pub struct Worker {
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Starts it. What was left undone when the process ended is due at once.
    pub fn start(store: Arc<Store>) -> Self {
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = stopped.notified() => {}
                () = run(&store) => {}
            }
        });
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Stops it. What it was about to remove is removed after the next start.
    pub async fn stop(&self) {
        self.stop.notify_one();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by the signal; that it panicked is no reason not to stop.
            let _ = task.await;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
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
