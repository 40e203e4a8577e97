//! Kills at random moments under load, one after the other on the same data.

use super::scene::Scene;
use crate::kit::{PATIENCE, Place};

/// A small generator of our own, seeded, so that a failure can be had again.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_at_random_moments_lose_and_double_nothing() {
    let scene = Scene::loaded(Place::new()).await;
    let mut moments = Moments(20_261_122);
    for _ in 0..50 {
        let mut server = scene.place.start().await;
        let before = scene.ledger.acknowledged_count();
        let writers = [scene.writer(&server, 0), scene.writer(&server, 2), scene.writer(&server, 5)];
        scene.ask_for_flushes(&server).await;
        // The moment is counted in acknowledged rows, so that a slow machine has its kills under load too.
        let enough = before + 2 + moments.next(120) as usize;
        let reached = async {
            while scene.ledger.acknowledged_count() < enough {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("the server takes rows");
        server.kill().await;
        for writer in writers {
            writer.await.expect("a writer ends with its server");
        }
    }
    let complaints = scene.complaints("after fifty kills").await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}
