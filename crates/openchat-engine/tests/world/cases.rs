//! Which of many cases are tried: a share that is spread over all of them, or every one.
//!
//! `scripts/test --full` asks proptest for more cases of each property, and by the same word for all of
//! these.

use crate::person::Death;
use proptest::test_runner::Config;

/// Cases of a property that proptest tries unless it is told otherwise.
const USUAL: u32 = 256;

/// Every case, not a share.
pub(crate) fn all() -> bool {
    Config::default().cases > USUAL
}

/// The given figure, or the larger one if every case is tried.
pub(crate) fn count<T>(share: T, whole: T) -> T {
    if all() { whole } else { share }
}

/// One case of `each`, the first at `from`; or every one.
pub(crate) fn one_of<T>(
    each: usize,
    from: usize,
    cases: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = T> {
    let (skip, step) = if all() { (0, 1) } else { (from % each, each) };
    cases.into_iter().skip(skip).step_by(step)
}

/// Each of this many steps with a way to die at it, the ways in turn; or every way at every step.
pub(crate) fn deaths(steps: usize) -> impl Iterator<Item = (usize, Death)> {
    const WAYS: [Death; 3] = [Death::BeforeStored, Death::AfterStored, Death::PowerCut];
    (1..=steps).flat_map(|step| one_of(WAYS.len(), step, WAYS).map(move |way| (step, way)))
}
