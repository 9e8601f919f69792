//! One side's process.

use crate::SIDES;
use crate::scenes::Outcome;
use openchat_sim::Figures;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A process that plays scenes, until it is dropped.
pub(crate) struct Worker {
    pub(crate) side: &'static str,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn ours() -> Outcome<Self> {
        Self::of(SIDES[0], &std::env::current_exe()?, "worker")
    }

    pub(crate) fn of(side: &'static str, program: &Path, argument: &str) -> Outcome<Self> {
        let mut command = Command::new(program);
        let command = command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = child.stdin.take().ok_or("no standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { side, child, orders, answers })
    }

    /// Plays one scene and keeps its samples.
    pub(crate) fn play(&mut self, scene: &str, n: u32, figures: &mut Figures) -> Outcome<()> {
        writeln!(self.orders, "{scene} {n}")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(format!("{} did not play {scene} with n = {n}", self.side).into());
        }
        for sample in answer.trim_end().split('\t').filter(|text| !text.is_empty()) {
            let (row, value) = sample.split_once('=').ok_or("not a sample")?;
            figures.add(self.side, n, row, value.parse()?);
        }
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
