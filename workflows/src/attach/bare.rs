//! Folders with nothing but files: their users had no manifest yet when the database was lost.

use super::described::Described;
use super::done::Done;
use super::folders::{self, Next};
use super::{State, Totals, Work};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::Store;
use ebbtide_store::attach::Folders;
use ebbtide_store::path::FileName;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bare {
    totals: Totals,
}

impl Bare {
    /// Only a `Described` with no folder left gives a `Bare`: by then the tables are known.
    pub(super) fn new(before: Described) -> Self {
        Self { totals: before.totals().clone() }
    }

    pub(super) async fn next(mut self, work: &Work, cx: &mut Step) -> Result<State, StepError> {
        let is_file = |name: &str| FileName::parse(name).is_some();
        match folders::next(&work.storage, is_file, cx).await? {
            Next::Folder(folder) => {
                folders::attach(&work.storage, &folder, Folders::Bare, &mut self.totals, cx).await?;
                Ok(State::Bare(self))
            }
            Next::None => {
                // A folder that was not taken in must not become an orphan: it can be attached again.
                if self.totals.folders_failed == 0 {
                    let store = cx.get::<Store>()?;
                    let ended = store.end_attaching(&work.storage).await;
                    ended.map_err(|error| StepError::retry_because("ending the attaching failed", error))?;
                    cx.env().reached("attach.ended");
                }
                Ok(State::Done(Done::new(self, cx)))
            }
        }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }
}
