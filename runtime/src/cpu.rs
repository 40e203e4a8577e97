//! CPU time of a piece of work: the thread's own clock before and after each poll.
//!
//! Wall time would count the waiting, and the process's clock would count the neighbours.

use crate::progress::ProgressHandle;
use futures::future::BoxFuture;
use rustix::time::{ClockId, clock_gettime};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// CPU time that this thread has used since it began.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

/// A future whose polls are charged to a job, and whose panic is an answer like any other: one job's bug must not take the
/// runner's slot with it.
pub(crate) struct Metered<'a, T> {
    future: BoxFuture<'a, T>,
    progress: ProgressHandle,
}

impl<'a, T> Metered<'a, T> {
    pub(crate) fn new(future: BoxFuture<'a, T>, progress: ProgressHandle) -> Self {
        Self { future, progress }
    }
}

impl<T> Future for Metered<'_, T> {
    type Output = Result<T, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.progress.alive();
        let before = thread_time();
        let polled = catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(cx)));
        self.progress.add_cpu(thread_time().saturating_sub(before));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

/// The text of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the step panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::thread_time;
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    #[test]
    fn work_is_counted_and_waiting_is_not() {
        let before = thread_time();
        let began = Instant::now();
        let mut sum = 0_u64;
        while thread_time().saturating_sub(before) < Duration::from_millis(5) {
            sum = black_box(sum.wrapping_mul(31).wrapping_add(1));
            assert!(began.elapsed() < Duration::from_secs(60), "the thread's clock does not move");
        }
    }
}
