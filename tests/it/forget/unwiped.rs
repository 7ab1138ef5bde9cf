//! The same program without the allocator that wipes: the scan of `tests/it/forget` must find what it leaves behind.

fn main() -> std::process::ExitCode {
    subrosa::cli::main()
}
