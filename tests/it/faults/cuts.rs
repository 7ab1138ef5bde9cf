//! Connections that break at random bytes, under load.

use std::time::Instant;

use super::amount;
use super::model::Figures;
use super::proxy::Proxy;
use super::world::World;
use crate::support::test_server::{TestServer, until};

const MEMBERS: usize = 6;
/// Short, so that the server soon finds out about connections that were given up before they were of use.
const SHORT: [&str; 3] = ["ping_interval_s=1", "pong_timeout_s=2", "first_command_s=3"];
/// What a member may be closed with: it is slow, or the machine is.
const CLOSED_WITH: [u16; 3] = [4001, 4002, 4003];

/// Members talk in two rooms until `faults` connections broke, and everything is checked.
async fn break_connections(limits: &[&str], faults: usize) -> Figures {
    let began = Instant::now();
    let server = TestServer::start(&[&SHORT, limits].concat()).await;
    let mut proxies = Vec::new();
    for index in 0..MEMBERS {
        proxies.push(Proxy::before(server.address, 1_000 + index as u64).await);
    }
    let mut world = World::new(server.address, server.trust(), 2, MEMBERS, &CLOSED_WITH).await;
    let ways: Vec<_> = proxies.iter().map(|proxy| proxy.address).collect();
    world.take_ways(&ways);
    let talking = world.talk(true);
    let broken = || proxies.iter().map(Proxy::faults).sum::<usize>();
    // However many they are; what must not happen is that none come any more.
    let mut before = 0;
    while broken() < faults && !talking.failed() {
        until("another broken connection", || broken() > before || talking.failed()).await;
        before = broken();
    }
    proxies.iter().for_each(Proxy::calm);
    let figures = talking.finish().await;
    until("the server closes what its clients have given up", || proxies.iter().all(|p| p.ghosts() == 0)).await;
    eprintln!("{} broken connections in {:.1?}: {figures:?}", broken(), began.elapsed());
    server.empty().await;
    server.stop().await;
    figures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_comes_twice() {
    let figures = break_connections(&[], amount(400, 10_000)).await;
    assert_eq!((figures.missing, figures.absent, figures.gaps), (0, 0, 0));
    assert!(figures.answered_again > 0 && figures.controls > 0 && figures.messages > 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_a_window_is_named_in_a_gap() {
    let limits = ["window_events=100", "members_per_room=32", "card_bytes=0"];
    let figures = break_connections(&limits, amount(150, 2_000)).await;
    assert_eq!(figures.absent, 0);
    assert!(figures.missing > 0, "the windows were too large for this test");
    assert!(figures.reasons.contains("window"), "{:?}", figures.reasons);
    assert!(figures.reasons.iter().all(|reason| reason == "window" || reason == "members"), "{:?}", figures.reasons);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_the_memory_of_an_address_is_named_in_a_gap() {
    let limits = ["connections_from_loopback=256", "memory_per_address_bytes=400000"];
    // How much waits at once depends on when the connections break. The model says whether all that is missing was named.
    let figures = break_connections(&limits, amount(150, 2_000)).await;
    assert!(figures.missing == 0 || figures.gaps > 0, "{} are missing", figures.missing);
    assert!(figures.reasons.iter().all(|reason| reason == "memory" || reason == "members"), "{:?}", figures.reasons);
}
