//! A task in the background that goes on until it is stopped.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Work in the background. It keeps what it works on open until it is stopped.
#[derive(Debug)]
pub struct Worker {
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Starts it. It has to bear being dropped at any await.
    pub(crate) fn start(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = stopped.notified() => {}
                () = work => {}
            }
        });
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Stops it. What it was about to do is done after the next start.
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
