//! Sealed rooms against a relay in memory: what an honest one makes possible, and what a hostile one is caught at.
mod epochs;
mod honest;
mod hostile;
mod insiders;
mod owners;
mod puppet;
mod world;

#[test]
fn the_machine_can_go_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<subrosa::sealed::room::Machine>();
}
