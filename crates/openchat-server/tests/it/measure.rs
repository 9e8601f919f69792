use crate::server::Server;
use std::time::Instant;

fn rss(id: u32) -> u64 {
    let s = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    s.lines().find(|l| l.starts_with("VmRSS")).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn measure() {
    let server = Server::start();
    let mut people = vec![];
    for i in 0..40 {
        people.push(server.enroll(&format!("p{i}")).await);
    }
    for p in &people { let mut c = server.connect(p).await; assert!(c.is_served().await); }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let before = rss(server.id());
    let began = Instant::now();
    let mut held = vec![];
    for p in &people {
        for _ in 0..15 {
            let mut c = server.connect(p).await;
            assert!(c.is_served().await);
            held.push(c);
        }
    }
    let took = began.elapsed();
    println!("{} connections, {:?} each, {} KiB each", held.len(), took / 600, (rss(server.id()) - before) as f64 / 600.0);
}
