//! What the settings declare, as the scheduler takes it: each workflow with its kind, checked, and the cleanup of jobs
//! that is there without being declared.

use crate::job_cleanup;
use ebbtide_config::{Problem, Settings, Trigger, Workflow};
use ebbtide_runtime::Retry;
use ebbtide_runtime::kind::{self, Refused};
use ebbtide_runtime::schedule::{BadCron, Cron, Declared, Missed, Overlap, When};

/// The name of the cleanup that is there without being declared.
pub const BUILT_IN_CLEANUP: &str = "job_cleanup";

/// Every workflow that the settings declare, and a cleanup of jobs as `[jobs]` says, unless one is declared.
///
/// # Errors
/// Everything that is wrong with any of them, each at its place. Then nothing of it is to be taken.
pub fn declared(settings: &Settings) -> Result<Vec<Declared>, ebbtide_config::Error> {
    let mut problems = Vec::new();
    let mut all: Vec<Declared> =
        settings.workflows.iter().filter_map(|workflow| one(workflow, &mut problems)).collect();
    if !settings.workflows.iter().any(|workflow| workflow.kind == job_cleanup::KIND) {
        all.extend(one(&cleanup(settings), &mut problems));
    }
    if problems.is_empty() { Ok(all) } else { Err(ebbtide_config::Error::Invalid(problems)) }
}

/// The cleanup of `[jobs] retention_days` at `cleanup_schedule`.
fn cleanup(settings: &Settings) -> Workflow {
    let expression = settings.jobs.cleanup_schedule.clone();
    let trigger = Trigger::Cron { expression, time_zone: "UTC".to_owned() };
    Workflow {
        parameters: serde_json::json!({ "retention_days": settings.jobs.retention_days }),
        place: settings.place_of("jobs", "cleanup_schedule"),
        ..Workflow::new(BUILT_IN_CLEANUP, job_cleanup::KIND, trigger)
    }
}

