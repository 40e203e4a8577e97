//! Memory of one statement: bounded by itself, and with all others by what the database may use.

use datafusion::common::resources_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What sorts, joins and aggregates of one statement hold. What it asks for is asked of the shared pool as well.
#[derive(Debug)]
pub(crate) struct StatementPool {
    shared: Arc<dyn MemoryPool>,
    bytes_max: usize,
    bytes: AtomicUsize,
}

impl StatementPool {
    pub(crate) fn new(shared: Arc<dyn MemoryPool>, bytes_max: usize) -> Self {
        Self { shared, bytes_max, bytes: AtomicUsize::new(0) }
    }
}

impl fmt::Display for StatementPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement({} of {} bytes)", self.reserved(), self.bytes_max)
    }
}

impl MemoryPool for StatementPool {
    fn name(&self) -> &str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.bytes.fetch_add(additional, Ordering::Relaxed);
        self.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.bytes.fetch_sub(shrink, Ordering::Relaxed);
        self.shared.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let fits = |bytes: usize| bytes.checked_add(additional).filter(|bytes| *bytes <= self.bytes_max);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|bytes| {
            resources_datafusion_err!(
                "{} asked for {additional} bytes; the statement holds {bytes} of {}",
                reservation.consumer().name(),
                self.bytes_max
            )
        })?;
        self.shared.try_grow(reservation, additional).inspect_err(|_| {
            self.bytes.fetch_sub(additional, Ordering::Relaxed);
        })
    }

    fn reserved(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    #[test]
    fn a_statement_is_bounded_by_itself_and_with_the_others() {
        let shared: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let one: Arc<dyn MemoryPool> = Arc::new(StatementPool::new(shared.clone(), 80));
        let two: Arc<dyn MemoryPool> = Arc::new(StatementPool::new(shared.clone(), 80));
        let first = MemoryConsumer::new("sort").register(&one);
        let second = MemoryConsumer::new("sort").register(&two);
        assert!(first.try_grow(81).is_err(), "more than a statement may have");
        first.try_grow(70).unwrap();
        assert!(second.try_grow(40).is_err(), "more than all may have");
        assert_eq!((one.reserved(), two.reserved(), shared.reserved()), (70, 0, 70));
        drop(first);
        second.try_grow(80).unwrap();
        drop(second);
        assert_eq!(shared.reserved(), 0);
    }
}
