//! The command line. Everything it does stands in the library.

use std::process::ExitCode;

#[cfg(feature = "allocator")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    eks_sg_guard::cli::run(std::env::args_os())
}
