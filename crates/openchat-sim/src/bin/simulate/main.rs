//! Runs simulations (`openchat_sim::simulation`) by their seeds.
//!
//! ```text
//! simulate --seed 7              one seed; prints its hash, what was done, and simulated time
//! simulate --seed 7 --show       and everything that happens, on stderr
//! simulate --seeds 0..10000      many; prints those that fail, with what replays them
//!
//! simulate --seed 7 --store sqlite --dir D --journal J     keeps what was acknowledged in J
//! simulate --verify --dir D --journal J                    holds that D has it, however the first ended
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]
#![allow(clippy::expect_used, reason = "a harness fails by failing")]

mod options;
mod range;

use options::{Options, Task};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Options::read(std::env::args().skip(1)) {
        Ok(options) => match &options.task {
            Task::One(seed) => range::one(*seed, &options),
            Task::Verify => range::verified(&options),
            Task::Many(seeds) => range::many(seeds.clone(), &options),
        },
        Err(why) => {
            eprintln!("simulate: {why}\n{}", options::USAGE);
            ExitCode::from(2)
        }
    }
}
