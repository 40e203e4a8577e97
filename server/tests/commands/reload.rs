//! SIGHUP and the end of a server.

use super::kit::Place;
use rustix::process::Signal;

const ONE: &str = "[[workflow]]\nname = \"one\"\nkind = \"job_cleanup\"\ntrigger = \"manual\"\n";
const TWO: &str = "[[workflow]]\nname = \"two\"\nkind = \"orphan_sweep\"\ntrigger = \"manual\"\n";

#[test]
fn workflows_are_taken_whole_or_not_at_all() {
    let place = Place::new();
    let server = place.serve(&place.settings(ONE));

    place.settings(&format!("{ONE}{TWO}"));
    server.signal(Signal::HUP);
    assert!(server.logs("SIGHUP: added").contains("two"));

    place.settings(&format!("{TWO}[[workflow]]\nname = \"three\"\nkind = \"verfy\"\ntrigger = \"manual\"\n"));
    server.signal(Signal::HUP);
    let said = server.logs("SIGHUP: the workflows stay as they were");
    assert!(said.contains("did you mean \"verify\"?"), "{said}");

    // "one" was not declared in the file that was refused, and is there all the same.
    place.settings(&format!("{ONE}{TWO}"));
    server.signal(Signal::HUP);
    server.logs("SIGHUP: the workflows are as they were");

    server.signal(Signal::TERM);
    server.logs("stopping: jobs go on to their next checkpoint");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn a_start_says_what_it_found() {
    let place = Place::new();
    let settings = place.settings("[shutdown]\ndrain = \"finish\"\n");
    let server = place.serve(&settings);
    server.signal(Signal::TERM);
    server.logs("stopping: jobs go on to their end");
    assert_eq!(server.ended(), Some(0));
    let server = place.serve(&settings);
    server.logs("0 jobs resumed");
}
