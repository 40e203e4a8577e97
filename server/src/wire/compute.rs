//! Threads that statements run on, apart from those that talk to clients.
//!
//! Some operators work for long without giving their thread back. On a thread that also watches sockets such a
//! statement would keep everybody from being heard: its own cancel request, and the end of the server.

use tokio::runtime::{Builder, Handle, Runtime};

/// Bytes of a thread's stack: planning a query recurses deeply, the more so in a build that is not optimized.
pub(crate) const STACK_BYTES: usize = 8 << 20;

/// The threads, as many as there are cores.
pub(super) struct Compute {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Compute {
    pub(super) fn start() -> std::io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().enable_all().thread_name("statement").thread_stack_size(STACK_BYTES).build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Compute {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // To wait here for a statement that does not give its thread back would be to wait for ever.
            runtime.shutdown_background();
        }
    }
}
