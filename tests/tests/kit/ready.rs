//! Servers that cannot say when they are ready are asked until they are.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::PATIENCE;

/// How long a server is left alone between two questions.
const INTERVAL: Duration = Duration::from_millis(50);

/// Asks until there is an answer; `None` when patience ends before.
pub(crate) async fn wait<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asked = async {
        loop {
            ticks.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    timeout(PATIENCE, asked).await.ok()
}
