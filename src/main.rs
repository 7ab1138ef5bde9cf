//! The `subrosa` program: its commands are in `cli`.

mod cli;

/// Wipes memory before it is freed, so that no content of a room remains in memory that the process no longer uses.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    cli::main()
}
