//! The `subrosa` program: its commands are in `cli`.

mod cli;

/// Whatever is freed is wiped first, so that nothing of a room lingers in memory that the process no longer uses.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    cli::main()
}
