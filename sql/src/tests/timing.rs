use super::script::World;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn timing() {
    let mut world = World::new().await;
    world.script("admin CREATE NAMESPACE a\nadmin CREATE USER TABLE a.t (id BIGINT NOT NULL, room TEXT, body TEXT, at TIMESTAMPTZ, n INT) FLUSH ROWS 900000").await;
    let values: Vec<String> = (0..100)
        .map(|i| format!("({i}, 'room {i}', 'some body of some length {i}', '2026-11-22 10:30:00', {i})"))
        .collect();
    let sql = format!("INSERT INTO a.t VALUES {}", values.join(", "));
    let session = world.session("ana");
    for _ in 0..3 {
        let t = Instant::now();
        let statement = session.parse(&sql).unwrap().remove(0);
        let parsed = t.elapsed();
        let prepared = session.prepare(statement, &[]).await.unwrap();
        let looked = t.elapsed();
        session.execute(&prepared, vec![]).await.unwrap();
        eprintln!("INSERT 100: parse {parsed:?} prepare {:?} execute {:?}", looked - parsed, t.elapsed() - looked);
    }
    for sql in [
        "SELECT 1",
        "SELECT * FROM system.jobs WHERE job_id = 'x'",
        "SELECT * FROM a.t WHERE id = 5",
        "SELECT * FROM system.jobs ORDER BY created_at DESC LIMIT 100",
    ] {
        for _ in 0..2 {
            let t = Instant::now();
            let statement = session_of(&mut world).parse(sql).unwrap().remove(0);
            let parsed = t.elapsed();
            let prepared = session_of(&mut world).prepare(statement, &[]).await.unwrap();
            let looked = t.elapsed();
            let outcome = session_of(&mut world).execute(&prepared, vec![]).await.unwrap();
            let executed = t.elapsed();
            super::script::rows(outcome).await.unwrap();
            eprintln!(
                "{sql}: parse {parsed:?} prepare {:?} execute {:?} rows {:?}",
                looked - parsed,
                executed - looked,
                t.elapsed() - executed
            );
        }
    }
}

fn session_of(world: &mut World) -> &crate::Session {
    world.session("admin")
}
