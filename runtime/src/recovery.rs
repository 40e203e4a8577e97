//! What a start found of an earlier life, and what became of it.

use std::fmt;
use std::time::Duration;

/// What became of the jobs that an earlier life of this node left unfinished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Jobs that were running and go on from their last checkpoint: kind, state, how many.
    pub resumed: Vec<(String, String, u64)>,
    /// Claims of the earlier life that were made void: whatever their holders may still try to commit is refused.
    pub fenced: u64,
    /// Jobs that this program cannot load. They wait for one that can.
    pub parked: u64,
    /// Jobs that could not be recovered: their row cannot be read, or could not be changed.
    pub failed: u64,
    /// Jobs that had not begun, or were given back in order, and wait for their turn.
    pub waiting: u64,
    /// How long it took until all of them could be claimed.
    pub took: Duration,
}

impl Recovery {
    /// How many jobs that were running go on.
    pub fn resumed_count(&self) -> u64 {
        self.resumed.iter().map(|(_, _, count)| count).sum()
    }
}

/// In words, as "3 jobs resumed: 2 flush from Writing, 1 verify from Reading; 3 old claims void; 1 parked; 212 ms".
impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resumed = self.resumed_count();
        write!(f, "{resumed} job{} resumed", if resumed == 1 { "" } else { "s" })?;
        for (place, (kind, state, count)) in self.resumed.iter().enumerate() {
            write!(f, "{} {count} {kind} from {state}", if place == 0 { ":" } else { "," })?;
        }
        for (count, what) in [
            (self.fenced, "old claims void"),
            (self.waiting, "waiting"),
            (self.parked, "parked"),
            (self.failed, "not recovered"),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        write!(f, "; {} ms", self.took.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::Recovery;
    use std::time::Duration;

    #[test]
    fn the_report_is_one_sentence() {
        let report = Recovery {
            resumed: vec![("flush".into(), "Writing".into(), 2), ("verify".into(), "Reading".into(), 1)],
            fenced: 3,
            parked: 1,
            took: Duration::from_millis(212),
            ..Recovery::default()
        };
        assert_eq!(
            report.to_string(),
            "3 jobs resumed: 2 flush from Writing, 1 verify from Reading; 3 old claims void; 1 parked; 212 ms"
        );
        assert_eq!(Recovery::default().to_string(), "0 jobs resumed; 0 ms");
    }
}
