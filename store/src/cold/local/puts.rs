//! Objects that are finished at about the same time, written together.
//!
//! What waits is taken in groups by a few threads. A thread takes its share of all that waits through each step before the
//! next one, so that the objects of a group share the fsyncs of folders, and a thread is woken for many of them. Nothing
//! is held back so that a group may grow: one grows while the disk is busy with the group before it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::super::{Error, Stored};
use super::disk::{Disk, TempFile, finish_all};

/// Objects in a group, at most: each holds a file open.
const GROUP_MAX: usize = 16;

/// How many may wait for each thread that is at work before one more is woken: a few are taken together sooner than it is.
const WAITING_PER_THREAD: usize = 2;

/// An object whose bytes are all there.
#[derive(Debug)]
pub(super) enum Object {
    /// In memory.
    Whole { path: String, bytes: Bytes },
    /// In its temp file.
    Written(TempFile),
}

#[derive(Debug)]
struct Waiting {
    object: Object,
    answer: oneshot::Sender<Result<Stored, Error>>,
}

/// The queue before a disk.
#[derive(Debug)]
pub(super) struct Puts {
    disk: Arc<Disk>,
    threads_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    threads: usize,
}

impl Puts {
    pub(super) fn new(disk: Arc<Disk>, threads_max: usize) -> Arc<Puts> {
        Arc::new(Puts { disk, threads_max: threads_max.max(1), state: Mutex::default() })
    }

    /// Makes an object durable. None when the runtime stopped before.
    pub(super) async fn put(self: &Arc<Self>, object: Object) -> Option<Result<Stored, Error>> {
        let (answer, answered) = oneshot::channel();
        let wake = {
            let mut state = self.lock();
            state.waiting.push_back(Waiting { object, answer });
            let wake = state.threads < self.threads_max && state.waiting.len() > state.threads * WAITING_PER_THREAD;
            state.threads += usize::from(wake);
            wake
        };
        if wake {
            let thread = Thread { puts: Arc::clone(self), counts: true };
            tokio::task::spawn_blocking(move || thread.run());
        }
        answered.await.ok()
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

/// A thread that counts as one, until it finds nothing left; also when it panics, or never runs because the runtime stops.
struct Thread {
    puts: Arc<Puts>,
    counts: bool,
}

impl Thread {
    fn run(mut self) {
        while let Some(group) = self.take() {
            let (objects, answers): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.object, waiting.answer)).unzip();
            let files = objects.into_iter().map(|object| match object {
                Object::Whole { path, bytes } => self.puts.disk.write_temp(&path, &bytes),
                Object::Written(file) => Ok(file),
            });
            for (result, answer) in finish_all(&self.puts.disk, files.collect()).into_iter().zip(answers) {
                // Whoever does not want to know any more has an object that nothing names.
                let _ = answer.send(result);
            }
        }
    }

    /// Its share of all that waits. Without anything left it does not count any more.
    fn take(&mut self) -> Option<Vec<Waiting>> {
        let mut state = self.puts.lock();
        if state.waiting.is_empty() {
            state.threads -= 1;
            self.counts = false;
            return None;
        }
        let share = state.waiting.len().div_ceil(state.threads.max(1)).min(GROUP_MAX);
        let mut group: Vec<Waiting> = state.waiting.drain(..share).collect();
        drop(state);
        // Nobody waits for these; those that are written remove their temp files.
        group.retain(|waiting| !waiting.answer.is_closed());
        Some(group)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if !self.counts {
            return;
        }
        let mut state = self.puts.lock();
        state.threads -= 1;
        let left = if state.threads == 0 { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        drop(state);
        // Nobody comes for these any more, and dropping them tells so.
        drop(left);
    }
}
