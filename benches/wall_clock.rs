//! What the scenarios take on this machine, for people: `cargo bench --bench wall_clock`.

mod scenarios;

/// As in the program: wiping what is freed is part of the cost.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() {
    divan::main();
}

#[divan::bench(args = scenarios::SCENARIOS.iter().map(|scenario| scenario.name))]
fn scenario(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(scenario) = scenarios::SCENARIOS.iter().find(|scenario| scenario.name == name) else { return };
    let mut once = (scenario.prepare)();
    bencher.bench_local(&mut once);
}
