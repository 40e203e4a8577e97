//! What ends a statement early: a cancel request, or the end of the server.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use super::Ended;
use super::errors::Problem;

/// Looked at wherever a statement waits and nothing is half done.
#[derive(Clone, Debug)]
pub(super) struct Interrupt {
    cancelled: CancellationToken,
    stop: CancellationToken,
}

impl Interrupt {
    pub(super) fn new(cancelled: CancellationToken, stop: CancellationToken) -> Self {
        Self { cancelled, stop }
    }

    /// Does the work, or gives it up when interrupted. Not for work that commits: whether it did would be unknown.
    pub(super) async fn guard<T, E: Into<Ended>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, Ended> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Problem::shutdown().into()),
            () = self.cancelled.cancelled() => Err(Problem::canceled().into()),
            done = work => done.map_err(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(cancelled: bool, stop: bool) -> Option<&'static str> {
        let interrupt = Interrupt::new(CancellationToken::new(), CancellationToken::new());
        if cancelled {
            interrupt.cancelled.cancel();
        }
        if stop {
            interrupt.stop.cancel();
        }
        let never = std::future::pending::<Result<(), Ended>>();
        let quick = std::future::ready(Ok::<_, Ended>(()));
        let done = if cancelled || stop { interrupt.guard(never).await } else { interrupt.guard(quick).await };
        match done {
            Ok(()) => None,
            Err(Ended::Problem(problem)) => Some(problem.sqlstate),
            Err(Ended::Lost(error)) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn work_is_given_up_when_cancelled_and_at_the_end_of_the_server() {
        assert_eq!(outcome(false, false).await, None);
        assert_eq!(outcome(true, false).await, Some("57014"));
        assert_eq!(outcome(false, true).await, Some("57P01"));
        assert_eq!(outcome(true, true).await, Some("57P01"));
    }
}
