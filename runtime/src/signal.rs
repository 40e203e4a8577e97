//! How a running step learns that it should stop.

use crate::step::StepError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Why a running step should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled the job.
    Cancelled,
    /// The runtime is shutting down; the job goes on at the next start.
    ShuttingDown,
    /// Somebody paused the job; it goes on when it is resumed.
    Paused,
    /// The job ran as long as it may.
    TimedOut,
    /// Another runner took the job: whatever this one would commit is going to be refused.
    ClaimLost,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::Cancelled => "the job was cancelled",
            Stop::ShuttingDown => "the runtime is shutting down",
            Stop::Paused => "the job was paused",
            Stop::TimedOut => "the job ran into its timeout",
            Stop::ClaimLost => "another runner took the job",
        })
    }
}

/// The request to stop, to be looked at wherever a step could stop: every row group, every page, every file.
/// Cheap to clone and to look at, also from blocking sections.
#[derive(Clone, Default)]
pub struct Signal(Arc<Request>);

#[derive(Default)]
struct Request {
    /// 0 for none, else the gravest stop asked for.
    asked: AtomicU8,
    /// Set when waiting for the step has an end: its future is dropped.
    expired: AtomicBool,
    changed: Notify,
}

fn gravity(stop: Stop) -> u8 {
    match stop {
        Stop::ShuttingDown => 1,
        Stop::Paused => 2,
        Stop::TimedOut => 3,
        Stop::Cancelled => 4,
        Stop::ClaimLost => 5,
    }
}

impl Signal {
    /// The stop that was asked for, if any. A pause outweighs a shutdown, then come a timeout,
    /// a cancellation and a lost claim.
    pub fn asked(&self) -> Option<Stop> {
        match self.0.asked.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Stop::ShuttingDown),
            2 => Some(Stop::Paused),
            3 => Some(Stop::TimedOut),
            4 => Some(Stop::Cancelled),
            _ => Some(Stop::ClaimLost),
        }
    }

    /// An error to return with `?` when the step should stop.
    pub fn check(&self) -> Result<(), StepError> {
        match self.asked() {
            None => Ok(()),
            Some(stop) => Err(StepError::Stopped(stop)),
        }
    }

    /// Comes back when the step should stop.
    pub async fn stopped(&self) -> Stop {
        self.until(Self::asked).await
    }

    /// Comes back when the claim is lost, or has ended.
    pub(crate) async fn lost(&self) {
        self.until(|signal| (signal.asked() == Some(Stop::ClaimLost)).then_some(())).await;
    }

    pub(crate) fn trip(&self, stop: Stop) {
        self.0.asked.fetch_max(gravity(stop), Ordering::AcqRel);
        self.0.changed.notify_waiters();
    }

    /// The step has had its time: its future is dropped at its next await.
    pub(crate) fn expire(&self) {
        self.0.expired.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }

    /// Comes back when waiting for a step makes no sense any more: at once for a lost claim, `grace` after a cancellation
    /// or a timeout, and for a shutdown when its time is up. A pause alone waits for the step's own safe point.
    pub(crate) async fn overdue(&self, grace: Duration) -> Stop {
        let expired = |signal: &Signal| signal.0.expired.load(Ordering::Acquire).then_some(());
        let stop = self
            .until(|signal| match signal.asked() {
                Some(Stop::ShuttingDown | Stop::Paused) if expired(signal).is_none() => None,
                asked => asked,
            })
            .await;
        if matches!(stop, Stop::Cancelled | Stop::TimedOut) {
            tokio::select! {
                () = tokio::time::sleep(grace) => {}
                () = self.until(expired) => {}
            }
        }
        stop
    }

    async fn until<T>(&self, look: impl Fn(&Self) -> Option<T>) -> T {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Listening starts before looking, so that no change falls between the two.
            changed.as_mut().enable();
            if let Some(found) = look(self) {
                return found;
            }
            changed.await;
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.asked()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Signal, Stop};
    use std::time::Duration;

    #[tokio::test]
    async fn the_gravest_stop_wins() {
        let signal = Signal::default();
        assert!(signal.check().is_ok());
        signal.trip(Stop::Cancelled);
        signal.trip(Stop::ShuttingDown);
        assert_eq!(signal.stopped().await, Stop::Cancelled);
        signal.trip(Stop::ClaimLost);
        assert_eq!(signal.overdue(Duration::from_secs(3600)).await, Stop::ClaimLost);
    }

    #[tokio::test]
    async fn a_waiting_task_hears_of_the_stop() {
        let signal = Signal::default();
        let heard = tokio::spawn({
            let signal = signal.clone();
            async move { signal.stopped().await }
        });
        tokio::task::yield_now().await;
        signal.trip(Stop::ShuttingDown);
        assert_eq!(heard.await.expect("the task ends"), Stop::ShuttingDown);
    }
}
