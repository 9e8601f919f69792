//! Many independent computations at once, on all of the machine's cores.
//!
//! A commit that adds a thousand people costs a thousand signature checks and as many agreements.
//! The result depends on the input alone, and no thread outlives the call.

use std::num::NonZero;
use std::thread::{Builder, ScopedJoinHandle, available_parallelism, scope};

/// Work for which another thread is worth its start: so many curve operations take 1 ms or more, a
/// thread about 0.05.
const SHARE: usize = 24;

/// `work` of each item, in order. An item should cost about as much as a curve operation.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if items.len() < SHARE.saturating_mul(2) {
        return items.iter().map(work).collect();
    }
    let threads = available_parallelism().map_or(1, NonZero::get);
    on_threads(items, items.len().div_ceil(threads).max(SHARE), &work)
}

/// As [`map`], with `share` items a thread; the first share is the caller's own.
fn on_threads<T: Sync, R: Send>(
    items: &[T],
    share: usize,
    work: &(impl Fn(&T) -> R + Sync),
) -> Vec<R> {
    let mut shares = items.chunks(share);
    let own = shares.next().unwrap_or_default();
    scope(|scope| {
        let others: Vec<_> = shares
            .map(|share| {
                let task = move || done(share, work);
                // Where no thread is to be had, its share is done here.
                (share, Builder::new().spawn_scoped(scope, task).ok())
            })
            .collect();
        let mut results = done(own, work);
        for (share, thread) in others {
            results.extend(finished(share, thread, work));
        }
        results
    })
}

fn done<T, R>(items: &[T], work: &impl Fn(&T) -> R) -> Vec<R> {
    items.iter().map(work).collect()
}

fn finished<T, R>(
    share: &[T],
    thread: Option<ScopedJoinHandle<'_, Vec<R>>>,
    work: &impl Fn(&T) -> R,
) -> Vec<R> {
    match thread.map(ScopedJoinHandle::join) {
        Some(Ok(results)) => results,
        // A panic goes on in the caller, as if there had been no thread.
        Some(Err(panic)) => std::panic::resume_unwind(panic),
        None => done(share, work),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_in_order() {
        for count in [0, 1, SHARE, 2 * SHARE - 1, 2 * SHARE, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(map(&items, |item| item * 2), expected, "{count} items");
        }
    }

    #[test]
    fn however_many_threads_there_are_the_results_are_the_same() {
        let items: Vec<usize> = (0..100).collect();
        let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
        for share in [1, 3, 33, 50, 99, 100, 1000] {
            assert_eq!(on_threads(&items, share, &|item| item * 2), expected, "{share} a thread");
        }
        assert_eq!(on_threads(&[], 5, &|item: &usize| item * 2), Vec::<usize>::new());
    }

    #[test]
    #[should_panic(expected = "item 99")]
    fn a_panic_on_a_thread_is_the_callers() {
        let items: Vec<usize> = (0..100).collect();
        on_threads(&items, 10, &|item| assert!(*item < 99, "item {item}"));
    }
}
