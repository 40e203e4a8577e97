//! The lines that a process prints, kept and awaited.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::time::Instant;

use super::PATIENCE;

/// All lines so far, of standard output and standard error together.
#[derive(Clone)]
pub(crate) struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    changed: watch::Sender<()>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self { lines: Arc::default(), changed: watch::Sender::new(()) }
    }

    /// Keeps what comes from `stream`, until it ends.
    pub(crate) fn collect(&self, stream: impl AsyncRead + Unpin + Send + 'static) -> tokio::task::JoinHandle<()> {
        let output = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                output.lines.lock().expect("no holder panics").push(line);
                output.changed.send_replace(());
            }
        })
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no holder panics").clone()
    }

    /// Waits for what `find` finds in a line; each line is looked at once, from the first that was printed. `None` when
    /// the process ended without it (`ended` tells), or patience did.
    pub(crate) async fn find<T>(
        &self,
        mut find: impl FnMut(&str) -> Option<T>,
        ended: impl Future<Output = ()>,
    ) -> Option<T> {
        let mut changed = self.changed.subscribe();
        let mut ended = std::pin::pin!(ended);
        let mut patience = std::pin::pin!(tokio::time::sleep_until(Instant::now() + PATIENCE));
        let (mut looked_at, mut more) = (0, true);
        loop {
            changed.mark_unchanged();
            let fresh: Vec<String> = self.lines.lock().expect("no holder panics")[looked_at..].to_vec();
            looked_at += fresh.len();
            if let Some(found) = fresh.iter().find_map(|line| find(line)) {
                return Some(found);
            }
            if !more {
                return None;
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = &mut ended => more = false,
                () = &mut patience => return None,
            }
        }
    }

    /// The last lines, for the message of a failed test.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}
