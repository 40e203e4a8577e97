//! A process that is stopped past its lease and continued keeps its claims: its jobs run on, and nothing is doubled.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, stored, submit, wait};
use ebbtide_engine::env::{Env, SystemEnv};
use ebbtide_runtime::{Options, Status, query};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LEASE: Duration = Duration::from_millis(600);
/// Set for the process that is stopped.
const STOPPED: &str = "EBBTIDE_TEST_STOPPED";

/// Ends the child when the test does, however it ends.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the child says after this word.
fn heard(lines: &mut impl Iterator<Item = std::io::Result<String>>, word: &str) -> String {
    loop {
        let line = lines.next().expect("the child says more").unwrap();
        if let Some((_, rest)) = line.split_once(word) {
            return rest.trim().to_owned();
        }
    }
}

#[test]
fn a_stopped_process_keeps_its_claims() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stopped::the_process_that_is_stopped", "--ignored", "--nocapture"])
        .env(STOPPED, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let child = Reaped(child);
    let mut lines = BufReader::new(stdout).lines();
    let lease_end: i64 = heard(&mut lines, "CLAIMED").parse().unwrap();

    let pid = Pid::from_raw(child.0.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    // Both runtimes of the child miss every beat for two leases and more.
    let past = lease_end + 2 * i64::try_from(LEASE.as_micros()).unwrap();
    std::thread::sleep(Duration::from_micros(u64::try_from(past - SystemEnv.now()).unwrap()));
    assert!(SystemEnv.now() >= past);
    kill_process(pid, Signal::CONT).unwrap();

    stdin.write_all(b"go on\n").unwrap();
    assert_eq!(heard(&mut lines, "ENDED"), "completed epoch 1 attempt 1 marks 1 claims 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "the other half of the test above, which runs it in a process of its own"]
async fn the_process_that_is_stopped() {
    if std::env::var_os(STOPPED).is_none() {
        return;
    }
    let world = World::new();
    let node = |name: &str| Options { node_id: name.to_owned(), lease: LEASE, ..world.options.clone() };
    let first = world.start_as(node("a")).await;
    let id = submit(&first, job([Act::Hold, mark("once")])).await;
    world.stage.entered().await;
    // A neighbour that would take the job over if it took the claim for given up.
    let second = world.start_as(node("b")).await;
    let said = stored(&first, &id);
    say(&format!("CLAIMED {}", said.lease_expires_at.unwrap()));
    tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new())).await.unwrap().unwrap();

    // The neighbour beats several times more before anybody goes on.
    let seen = |name: &str| {
        let nodes = query::nodes(&world.engine.snapshot()).unwrap();
        nodes.into_iter().find(|node| node.node_id == name).unwrap().seen_at
    };
    let mut last = seen("b");
    for _ in 0..4 {
        in_time(async {
            while seen("b") == last {
                tokio::task::yield_now().await;
            }
        })
        .await;
        last = seen("b");
    }
    world.stage.release();
    let done = wait(&first, &id).await;
    let claims = first.transitions(&id).unwrap().iter().filter(|line| line.epoch != 0).map(|line| line.epoch).max();
    assert_eq!(done.status, Status::Completed);
    say(&format!(
        "ENDED {} epoch {} attempt {} marks {} claims {}",
        done.status,
        done.epoch,
        done.attempt,
        world.marks("once"),
        claims.unwrap()
    ));
    in_time(second.halt()).await;
    in_time(first.halt()).await;
}

/// On the real standard output, which the other process reads.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}
