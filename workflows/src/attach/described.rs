//! Folders with a manifest, which says what their table looked like.

use super::bare::Bare;
use super::folders::{self, Next};
use super::{State, Totals, Work};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::attach::Folders;
use ebbtide_store::published::ObjectName;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Described {
    totals: Totals,
}

impl Described {
    pub(super) fn new(at: i64) -> Self {
        Self { totals: Totals { at, ..Totals::default() } }
    }

    pub(super) async fn next(mut self, work: &Work, cx: &mut Step) -> Result<State, StepError> {
        let has_manifest = |name: &str| ObjectName::parse(name).is_some();
        match folders::next(&work.storage, has_manifest, cx).await? {
            Next::Folder(folder) => {
                folders::attach(&work.storage, &folder, Folders::Described, &mut self.totals, cx).await?;
                Ok(State::Described(self))
            }
            Next::None => Ok(State::Bare(Bare::new(self))),
        }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }
}
