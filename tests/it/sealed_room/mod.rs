//! Sealed rooms against a relay in memory: what an honest one makes possible, and what a hostile one is caught at.
mod explore;
mod insiders;
mod lines;
mod puppet;
mod scripts;
mod world;

#[test]
fn the_machine_can_go_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<subrosa::sealed::room::Machine>();
}

#[path = "../../../examples/machine.rs"]
#[expect(dead_code, reason = "the example's main function is for people")]
mod example;

#[test]
fn the_example_without_a_network_shows_what_it_says() {
    let mut lines = example::talk().unwrap();
    lines.sort();
    let shown = ["alice reads: <bob> good evening", "alice sees bob", "bob sees alice", "bob's message reached 1"];
    assert_eq!(lines, shown);
}
