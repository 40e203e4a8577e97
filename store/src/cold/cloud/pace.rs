//! How many requests a store is sent at a time, and how fast.
//!
//! The number goes up by one for each round of good answers and is halved when the store says that it is too much: additive
//! increase, multiplicative decrease, as TCP finds its window (Chiu and Jain, 1989). A number and not a rate adapts,
//! because it holds for fast answers and slow ones alike.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior};

#[derive(Debug)]
pub(super) struct Pace {
    in_flight_max: usize,
    state: Mutex<State>,
    freed: Notify,
    /// One tick per request that may begin.
    ticks: Option<tokio::sync::Mutex<Interval>>,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    /// How many may be; grows by fractions.
    allowed: f64,
    /// Requests begun so far.
    begun: u64,
    /// Requests begun up to the last cut: their answers say nothing about what came of it.
    begun_before_cut: u64,
}

/// A request on its way. Dropped without an answer it leaves, and says nothing about the pace.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pace: &'a Pace,
    number: u64,
}

/// What an answer says about the pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The store keeps up.
    Fine,
    /// It asks for fewer requests.
    TooMany,
}

impl Pace {
    /// A store that is sent at most so many requests at a time, and begins at most so many a second.
    pub(super) fn new(in_flight_max: usize, per_second_max: Option<f64>) -> Self {
        let ticks = per_second_max.map(|rate| {
            let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tokio::sync::Mutex::new(ticks)
        });
        let in_flight_max = in_flight_max.max(1);
        let allowed = in_flight_max as f64;
        let state = State { in_flight: 0, allowed, begun: 0, begun_before_cut: 0 };
        Self { in_flight_max, state: Mutex::new(state), freed: Notify::new(), ticks }
    }

    /// Waits until a request may begin.
    pub(super) async fn turn(&self) -> Turn<'_> {
        if let Some(ticks) = &self.ticks {
            ticks.lock().await.tick().await;
        }
        loop {
            let freed = self.freed.notified();
            if let Some(turn) = self.try_turn() {
                return turn;
            }
            freed.await;
        }
    }

    fn try_turn(&self) -> Option<Turn<'_>> {
        let mut state = self.lock();
        if state.in_flight >= state.allowed as usize {
            return None;
        }
        state.in_flight += 1;
        state.begun += 1;
        Some(Turn { pace: self, number: state.begun })
    }

    /// How many requests may be on their way now.
    pub(super) fn allowed(&self) -> usize {
        self.lock().allowed as usize
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The store has answered.
    pub(super) fn answered(self, answer: Answer) {
        let mut state = self.pace.lock();
        match answer {
            Answer::Fine => {
                let more = 1.0 / state.allowed;
                state.allowed = (state.allowed + more).min(self.pace.in_flight_max as f64);
            }
            // Once for all that were on their way together.
            Answer::TooMany if self.number > state.begun_before_cut => {
                state.allowed = (state.allowed / 2.0).max(1.0);
                state.begun_before_cut = state.begun;
            }
            Answer::TooMany => {}
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let room = {
            let mut state = self.pace.lock();
            state.in_flight -= 1;
            (state.allowed as usize).saturating_sub(state.in_flight)
        };
        // More than one when more became allowed.
        for _ in 0..room.min(2) {
            self.pace.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn it_holds_back_what_is_too_much() {
        let pace = Pace::new(8, None);
        let mut turns: Vec<_> = (0..8).map(|_| pace.try_turn().unwrap()).collect();
        assert!(pace.try_turn().is_none());
        let mut waiting = Box::pin(pace.turn());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(turns.pop());
        turns.push(waiting.await);

        // All eight answers say the same one thing.
        turns.drain(..).for_each(|turn| turn.answered(Answer::TooMany));
        assert_eq!(pace.allowed(), 4);
        pace.turn().await.answered(Answer::TooMany);
        assert_eq!(pace.allowed(), 2);
        for _ in 0..20 {
            pace.turn().await.answered(Answer::TooMany);
        }
        assert_eq!(pace.allowed(), 1, "one at a time is the least");
    }

    #[tokio::test]
    async fn it_comes_back_step_by_step() {
        let pace = Pace::new(64, None);
        for _ in 0..10 {
            pace.turn().await.answered(Answer::TooMany);
        }
        let mut answers = 0;
        while pace.allowed() < 64 {
            pace.turn().await.answered(Answer::Fine);
            answers += 1;
        }
        // One more per round: 1 + 2 + … + 63, give or take the fractions.
        assert!((1900..2200).contains(&answers), "{answers}");
        for _ in 0..100 {
            pace.turn().await.answered(Answer::Fine);
        }
        assert_eq!(pace.allowed(), 64, "never more than was configured");
    }

    #[tokio::test]
    async fn it_begins_no_more_than_so_many_a_second() {
        let pace = Pace::new(1000, Some(500.0));
        let start = tokio::time::Instant::now();
        for _ in 0..51 {
            pace.turn().await.answered(Answer::Fine);
        }
        assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn everybody_gets_a_turn() {
        let pace = std::sync::Arc::new(Pace::new(3, None));
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let pace = pace.clone();
                tokio::spawn(async move {
                    let turn = pace.turn().await;
                    tokio::task::yield_now().await;
                    turn.answered(if number % 7 == 0 { Answer::TooMany } else { Answer::Fine });
                })
            })
            .collect();
        let all = futures::future::join_all(tasks);
        tokio::time::timeout(Duration::from_secs(30), all).await.expect("nobody waits for ever");
        assert_eq!(pace.lock().in_flight, 0);
    }
}
