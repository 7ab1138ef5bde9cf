//! One scenario for valgrind to count: see `instructions.sh`. Without arguments it lists the scenarios.
#![allow(clippy::print_stdout, reason = "it is a program for a script")]

mod scenarios;

/// As in the program: wiping what is freed is part of the cost.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// Times that a scenario runs before it is counted: buffers have grown, and what is made once is made.
const WARM_UP: usize = 8;
/// Times that it is counted, so that what happens only now and then counts with its share.
const COUNTED: usize = 16;

/// Only what this calls is counted; valgrind knows it by its name.
#[inline(never)]
fn counted_by_valgrind(once: &mut dyn FnMut()) {
    for _ in 0..COUNTED {
        once();
    }
}

fn main() {
    // `cargo bench` adds its own word.
    let Some(name) = std::env::args().skip(1).find(|word| !word.starts_with("--")) else {
        for scenario in scenarios::SCENARIOS {
            println!("{}", scenario.name);
        }
        return;
    };
    let scenario = scenarios::SCENARIOS.iter().find(|scenario| scenario.name == name);
    let Some(scenario) = scenario else { panic!("there is no scenario {name}") };
    let mut once = (scenario.prepare)();
    for _ in 0..WARM_UP {
        once();
    }
    counted_by_valgrind(&mut *once);
    println!("times {COUNTED}");
}
