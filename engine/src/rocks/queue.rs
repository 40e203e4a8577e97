//! The bounded queue from callers to the committer.
//!
//! Callers add one request under a short lock; the committer takes all of them in one exchange. Room is counted by a
//! semaphore in units of bytes, so that neither many small nor a few huge commits can fill the memory.
//!
//! The committer sleeps when nothing waits. Spinning first was measured and made no difference to a synced commit: the
//! disk's share of it is 150 µs and more, both hand-offs together 15 µs.

use super::request::Request;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// The queue may hold this many full groups, counted in bytes.
const GROUPS_MAX: usize = 8;

pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    room: Semaphore,
    room_max: u32,
    /// One permit of `room` stands for this many bytes.
    unit_bytes: usize,
}

struct Waiting {
    requests: Vec<Request>,
    asleep: bool,
    closed: bool,
}

pub(super) enum Pushed {
    Queued,
    Full(Box<Request>),
    Closed,
}

impl Queue {
    pub(super) fn new(commits_max: usize, group_bytes_max: usize) -> Queue {
        let room_max = u32::try_from(commits_max.clamp(1, 1 << 20)).unwrap_or(1 << 20);
        let unit_bytes = (group_bytes_max.saturating_mul(GROUPS_MAX) / room_max as usize).max(1);
        Queue {
            waiting: Mutex::new(Waiting { requests: Vec::new(), asleep: false, closed: false }),
            filled: Condvar::new(),
            room: Semaphore::new(room_max as usize),
            room_max,
            unit_bytes,
        }
    }

    /// Adds a request if there is room now.
    pub(super) fn push(&self, request: Request) -> Pushed {
        match self.room.try_acquire_many(self.permits(&request)) {
            Ok(permit) => {
                permit.forget();
                if self.add(request) { Pushed::Queued } else { Pushed::Closed }
            }
            Err(tokio::sync::TryAcquireError::NoPermits) => Pushed::Full(Box::new(request)),
            Err(tokio::sync::TryAcquireError::Closed) => Pushed::Closed,
        }
    }

    /// Adds a request as soon as there is room; `false` when the queue is closed.
    pub(super) async fn push_when_room(&self, request: Request) -> bool {
        match self.room.acquire_many(self.permits(&request)).await {
            Ok(permit) => {
                permit.forget();
                self.add(request)
            }
            Err(_) => false,
        }
    }

    fn add(&self, request: Request) -> bool {
        let mut waiting = self.lock();
        if waiting.closed {
            return false;
        }
        waiting.requests.push(request);
        let wake = mem::take(&mut waiting.asleep);
        drop(waiting);
        if wake {
            self.filled.notify_one();
        }
        true
    }

    /// Waits until something waits and exchanges all of it for the empty `taken`; `false` when closed and nothing is left.
    pub(super) fn take(&self, taken: &mut Vec<Request>) -> bool {
        let mut waiting = self.lock();
        while waiting.requests.is_empty() {
            if waiting.closed {
                return false;
            }
            waiting.asleep = true;
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.asleep = false;
        mem::swap(&mut waiting.requests, taken);
        true
    }

    /// Gives back the room of requests that were answered.
    pub(super) fn answered(&self, requests: &[Request]) {
        let permits = requests.iter().map(|request| self.permits(request) as usize).sum();
        self.room.add_permits(permits);
    }

    /// Nothing more comes in; what waits is still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.filled.notify_all();
    }

    fn permits(&self, request: &Request) -> u32 {
        // A commit larger than the whole queue takes all of it, alone.
        u32::try_from(request.bytes() / self.unit_bytes).unwrap_or(u32::MAX).clamp(1, self.room_max)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics under this lock; if it did, the queue would still be whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
