//! What the system says of itself and of processes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

/// Open files that the run needs: 10,000 connections, and some more.
const FILES: u64 = 12_000;

/// How often a write is synced.
const SYNCS: u64 = 200;

/// Lets this process and those that it starts have as many open files as the run needs.
///
/// # Errors
/// What to do, if the system does not let it.
pub(crate) fn raise_limits() -> Result<(), String> {
    let now = getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= FILES);
    if is_enough(now.current) {
        return Ok(());
    }
    let maximum = if is_enough(now.maximum) { now.maximum } else { Some(FILES) };
    setrlimit(Resource::Nofile, Rlimit { current: Some(FILES), maximum }).map_err(|error| {
        format!("{FILES} open files are not allowed: {error}; as root: ulimit -n {FILES}")
    })
}

/// Milliseconds of a write of 4 KiB with its sync, the middle one of many: what the disk makes
/// everybody wait who acknowledges nothing before it is stored.
pub(crate) fn sync_time(place: &Path) -> f64 {
    let path = place.join("sync");
    let file = File::create(&path).expect("a file");
    let mut times: Vec<f64> = (0..SYNCS)
        .map(|at| {
            std::thread::sleep(Duration::from_millis(2));
            let begin = Instant::now();
            file.write_all_at(&[7; 4096], at * 4096).expect("room on the disk");
            file.sync_data().expect("a disk that syncs");
            begin.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    std::fs::remove_file(path).expect("a file");
    openchat_sim::percentile(&mut times, 50)
}

/// KiB of memory that a process has in use.
pub(crate) fn resident(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Processor time that a process has used.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("/proc");
    // Fields after the parenthesised name, which may contain spaces; ticks are 1/100 s.
    let fields = stat.rsplit_once(") ").expect("a name in parentheses").1;
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse().unwrap_or(0));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
