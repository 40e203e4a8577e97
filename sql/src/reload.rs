//! Workflows declared in the settings: read when the database opens, and again on RELOAD WORKFLOWS, whole or not at all.

use crate::database::{Database, Inner};
use crate::error::{Error, Result, code};
use ebbtide_config::Settings;
use ebbtide_runtime::Declared;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::{Arc, PoisonError};

/// Reads the settings anew: from the file the server was started with.
pub(crate) type Reading = dyn Fn() -> Result<Settings, Box<dyn StdError + Send + Sync>> + Send + Sync;

/// A workflow that a reload has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its name.
    pub workflow: String,
    /// What became of it.
    pub what: Change,
}

/// What a reload made of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is declared in another way than before.
    Changed,
    /// It is declared no more. Its jobs run on.
    Removed,
}

impl Change {
    /// As RELOAD WORKFLOWS shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

impl Database {
    /// Says where [`Database::reload_workflows`] reads the settings from; usually the file that the server was started with.
    /// The function may block.
    pub fn reload_from(
        &self,
        read: impl Fn() -> Result<Settings, Box<dyn StdError + Send + Sync>> + Send + Sync + 'static,
    ) {
        *self.inner().reading.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(read));
    }

    /// Reads the declared workflows anew and takes them in place of all there were: whole, or not at all. Gives those that
    /// changed, by name. Other settings count from the next start.
    ///
    /// # Errors
    /// When the settings were not read from a file, or something is wrong with them; then everything stays as it was.
    pub async fn reload_workflows(&self) -> Result<Vec<Changed>> {
        self.inner().reload_workflows().await
    }
}

impl Inner {
    /// The settings as they count now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn reload_workflows(&self) -> Result<Vec<Changed>> {
        let reading = self.reading.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(read) = reading else {
            return Err(Error::new(
                code::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "there is no settings file to read workflows from",
            )
            .hint("start the server with --config FILE; workflows are its [[workflow]] entries"));
        };
        // One after the other: the last one that was asked for is what counts in the end.
        let _turn = self.reloading.lock().await;
        let read = tokio::task::spawn_blocking(move || read()).await;
        let new = read.map_err(|error| Error::internal(error.to_string()))?.map_err(|error| refused(&*error))?;
        let declared = declared(&new)?;
        let old = self.settings();
        let changed = changes(&self.scheduler.declared(), &declared);
        let now = with_workflows_of(&old, &new);
        if now != new {
            tracing::warn!("settings other than the workflows have changed as well; they count from the next start");
        }
        self.scheduler.replace(declared);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
        tracing::info!(changed = changed.len(), "workflows were read anew");
        Ok(changed)
    }
}

/// The workflows of these settings, with the built-in ones.
pub(crate) fn declared(settings: &Settings) -> Result<Vec<Declared>> {
    ebbtide_workflows::declared::declared(settings).map_err(|error| refused(&error))
}

/// Where a workflow comes from.
pub(crate) fn source(settings: &Settings, name: &str) -> &'static str {
    if settings.workflows.iter().any(|workflow| workflow.name == name) { "config" } else { "built-in" }
}

fn refused(error: &(dyn StdError + Send + Sync)) -> Error {
    Error::new(code::INVALID_PARAMETER_VALUE, format!("the declared workflows are refused: {error}"))
        .detail("All of them are taken, or none.")
        .hint("ebbtide workflows validate FILE says the same without a server")
}

/// The settings that count after a reload: what workflows are made of is new, the rest as it was at the start.
fn with_workflows_of(old: &Settings, new: &Settings) -> Settings {
    let mut now = old.clone();
    now.workflows.clone_from(&new.workflows);
    now.jobs.retention_days = new.jobs.retention_days;
    now.jobs.cleanup_schedule.clone_from(&new.jobs.cleanup_schedule);
    now
}

fn changes(old: &[Declared], new: &[Declared]) -> Vec<Changed> {
    // All that makes a difference to when and how it runs; where it stands in the file makes none.
    let shown = |declared: &Declared| {
        let Declared { kind_name, parameters, when, retry, timeout, overlap, missed, enabled, .. } = declared;
        format!("{:?}", (kind_name, parameters, when, retry, timeout, overlap, missed, enabled))
    };
    let named = |declared: &[Declared]| -> BTreeMap<String, String> {
        declared.iter().map(|declared| (declared.name.clone(), shown(declared))).collect()
    };
    let (old, new) = (named(old), named(new));
    let kept = new.iter().filter_map(|(name, now)| match old.get(name) {
        None => Some((name, Change::Added)),
        Some(before) if before != now => Some((name, Change::Changed)),
        Some(_) => None,
    });
    let removed = old.keys().filter(|name| !new.contains_key(*name)).map(|name| (name, Change::Removed));
    let mut changed: Vec<Changed> =
        kept.chain(removed).map(|(name, what)| Changed { workflow: name.clone(), what }).collect();
    changed.sort_unstable_by(|one, other| one.workflow.cmp(&other.workflow));
    changed
}
