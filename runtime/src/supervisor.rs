//! The thread that looks after the jobs: it fills free slots, beats, and ends what does not end by itself.
//!
//! Steps run on the worker threads of the program's own tokio runtime. A step that blocks its worker also blocks whatever
//! was about to run on it next, which nobody can take from it; were the beat among that, one stuck step would cost every
//! claim of the process. So these few tasks have a thread to themselves, on which no step ever runs.

use crate::error::Error;
use crate::lease;
use crate::runner::{self, Shared};
use std::sync::Arc;

/// Starts the thread. It ends when the runtime is killed.
pub(crate) fn start(shared: &Arc<Shared>) -> Result<(), Error> {
    let own = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|error| Error::Invalid {
        reason: format!("the thread that looks after the jobs could not be started: {error}"),
    })?;
    // Set once, here, before anything could ask for it.
    let _ = shared.supervisor.set(own.handle().clone());
    // When the program's tokio runtime ends first, this thread ends as all its tasks do, and is waited for: the engine must
    // not be closed behind the back of a process that is exiting.
    let killed = shared.killed.clone();
    let killer = shared.killed.clone().drop_guard();
    shared.tasks.spawn(async move {
        killed.cancelled().await;
        drop(killer);
    });
    let shared = Arc::clone(shared);
    let there = shared.tasks.token();
    // In a thread of the blocking pool, for as long as this lasts.
    tokio::task::spawn_blocking(move || {
        own.block_on(async { tokio::join!(runner::schedule(Arc::clone(&shared)), lease::beat(Arc::clone(&shared))) });
        drop((own, shared));
        // The last to go: whoever waits for the end may close the engine then.
        drop(there);
    });
    Ok(())
}

impl Shared {
    /// Runs `work` where no step can be in its way.
    pub(crate) fn supervise(&self, work: impl Future<Output = ()> + Send + 'static) {
        match self.supervisor.get() {
            Some(own) => drop(self.tasks.spawn_on(work, own)),
            None => drop(self.tasks.spawn(work)),
        }
    }
}
