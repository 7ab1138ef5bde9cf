//! The same program without the allocator that wipes: the scan of `tests/it/forget` must find what it leaves behind.

#[path = "../../../src/cli/mod.rs"]
mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
