//! The `subrosa` program; everything is in [`subrosa::cli`].

fn main() -> std::process::ExitCode {
    subrosa::cli::main()
}
