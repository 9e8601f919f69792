//! The operator's program. All of it is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    openchat_server::main()
}