fn one(workflow: &Workflow, problems: &mut Vec<Problem>) -> Option<Declared> {
    let kind = match kind::parse(&workflow.kind, workflow.parameters.clone()) {
        Ok(kind) => Some(kind),
        Err(refused) => {
            let key = match &refused {
                Refused::UnknownKind { .. } => "kind".to_owned(),
                Refused::BadParameter { key: Some(key), .. } => format!("parameters.{key}"),
                Refused::BadParameter { key: None, .. } => "parameters".to_owned(),
            };
            problems.push(workflow.problem(&key, refused));
            None
        }
    };
    let when = match when(workflow) {
        Ok(when) => Some(when),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    let overlap = match workflow.overlap {
        ebbtide_config::Overlap::Skip => Overlap::Skip,
        ebbtide_config::Overlap::QueueOne => Overlap::QueueOne,
        ebbtide_config::Overlap::CancelOld => Overlap::CancelOld,
    };
    let missed = match workflow.missed {
        ebbtide_config::Missed::Skip => Missed::Skip,
        ebbtide_config::Missed::RunOnce => Missed::RunOnce,
    };
    let ebbtide_config::Retry { attempts_max, backoff_min, backoff_max } = workflow.retry;
    Some(Declared {
        parameters: workflow.parameters.clone(),
        retry: Retry { attempts_max, backoff_min, backoff_max },
        timeout: workflow.timeout,
        overlap,
        missed,
        enabled: workflow.enabled,
        ..Declared::new(&*workflow.name, &*workflow.kind, kind?, when?)
    })
}

fn when(workflow: &Workflow) -> Result<When, Problem> {
    Ok(match &workflow.trigger {
        Trigger::Cron { expression, time_zone } => {
            let cron = Cron::parse(expression, time_zone).map_err(|error| {
                let key = match error {
                    BadCron::TimeZone(_) => "trigger.time_zone",
                    _ => "trigger.cron",
                };
                workflow.problem(key, error)
            })?;
            When::Cron(cron)
        }
        Trigger::Interval(pause) => When::Interval(*pause),
        Trigger::Rows(_) | Trigger::Bytes(_) if !counts(&workflow.kind) => {
            let counting: Vec<&str> =
                kind::all().into_iter().filter(|info| info.counts_rows).map(|info| info.name).collect();
            return Err(workflow.problem(
                "trigger",
                format!(
                    "kind {} does not count rows or bytes, so they cannot trigger it; of the kinds here {} does",
                    workflow.kind,
                    counting.join(", ")
                ),
            ));
        }
        Trigger::Rows(rows) => When::Rows(*rows),
        Trigger::Bytes(bytes) => When::Bytes(*bytes),
        Trigger::Manual => When::Manual,
    })
}

/// Whether the kind counts what is pending. One that is not known is refused for that alone.
fn counts(kind: &str) -> bool {
    kind::info(kind).is_none_or(|info| info.counts_rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    fn load(text: &str) -> Result<Vec<Declared>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let settings = Settings::load(Some(file.path()), std::iter::empty()).map_err(|error| error.to_string())?;
        declared(&settings).map_err(|error| error.to_string().replace(file.path().to_str().unwrap(), "ebbtide.toml"))
    }

    #[test]
    fn every_kind_can_be_declared() {
        let all = load(
            r#"
            [[workflow]]
            name = "cleanup"
            kind = "job_cleanup"
            trigger = { cron = "30 2 * * *", time_zone = "Europe/Berlin" }
            parameters = { retention_days = 7, failed_retention_days = 90 }

            [[workflow]]
            name = "old messages"
            kind = "segment_retention"
            trigger = "manual"
            parameters = { table = "chat.messages", age = "365d", grace = "2h" }
            overlap = "queue_one"
            missed = "skip"
            retry = { attempts_max = 3, backoff_min = "1s", backoff_max = "1m" }
            timeout = "1h"

            [[workflow]]
            name = "orphans"
            kind = "orphan_sweep"
            trigger = { interval = "6h" }

            [[workflow]]
            name = "check"
            kind = "verify"
            trigger = "manual"
            parameters = { all = true }
            enabled = false

            [[workflow]]
            name = "chat"
            kind = "flush"
            trigger = { rows = 1000 }
            parameters = { namespace = "chat" }
            "#,
        )
        .unwrap();
        assert_eq!(
            all.iter().map(|one| one.kind_name.as_str()).collect::<Vec<_>>(),
            ["job_cleanup", "segment_retention", "orphan_sweep", "verify", "flush"],
            "the cleanup is declared, so none is added"
        );
        let old = &all[1];
        assert_eq!(
            (old.overlap, old.missed, old.timeout),
            (Overlap::QueueOne, Missed::Skip, Some(Duration::from_secs(3600)))
        );
        assert_eq!(old.retry.attempts_max, Some(3));
        assert!(format!("{:?}", old.kind).contains("Table(\"chat.messages\")"), "{:?}", old.kind);
        assert!(!all[3].enabled);
        assert_eq!(all[4].when, When::Rows(1000));
    }

    #[test]
    fn a_cleanup_of_jobs_is_there_without_being_declared() {
        let all = load("[jobs]\nretention_days = 12\ncleanup_schedule = \"15 4 * * *\"\n").unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].name.as_str(), all[0].parameters["retention_days"].as_u64()), (BUILT_IN_CLEANUP, Some(12)));
        assert!(matches!(&all[0].when, When::Cron(cron) if cron.expression() == "15 4 * * *"), "{:?}", all[0].when);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let refused = |kind: &str, trigger: &str, parameters: &str| {
            let text = format!(
                "[[workflow]]\nname = \"w\"\nkind = \"{kind}\"\ntrigger = {trigger}\nparameters = {parameters}\n"
            );
            load(&text).unwrap_err()
        };
        for (kind, trigger, parameters, said) in [
            (
                "verfy",
                "\"manual\"",
                "{}",
                "ebbtide.toml:3:1: workflow \"w\": unknown kind \"verfy\", did you mean \"verify\"?",
            ),
            (
                "verify",
                "\"manual\"",
                "{ al = true }",
                "5:16: workflow \"w\": kind verify: unknown parameter \"al\", did you mean \"all\"?",
            ),
            ("verify", "\"manual\"", "{}", "5:1: workflow \"w\": kind verify: missing field: say which tables"),
            ("verify", "\"manual\"", "{ all = true, table = \"a.b\" }", "exclude one another"),
            ("verify", "\"manual\"", "{ table = \"messages\" }", "is not written as namespace.table"),
            ("segment_retention", "\"manual\"", "{ all = true }", "missing field: age says how long rows are kept"),
            (
                "segment_retention",
                "\"manual\"",
                "{ all = true, age = \"1y\" }",
                "5:28: workflow \"w\": parameter \"age\"",
            ),
            ("segment_retention", "\"manual\"", "{ all = true, age = \"0s\" }", "would remove every cold row"),
            ("segment_move", "\"manual\"", "{ all = true }", "missing field: to says which storage"),
            ("segment_move", "\"manual\"", "{ to = \"archive\" }", "missing field: say which tables"),
            ("segment_move", "\"manual\"", "{ all = true, to = \"a/b\" }", "the storage id \"a/b\" holds '/'"),
            ("segment_move", "\"manual\"", "{ all = true, too = \"b\" }", "did you mean \"to\"?"),
            ("job_cleanup", "{ cron = \"61 * * * *\" }", "{}", "4:"),
            ("job_cleanup", "{ cron = \"0 0 * * *\", time_zone = \"Europe/Berlinn\" }", "{}", "Europe/Berlin"),
            ("job_cleanup", "{ rows = 5 }", "{}", "of the kinds here flush does"),
        ] {
            let error = refused(kind, trigger, parameters);
            assert!(error.contains(said), "{kind} {trigger} {parameters}: {error}");
        }
    }
}
