//! `ebbtide jobs`.

use super::kit::{Place, run};

const SCHEMA: &str = "CREATE NAMESPACE chat; CREATE USER TABLE chat.notes (t TEXT) FLUSH INTERVAL 86399s; \
     INSERT INTO chat.notes (_user_id, t) VALUES ('ana', 'a'), ('ben', 'b')";

#[test]
fn a_job_is_seen_from_all_sides() {
    let place = Place::new();
    let server = place.serve(&place.settings(""));
    server.sql(SCHEMA);
    let said = server.run(&["workflows", "run", "flush chat.notes", "--wait"]).succeeded();
    let job = said.split_whitespace().nth(1).unwrap();
    assert!(said.contains("completed in state Done: 2 users, 2 rows"), "{said}");

    let listed = server.run(&["jobs", "list", "--status", "completed", "--table", "chat.notes"]).succeeded();
    assert!(listed.contains(job) && listed.ends_with("(1 row)\n"), "{listed}");
    let listed = server.run(&["jobs", "list", "--status", "failed,parked"]).succeeded();
    assert!(listed.ends_with("(0 rows)\n"), "{listed}");

    let shown = server.run(&["jobs", "show", job]).succeeded();
    for part in ["job_id", "status", "Snapshotting", "Deleting", "completed"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let seen = server.run(&["jobs", "watch", "--plain", "--until-idle"]).succeeded();
    assert_eq!(seen, "", "nothing runs, and what ended before is old news");

    for (verb, said) in
        [("kill", "Cannot cancel job in status completed"), ("retry", "Cannot retry"), ("resume", "Cannot resume")]
    {
        let refused = server.run(&["jobs", verb, job]).failed();
        assert!(refused.contains(said), "{verb}: {refused}");
    }
    let unknown = server.run(&["jobs", "show", &job[..job.len() - 1]]).failed();
    assert!(unknown.contains(&format!("did you mean {job}?")), "{unknown}");
    let listed = server.run(&["workflows", "list"]).succeeded();
    assert!(listed.contains("flush chat.notes") && listed.contains("interval 86399s"), "{listed}");
}

#[test]
fn an_upgrade_is_checked_beside_the_running_server() {
    let place = Place::new();
    let data = place.data();
    let check = || run(&["jobs", "check-upgrade", "--data-dir", data.to_str().unwrap()]);
    let said = check().failed();
    assert!(said.contains("there is no database"), "{said}");
    let server = place.serve(&place.settings(""));
    server.sql(SCHEMA);
    let said = check().succeeded();
    assert!(said.contains("no job that is not over"), "{said}");
}
