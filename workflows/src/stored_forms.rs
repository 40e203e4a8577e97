//! Stored bodies of every state of every kind. A file in `tests/bodies` never changes and never goes: what an older
//! program stored must always load. A new form gets a new file, `<kind>-v<body version>-<state>[-<more>].json`.

use crate::kinds::NAMES;
use ebbtide_runtime::{Workflow, kinds};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The states of each kind, in the order of its path.
const STATES: [(&str, &[&str]); 10] = [
    ("attach", &["Queued", "Described", "Bare", "Done"]),
    ("flush", &["Queued", "Snapshotting", "Writing", "Deleting", "Done"]),
    ("flush_tables", &["Queued", "Asking", "Done"]),
    ("job_cleanup", &["Queued", "Snapshotting", "Deleting", "Done"]),
    ("orphan_sweep", &["Queued", "Snapshotting", "Listing", "Deleting", "Done"]),
    ("segment_move", &["Queued", "Snapshotting", "Copying", "Deleting", "Done"]),
    ("segment_retention", &["Queued", "Snapshotting", "Writing", "Deleting", "Done"]),
    ("user_erase", &["Queued", "Fencing", "Erasing", "Removing", "Purging", "Done"]),
    ("user_export", &["Queued", "Snapshotting", "Copying", "Describing", "Done"]),
    ("verify", &["Queued", "Snapshotting", "Reading", "Done"]),
];

#[test]
fn every_stored_form_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bodies");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let body = std::fs::read_to_string(&path).unwrap();
        let workflow: Box<dyn Workflow> =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{name} does not load: {error}"));
        let view = workflow.view();
        let mut parts = name.split('-');
        assert_eq!(parts.next(), Some(view.kind), "{name}");
        let version: u32 = parts.next().unwrap().strip_prefix('v').unwrap().parse().unwrap();
        assert_eq!(parts.next(), Some(view.state.to_lowercase().as_str()), "{name}");
        assert!(version <= view.body_version, "{name} is newer than this program");
        if version == view.body_version {
            let stored: serde_json::Value = serde_json::from_str(&body).unwrap();
            let again = serde_json::to_value(&workflow).unwrap();
            assert_eq!(
                again, stored,
                "{name} is what this version stores; a new form needs a new version and a new file"
            );
        }
        found.entry(view.kind.to_owned()).or_default().insert(view.state.to_owned());
    }
    for (kind, states) in STATES {
        let missing: Vec<_> = states.iter().filter(|state| !found[kind].contains(**state)).collect();
        assert!(missing.is_empty(), "no stored form of {kind} in {missing:?}");
    }
}

#[test]
fn no_kind_is_lost_at_link_time() {
    let linked = kinds::workflow_names();
    for name in NAMES {
        assert!(linked.contains(name), "{name} is not among {linked:?}");
    }
    assert_eq!(STATES.map(|(kind, _)| kind), *NAMES, "every kind has its states here");
}
