//! An environment that is the system's own until its plan says otherwise.
//!
//! The plan comes in variables, so that a test can give it to a process that it starts:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `VICTIM_CRASH_AT=point:n` | the process dies when the named point is reached for the n-th time, counted from 1 |
//! | `VICTIM_HOLD_AT=point` | whoever reaches the named point stays there until the process ends |
//! | `VICTIM_TRACE=1` | each point that is reached is printed: `victim reached point`, after `victim dies` if it is the last |
//! | `VICTIM_PLANT=fsync-forgotten` | a known bug is planted, to see a test catch it |

use std::io::Write;
use std::sync::Mutex;

use ebbtide_engine::env::{Defect, Env, SystemEnv};
use rustix::process::{Signal, getpid, kill_process};
use uuid::Uuid;

/// The names by which tests plant known bugs.
pub const DEFECTS: [(&str, Defect); 6] = [
    ("delete-before-commit", Defect::DeleteBeforeCommit),
    ("watermark-skipped", Defect::WatermarkSkipped),
    ("fsync-forgotten", Defect::FsyncForgotten),
    ("seq-from-hot-rows", Defect::SeqFromHotRows),
    ("stale-claim-commits", Defect::StaleClaimCommits),
    ("name-reused", Defect::NameReused),
];

/// The system's clock, ids and chance, with a plan of what goes wrong.
#[derive(Debug, Default)]
pub struct Doomed {
    crash: Option<Crash>,
    hold: Option<String>,
    trace: bool,
    planted: Option<Defect>,
}

#[derive(Debug)]
struct Crash {
    point: String,
    /// How often the point may still be reached. A lock, not an atomic: nobody passes a point while another dies there.
    left: Mutex<u32>,
}

impl Doomed {
    /// The plan that stands in the environment variables `variable` gives.
    ///
    /// # Errors
    /// A sentence about the variable that is not understood. A plan half understood would test nothing.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let crash = variable("VICTIM_CRASH_AT").map(|text| crash(&text)).transpose()?;
        let planted = variable("VICTIM_PLANT").map(|name| defect(&name)).transpose()?;
        Ok(Self { crash, hold: variable("VICTIM_HOLD_AT"), trace: variable("VICTIM_TRACE").is_some(), planted })
    }
}

fn crash(text: &str) -> Result<Crash, String> {
    text.split_once(':')
        .and_then(|(point, nth)| Some((point, nth.parse::<u32>().ok().filter(|nth| *nth > 0)?)))
        .map(|(point, nth)| Crash { point: point.to_owned(), left: Mutex::new(nth) })
        .ok_or_else(|| format!("VICTIM_CRASH_AT is \"{text}\"; write point:n with n from 1"))
}

fn defect(name: &str) -> Result<Defect, String> {
    let known = || DEFECTS.map(|(name, _)| name).join(", ");
    DEFECTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, defect)| *defect)
        .ok_or_else(|| format!("VICTIM_PLANT is \"{name}\"; known are {}", known()))
}

impl Env for Doomed {
    fn now(&self) -> i64 {
        SystemEnv.now()
    }

    fn id(&self) -> Uuid {
        SystemEnv.id()
    }

    fn random(&self) -> u64 {
        SystemEnv.random()
    }

    fn reached(&self, point: &'static str) {
        let dies = self.crash.as_ref().filter(|crash| crash.point == point).is_some_and(|crash| {
            let mut left = crash.left.lock().expect("nobody panics with it");
            *left -= 1;
            *left == 0
        });
        if self.trace {
            // That it dies is said before the point: whoever waits for the point is not left to guess from how long the
            // process is still there. One write, so that lines of several threads stay apart. Nobody may be left to read it.
            let last = if dies { "victim dies\n" } else { "" };
            let _ = std::io::stderr().write_all(format!("{last}victim reached {point}\n").as_bytes());
        }
        if dies {
            die();
        }
        while self.hold.as_deref() == Some(point) {
            std::thread::park();
        }
    }

    fn planted(&self, defect: Defect) -> bool {
        self.planted == Some(defect)
    }
}

/// As by `kill -9`: no destructor runs, nothing is flushed, no thread goes on.
fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    // The signal takes the process before the call returns; this is for the compiler.
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(variables: &[(&str, &str)]) -> Result<Doomed, String> {
        Doomed::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_plan_is_understood_or_refused() {
        assert!(plan(&[]).is_ok());
        let planned = plan(&[("VICTIM_PLANT", "name-reused"), ("VICTIM_CRASH_AT", "job.done:2")]).unwrap();
        assert!(planned.planted(Defect::NameReused) && !planned.planted(Defect::FsyncForgotten));
        planned.reached("job.queued");
        planned.reached("job.done");
        for wrong in [("VICTIM_PLANT", "name"), ("VICTIM_CRASH_AT", "job.done"), ("VICTIM_CRASH_AT", "job.done:0")] {
            assert!(plan(&[wrong]).unwrap_err().starts_with(wrong.0), "{wrong:?}");
        }
    }
}
