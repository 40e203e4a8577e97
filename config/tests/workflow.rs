//! What a person who declares workflows sees: what was declared, and errors that teach.

use std::io::Write;
use std::time::Duration;

use ebbtide_config::{Error, Missed, Overlap, Place, Retry, Settings, Trigger, Workflow};
use serde_json::json;

/// The workflows of a file with this content, or the errors, with the file called `F`.
fn load(content: &str) -> Result<Vec<Workflow>, Vec<String>> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(content.as_bytes()).expect("a file of our own");
    match Settings::load(Some(file.path()), std::iter::empty()) {
        Ok(settings) => Ok(settings.workflows),
        Err(error) => {
            assert!(matches!(error, Error::Invalid(_)), "{error}");
            let path = file.path().display().to_string();
            Err(error.to_string().lines().map(|line| line.replace(&path, "F")).collect())
        }
    }
}

fn one(content: &str) -> Workflow {
    let mut workflows = load(content).expect("a right declaration");
    assert_eq!(workflows.len(), 1);
    workflows.remove(0)
}

#[test]
fn every_key_is_read() {
    let workflow = one(r#"
        [[workflow]]
        name = "nightly cleanup"
        kind = "job_cleanup"
        trigger = { cron = "0 3 * * *", time_zone = "Europe/Berlin" }
        parameters = { retention_days = 30, dry = true, share = 0.5, tables = ["a.b", { name = "c" }], since = 2026-01-02 }
        retry = { attempts_max = 5, backoff_min = "1s", backoff_max = "5m" }
        timeout = "1h"
        overlap = "queue_one"
        missed = "skip"
        enabled = false
    "#);
    assert_eq!((workflow.name.as_str(), workflow.kind.as_str()), ("nightly cleanup", "job_cleanup"));
    let cron = Trigger::Cron { expression: "0 3 * * *".to_owned(), time_zone: "Europe/Berlin".to_owned() };
    assert_eq!(workflow.trigger, cron);
    assert_eq!(
        workflow.parameters,
        json!({ "retention_days": 30, "dry": true, "share": 0.5, "tables": ["a.b", { "name": "c" }], "since": "2026-01-02" })
    );
    let retry = Retry {
        attempts_max: Some(5),
        backoff_min: Some(Duration::from_secs(1)),
        backoff_max: Some(Duration::from_secs(300)),
    };
    assert_eq!(workflow.retry, retry);
    assert_eq!(workflow.timeout, Some(Duration::from_secs(3600)));
    assert_eq!((workflow.overlap, workflow.missed, workflow.enabled), (Overlap::QueueOne, Missed::Skip, false));
}

#[test]
fn only_name_kind_and_trigger_are_needed() {
    let workflow = one("[[workflow]]\nname = \"x\"\nkind = \"flush\"\ntrigger = \"manual\"\n");
    let expected = Workflow {
        place: workflow.place.clone(),
        places: workflow.places.clone(),
        ..Workflow::new("x", "flush", Trigger::Manual)
    };
    assert_eq!(workflow, expected);
    assert_eq!(workflow.parameters, json!({}));
    assert_eq!((workflow.overlap, workflow.missed, workflow.enabled), (Overlap::Skip, Missed::RunOnce, true));
}

#[test]
fn every_form_of_a_trigger_is_read() {
    let forms = [
        (r#"{ cron = "@daily" }"#, Trigger::Cron { expression: "@daily".to_owned(), time_zone: "UTC".to_owned() }),
        (r#"{ interval = "1h 30m" }"#, Trigger::Interval(Duration::from_secs(5400))),
        ("{ rows = 10_000 }", Trigger::Rows(10_000)),
        (r#"{ bytes = "64 MiB" }"#, Trigger::Bytes(64 << 20)),
        (r#""manual""#, Trigger::Manual),
    ];
    for (written, trigger) in forms {
        let workflow = one(&format!("[[workflow]]\nname = \"x\"\nkind = \"flush\"\ntrigger = {written}\n"));
        assert_eq!(workflow.trigger, trigger, "{written}");
    }
}

#[test]
fn a_table_of_its_own_is_as_good_as_an_inline_one() {
    let workflow = one(r#"
        [[workflow]]
        name = "x"
        kind = "flush"
        [workflow.trigger]
        interval = "1h"
        [workflow.parameters]
        table = "chat.messages"
    "#);
    assert_eq!(workflow.trigger, Trigger::Interval(Duration::from_secs(3600)));
    assert_eq!(workflow.parameters, json!({ "table": "chat.messages" }));
}

#[test]
fn a_refusal_of_the_kind_points_at_its_key() {
    let workflow = one(concat!(
        "[[workflow]]\nname = \"x\"\nkind = \"flush\"\ntrigger = { cron = \"@daily\" }\n",
        "parameters = { table = \"a.b\", options = { deep = [1, 2] } }\n",
        "[jobs]\nretention_days = 3\n"
    ));
    let at = |key: &str| match workflow.place_of(key) {
        Place::File { line, column, .. } => (*line, *column),
        other => panic!("{key} is at {other}"),
    };
    assert_eq!(at("kind"), (3, 1));
    assert_eq!(at("trigger.cron"), (4, 13));
    assert_eq!(at("trigger.time_zone"), (4, 1), "what was not written is where its table is");
    assert_eq!(at("parameters.table"), (5, 16));
    assert_eq!(at("parameters.options.deep[1]"), (5, 54));
    assert_eq!(at("parameters.options.shallow"), (5, 31));
    assert_eq!(at("timeout"), (1, 1));
    let problem = workflow.problem("parameters.table", "there is no table a.b").to_string();
    assert!(problem.ends_with(":5:16: workflow \"x\": there is no table a.b"), "{problem}");
}

#[test]
fn settings_say_where_they_were_written() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[jobs]\ncleanup_schedule = \"@weekly\"\n").unwrap();
    let settings = Settings::load(Some(file.path()), std::iter::empty()).unwrap();
    assert_eq!(settings.jobs.cleanup_schedule, "@weekly");
    assert!(matches!(settings.place_of("jobs", "cleanup_schedule"), Place::File { line: 2, column: 20, .. }));
    assert_eq!(settings.place_of("jobs", "retention_days"), Place::Default);
}

const HEAD: &str = "[[workflow]]\nname = \"x\"\nkind = \"flush\"\n";
const FORMS: &str = "{ cron = \"0 3 * * *\", time_zone = \"Europe/Berlin\" }, { interval = \"1h\" }, { rows = 10000 }, { bytes = \"64 MiB\" } or \"manual\"";

#[test]
fn a_wrong_declaration_is_told_where_and_what_would_be_right() {
    let manual = "trigger = \"manual\"\n";
    let cases = [
        (
            format!("{HEAD}{manual}  timout = \"1h\""),
            vec!["F:5:3: unknown key \"timout\" in [[workflow]], did you mean \"timeout\"?".to_owned()],
        ),
        (
            format!("{HEAD}{manual}colour = 1"),
            vec!["F:5:1: unknown key \"colour\" in [[workflow]]; known are name, kind, trigger, parameters, retry, timeout, overlap, missed, enabled".to_owned()],
        ),
        (HEAD.to_owned(), vec![format!("F:1:1: workflow \"x\": it has no trigger: add trigger = {FORMS}")]),
        (
            "[[workflow]]".to_owned(),
            vec![
                "F:1:1: a workflow needs a name: add name = \"nightly cleanup\"".to_owned(),
                "F:1:1: it has no kind: add kind = \"flush\"".to_owned(),
                format!("F:1:1: it has no trigger: add trigger = {FORMS}"),
            ],
        ),
        ("[workflow]\nname = \"x\"".to_owned(), vec!["F:1:1: workflows are a list: write [[workflow]], with two brackets on each side".to_owned()]),
        ("[[workflows]]".to_owned(), vec!["F:1:3: unknown section \"workflows\", did you mean [[workflow]]?".to_owned()]),
        ("workflow = [3]".to_owned(), vec!["F:1:13: a value of type integer is no workflow".to_owned()]),
        (
            format!("{HEAD}{manual}timeout = \"1 hour\""),
            vec!["F:5:11: workflow \"x\": timeout: \"1 hour\" is not a duration: write whole numbers with units, such as \"60s\" or \"1h 30m\" (d, h, m, s, ms)".to_owned()],
        ),
        (
            format!("{HEAD}{manual}timeout = \"10ms\""),
            vec!["F:5:11: workflow \"x\": timeout: \"10ms\" is below the least, \"1s\"".to_owned()],
        ),
        (
            format!("{HEAD}{manual}enabled = \"yes\""),
            vec!["F:5:11: workflow \"x\": enabled: \"yes\" is neither true nor false".to_owned()],
        ),
        (
            format!("{HEAD}{manual}overlap = \"queue\""),
            vec!["F:5:11: workflow \"x\": overlap: \"queue\" is unknown; known are \"skip\", \"queue_one\", \"cancel_old\"".to_owned()],
        ),
        (
            format!("{HEAD}{manual}missed = \"run_onse\"\noverlap = 3"),
            vec![
                "F:5:10: workflow \"x\": missed: \"run_onse\" is unknown, did you mean \"run_once\"?".to_owned(),
                "F:6:11: workflow \"x\": overlap: write one of \"skip\", \"queue_one\", \"cancel_old\"".to_owned(),
            ],
        ),
        (format!("{HEAD}trigger = \"sometimes\""), vec![format!("F:4:11: workflow \"x\": trigger: write {FORMS}")]),
        (format!("{HEAD}trigger = {{}}"), vec![format!("F:4:11: workflow \"x\": trigger: write {FORMS}")]),
        (
            format!("{HEAD}trigger = {{ cron = \"@daily\", rows = 3 }}"),
            vec!["F:4:11: workflow \"x\": trigger: one workflow has one of cron, interval, rows, bytes; declare a second one for the second".to_owned()],
        ),
        (
            format!("{HEAD}trigger = {{ rows = 3, time_zone = \"UTC\" }}"),
            vec!["F:4:23: workflow \"x\": a time_zone is of use with cron only".to_owned()],
        ),
        (
            format!("{HEAD}trigger = {{ rows = 0 }}"),
            vec!["F:4:20: workflow \"x\": trigger.rows: 0 is below the least, 1".to_owned()],
        ),
        (
            format!("{HEAD}trigger = {{ interval = 60 }}"),
            vec!["F:4:24: workflow \"x\": trigger.interval: 60 has no unit: write a duration as \"60s\" or \"60ms\"".to_owned()],
        ),
        (
            format!("{HEAD}trigger = {{ corn = \"@daily\" }}"),
            vec!["F:4:13: unknown key \"corn\" in trigger, did you mean \"cron\"?".to_owned()],
        ),
        (format!("{HEAD}trigger = {{ cron = 5 }}"), vec!["F:4:20: workflow \"x\": trigger.cron: a value of type integer is no text; put it in quotes".to_owned()]),
        (
            format!("{HEAD}{manual}retry = {{ attempt_max = 3 }}"),
            vec!["F:5:11: unknown key \"attempt_max\" in retry, did you mean \"attempts_max\"?".to_owned()],
        ),
        (
            format!("{HEAD}{manual}retry = {{ backoff_min = \"2m\", backoff_max = \"1m\" }}"),
            vec!["F:5:9: workflow \"x\": retry.backoff_min is longer than retry.backoff_max".to_owned()],
        ),
        (
            format!("{HEAD}{manual}parameters = 3"),
            vec!["F:5:14: workflow \"x\": parameters are a table: write parameters = { key = \"value\" }".to_owned()],
        ),
        (
            format!("{HEAD}{manual}parameters = {{ a = nan }}"),
            vec!["F:5:20: workflow \"x\": parameters: nan is no number that a parameter can have".to_owned()],
        ),
        (
            format!("{HEAD}{manual}{}", HEAD.replace('x', "X")) + manual,
            vec!["F:6:1: workflow \"X\": its name is taken already, by the one at F:2:1".to_owned()],
        ),
        (
            "[[workflow]]\nname = \" a\"\nkind = \"flush\"\ntrigger = \"manual\"".to_owned(),
            vec!["F:2:8: \" a\" is no name of a workflow: up to 63 letters a-z, digits, \"-\", \"_\", and spaces inside".to_owned()],
        ),
    ];
    let mut wrong = Vec::new();
    for (content, expected) in cases {
        let got = load(&content);
        if got != Err(expected.clone()) {
            wrong.push(format!("{content}\n  expected {expected:#?}\n  got {got:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_example_of_the_documented_file_is_accepted() {
    let rendered = Settings::documented_default();
    let (_, example) = rendered.split_once("explains every key.\n").expect("the file ends with an example");
    let example: String = example.lines().map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
    assert_eq!(one(&example).name, "nightly cleanup");
}
