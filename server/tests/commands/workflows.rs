//! `ebbtide workflows` and `ebbtide config`.

use super::kit::{Place, run};

const NIGHTLY: &str = r#"
[[workflow]]
name = "nightly cleanup"
kind = "job_cleanup"
trigger = { cron = "30 2 * * *", time_zone = "Europe/Berlin" }
parameters = { retention_days = 7 }
"#;

#[test]
fn a_file_is_checked_without_a_server() {
    let place = Place::new();
    let file = place.settings(NIGHTLY);
    let file = file.to_str().unwrap();
    let said = run(&["workflows", "validate", file]).succeeded();
    assert!(said.contains("nightly cleanup") && said.contains("all workflows are right"), "{said}");

    place.settings(&NIGHTLY.replace("30 2 * * *", "30 25 * * *").replace("job_cleanup", "job_clenup"));
    let said = run(&["workflows", "validate", file]).failed();
    assert!(said.contains(&format!("{file}:4:")) && said.contains("did you mean \"job_cleanup\"?"), "{said}");
    assert!(said.contains(&format!("{file}:5:")), "both are said at once: {said}");

    place.settings(&NIGHTLY.replace("retention_days", "retension_days"));
    let said = run(&["workflows", "validate", file]).failed();
    assert!(said.contains(&format!("{file}:6:")) && said.contains("did you mean \"retention_days\"?"), "{said}");
}

#[test]
fn a_preview_marks_what_the_clock_does() {
    let place = Place::new();
    let file = place.settings(NIGHTLY);
    let preview = |name: &str| {
        run(&[
            "workflows",
            "preview",
            name,
            "--next",
            "2",
            "--from",
            "2026-03-28T12:00:00Z",
            "--config",
            file.to_str().unwrap(),
        ])
    };
    let said = preview("nightly cleanup").succeeded();
    let days: Vec<_> = said.lines().skip(1).collect();
    assert!(days[0].contains("2026-03-29T03:00:00+02:00") && days[0].contains("leaves out"), "{said}");
    assert!(days[1].ends_with("2026-03-30T00:30:00Z") && days.len() == 2, "{said}");
    let said = preview("nightly clenup").failed();
    assert!(said.contains("did you mean \"nightly cleanup\"?"), "{said}");
}

/// Kinds register themselves at link time. One that the linker drops would show only when a job of it cannot be loaded.
#[test]
fn no_kind_was_lost_at_link_time() {
    let said = run(&["workflows", "kinds"]).succeeded();
    let (declared, stored) = said.split_once("kinds of stored jobs that this program can run:").unwrap();
    let names = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).map(str::to_owned).collect()
    };
    assert_eq!(
        names(declared),
        ["flush", "job_cleanup", "orphan_sweep", "segment_move", "segment_retention", "verify"]
    );
    assert_eq!(
        names(stored),
        [
            "attach",
            "bench",
            "bench_interrupted",
            "flush",
            "flush_tables",
            "job_cleanup",
            "orphan_sweep",
            "segment_move",
            "segment_retention",
            "user_erase",
            "user_export",
            "verify"
        ]
    );
}

#[test]
fn a_server_lists_and_runs_what_is_declared() {
    let place = Place::new();
    let disabled =
        "[[workflow]]\nname = \"orphans\"\nkind = \"orphan_sweep\"\ntrigger = { interval = \"6h\" }\nenabled = false\n";
    let server = place.serve(&place.settings(&format!("{NIGHTLY}{disabled}")));
    let listed = server.run(&["workflows", "list"]).succeeded();
    let line = |name: &str| listed.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("nightly cleanup").contains("Europe/Berlin | t "), "{listed}");
    assert!(line("orphans").contains("not enabled") || line("orphans").contains("| f "), "{listed}");

    let ran = server.run(&["workflows", "run", "nightly cleanup", "--wait"]).succeeded();
    assert!(ran.contains("completed in state Done"), "{ran}");
    let ran = server.run(&["workflows", "run", "orphans", "--wait"]).succeeded();
    assert!(ran.contains("completed in state Done"), "also one that is not enabled: {ran}");
    let unknown = server.run(&["workflows", "run", "orphan"]).failed();
    assert!(unknown.contains("did you mean 'orphans'?"), "{unknown}");
}

#[test]
fn the_schema_of_the_settings_file_is_the_one_that_is_checked_in() {
    let said = run(&["config", "schema"]).succeeded();
    let kept = include_str!("../../../docs/ebbtide.schema.json");
    assert!(said == kept, "docs/ebbtide.schema.json is out of date; make it with: ebbtide config schema");
}
