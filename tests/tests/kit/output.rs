//! The lines that a process prints, kept and awaited.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

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

    /// Waits for what `find` finds in a line, also in one that was printed before. `None` when the process ended
    /// without it (`ended` tells), or patience did.
    pub(crate) async fn find<T>(&self, find: impl Fn(&str) -> Option<T>, ended: impl Future<Output = ()>) -> Option<T> {
        let mut changed = self.changed.subscribe();
        let seen = async {
            let mut looked_at = 0;
            loop {
                changed.mark_unchanged();
                {
                    let lines = self.lines.lock().expect("no holder panics");
                    if let Some(found) = lines[looked_at..].iter().find_map(|line| find(line)) {
                        return Some(found);
                    }
                    looked_at = lines.len();
                }
                if changed.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::select! {
            biased;
            found = seen => found,
            () = ended => self.lines().iter().find_map(|line| find(line)),
            () = patience() => None,
        }
    }

    /// The last lines, for the message of a failed test.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

async fn patience() {
    let _ = tokio::time::timeout(PATIENCE, std::future::pending::<()>()).await;
}
