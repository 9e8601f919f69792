//! The transparency log's newest head, on its way to everybody who is connected.
//!
//! It is kept once, encoded, and each session looks at it when it has nothing else to wait for. So a session
//! that takes its time costs nothing, and then gets the newest head alone.

use openchat_wire::{Blob, frame::to_frame, relay::ToClient};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Between two heads on one connection. A morning in which a company enrolls is a few heads, not one for
/// each newcomer; and whoever was revoked is gone from the groups a second later at most.
const EVERY: Duration = Duration::from_secs(1);

/// Tells the newest head to all sessions.
#[derive(Debug)]
pub(crate) struct Herald {
    /// A frame, or nothing before the log has grown.
    newest: watch::Sender<Arc<[u8]>>,
}

/// What one session was told of it.
#[derive(Debug)]
pub(crate) struct Heads {
    newest: watch::Receiver<Arc<[u8]>>,
    /// Not told before.
    next_at: Instant,
}

impl Default for Herald {
    fn default() -> Self {
        Self { newest: watch::channel(Arc::default()).0 }
    }
}

impl Herald {
    /// The log has grown: this is its signed head.
    pub(crate) fn tell(&self, head: &[u8]) {
        let frame = to_frame(&ToClient::Head(Blob(head.to_vec())));
        // Kept also while nobody listens.
        self.newest.send_replace(frame.into());
    }

    /// For a session that begins now: heads from now on. In its first second it asks by itself.
    pub(crate) fn heads(&self) -> Heads {
        let now = Instant::now();
        Heads { newest: self.newest.subscribe(), next_at: now.checked_add(EVERY).unwrap_or(now) }
    }
}

impl Heads {
    /// Returns when there is a head to be told.
    pub(crate) async fn due(&mut self) {
        sleep_until(self.next_at).await;
        if self.newest.changed().await.is_err() {
            // The server ends, and its sessions with it.
            return std::future::pending().await;
        }
        self.newest.mark_changed();
    }

    /// The frame of the newest head, if it is new for this session and the time has come.
    pub(crate) fn take(&mut self) -> Option<Arc<[u8]>> {
        let now = Instant::now();
        if now < self.next_at || !self.newest.has_changed().unwrap_or(false) {
            return None;
        }
        self.next_at = now.checked_add(EVERY)?;
        Some(Arc::clone(&self.newest.borrow_and_update()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::frame::FrameDecoder;
    use tokio::time::timeout;

    /// What a session is told in this time, and when.
    async fn told(heads: &mut Heads, time: Duration) -> Vec<(u64, u8)> {
        let (began, mut told) = (Instant::now(), Vec::new());
        let listening = async {
            loop {
                heads.due().await;
                let mut decoder = FrameDecoder::<ToClient>::new(1_000);
                decoder.push(&heads.take().unwrap());
                let Ok(Some(ToClient::Head(head))) = decoder.next_frame() else { panic!() };
                told.push((began.elapsed().as_secs(), head.0[0]));
            }
        };
        assert!(timeout(time, listening).await.is_err());
        told
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_hears_of_the_newest_head_once_and_at_most_every_second() {
        let herald = Herald::default();
        herald.tell(&[1]);
        let mut heads = herald.heads();
        assert_eq!(told(&mut heads, EVERY * 5).await, [], "it asks for what was before");
        let mut new = herald.heads();
        herald.tell(&[2]);
        assert_eq!(
            told(&mut new, EVERY * 5).await,
            [(1, 2)],
            "and what comes just then is told later"
        );
        assert_eq!(told(&mut heads, EVERY / 2).await, [(0, 2)]);
        herald.tell(&[3]);
        assert!(heads.take().is_none(), "not yet");
        herald.tell(&[4]);
        assert_eq!(told(&mut heads, EVERY * 5).await, [(0, 4)]);
        tokio::join!(
            async {
                for head in 10..110 {
                    herald.tell(&[head]);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            async {
                let told = told(&mut heads, EVERY * 10).await;
                assert!((5..=6).contains(&told.len()), "{told:?}");
                assert_eq!(told.last().unwrap().1, 109, "the last one is never missed");
            }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_herald_nothing_is_due() {
        let mut heads = Herald::default().heads();
        assert!(timeout(EVERY * 3, heads.due()).await.is_err());
        assert!(heads.take().is_none());
    }
}
