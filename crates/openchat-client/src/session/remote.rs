//! A front end whose session another process of this person runs.
//!
//! For the front end nothing differs: the same reports, the same waiting, the same end. When the
//! other process ends, what has no answer and what was shown is known here, so that the next session
//! goes on from there: nothing is said twice, and nothing is lost.

use super::{
    Ask, End, Front, GuestEnd, Reading, Report, SessionError, Until,
    ask::{Follow, Start, Unanswered},
    drain::Drain,
    show::is_ready,
};
use crate::dial::DialError;
use openchat_engine::{Event, Target};
use openchat_wire::Seq;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};

/// Reports that are shown at once.
const TURN: usize = 256;

/// Longest sleep: nothing here has a deadline but the end.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// How long the session may take to say how it ends. It answers within a turn, or is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The order that opens a conversation again. Front ends count theirs from 1.
const AGAIN: u64 = 0;

/// What the session in the other process says.
#[derive(Debug)]
pub enum FromHolder {
    /// A conversation is open.
    Opened(String),
    /// What is written here after this place is told from now on.
    Following(String, Seq),
    /// News.
    Report(Report),
    /// Nothing comes after this.
    End(GuestEnd),
}

/// What the next session has to know.
#[derive(Debug, Default)]
pub struct Resume {
    pub(super) asks: Vec<Ask>,
    pub(super) places: BTreeMap<String, Seq>,
}

/// The front end's side.
#[derive(Debug)]
pub struct Remote {
    until: Until,
    drain: Drain,
    reading: Reading,
    /// What has no answer, in the order of asking.
    asked: Vec<Ask>,
    unanswered: Unanswered,
    /// The conversations that are open, and up to where they were shown.
    open: BTreeMap<String, Option<Seq>>,
    online: bool,
    offline: Option<DialError>,
    halted: bool,
    lost: usize,
    /// Which orders the session had begun when it ended in an orderly way.
    taken: Option<Vec<u64>>,
    stopped: bool,
}

impl Remote {
    /// Nothing was asked yet.
    #[must_use]
    pub fn new(until: Until) -> Self {
        Self {
            until,
            drain: Drain::new(until),
            reading: Reading::Nothing,
            asked: Vec::new(),
            unanswered: Unanswered::default(),
            open: BTreeMap::new(),
            online: false,
            offline: None,
            halted: false,
            lost: 0,
            taken: None,
            stopped: false,
        }
    }

    /// What a session of this process's own has to know to go on.
    #[must_use]
    pub fn resume(self) -> Resume {
        let again = |target: &String| target.parse::<Target>().ok();
        let opens = self.open.keys().filter_map(again);
        let asks = opens.map(|target| Ask::Open { order: AGAIN, target }).chain(self.asked);
        let asks = asks.collect();
        let places = self.open.into_iter().filter_map(|(target, seq)| Some((target, seq?)));
        Resume { asks, places: places.collect() }
    }

    /// Runs until all is done, as [`super::Session::run`] does, or until the session is gone: then
    /// it gives nothing, and goes on with another one.
    ///
    /// # Errors
    /// [`SessionError::Front`]
    pub async fn run(
        &mut self,
        orders: &mut mpsc::Receiver<Ask>,
        stop: &Notify,
        front: &mut impl Front,
        (to, from): (mpsc::Sender<Ask>, &mut mpsc::Receiver<FromHolder>),
    ) -> Result<Option<End>, SessionError> {
        for ask in self.asks_again() {
            if to.send(ask).await.is_err() {
                return self.lose(front).map(|()| None);
            }
        }
        while !self.ended(front) {
            let pause = self.drain.patience(Instant::now()).unwrap_or(LONGEST_SLEEP);
            tokio::select! {
                said = from.recv() => match said {
                    Some(said) => {
                        if !self.take(said, from, &to, front).await? {
                            return self.lose(front).map(|()| None);
                        }
                    }
                    None => return self.lose(front).map(|()| None),
                },
                order = orders.recv(), if !self.drain.begun() => match order {
                    None => self.drain.begin(),
                    Some(ask) => {
                        self.note(&ask);
                        if to.send(ask).await.is_err() {
                            return self.lose(front).map(|()| None);
                        }
                    }
                },
                () = stop.notified() => self.stopped = true,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.part(to, from, front).await
    }

    fn asks_again(&self) -> Vec<Ask> {
        let again = self.open.iter().filter_map(|(target, seq)| {
            let target: Target = target.parse().ok()?;
            let from = Start::After((*seq)?);
            let follow = Follow { target: Some(target), listener: None, from };
            Some(Ask::Follow { order: AGAIN, follow })
        });
        let opens = self.open.keys().filter_map(|target| target.parse().ok());
        let opens = opens.map(|target| Ask::Open { order: AGAIN, target });
        again.chain(opens).chain(self.asked.iter().cloned()).collect()
    }

    fn note(&mut self, ask: &Ask) {
        self.unanswered.add(ask);
        self.asked.push(ask.clone());
    }

    fn ended(&self, front: &impl Front) -> bool {
        self.stopped || front.is_over() || self.drain.is_over(self.is_done(), Instant::now())
    }

    fn is_done(&self) -> bool {
        match self.until {
            Until::Sent => self.reading != Reading::Opened && self.unanswered.is_empty(),
            Until::Answered => self.unanswered.is_empty(),
            // Whoever holds the session sees to it.
            Until::Reachable => true,
        }
    }

    /// Takes what is said, and all that was said with it. False after the last.
    async fn take(
        &mut self,
        first: FromHolder,
        from: &mut mpsc::Receiver<FromHolder>,
        to: &mpsc::Sender<Ask>,
        front: &mut impl Front,
    ) -> Result<bool, SessionError> {
        let mut reports = Vec::new();
        let mut next = Some(first);
        let mut goes_on = true;
        while let Some(said) = next {
            match said {
                FromHolder::Opened(target) => {
                    self.show(std::mem::take(&mut reports), to, front).await?;
                    self.opened(target, front);
                }
                // Who only listens is no front end of this kind.
                FromHolder::Following(..) => {}
                FromHolder::Report(report) => reports.push(report),
                FromHolder::End(end) => {
                    goes_on = false;
                    self.note_end(end);
                }
            }
            next = if reports.len() < TURN && goes_on { from.try_recv().ok() } else { None };
        }
        self.show(reports, to, front).await?;
        Ok(goes_on)
    }

    fn opened(&mut self, target: String, front: &mut impl Front) {
        if self.reading == Reading::Nothing {
            self.reading = Reading::Opened;
        }
        front.opened(&target);
        self.open.entry(target).or_default();
    }

    async fn show(
        &mut self,
        mut reports: Vec<Report>,
        to: &mpsc::Sender<Ask>,
        front: &mut impl Front,
    ) -> Result<(), SessionError> {
        if reports.is_empty() {
            return Ok(());
        }
        self.watch(&mut reports, front);
        let queued = self.unanswered.messages();
        front.show(&reports).map_err(|cause| SessionError::Front { cause, queued })?;
        for (target, seq) in self.shown(&reports) {
            // Without a session it is told to the next one.
            let _ = to.send(Ask::Shown { order: None, target, seq, listener: None }).await;
        }
        Ok(())
    }

    fn watch(&mut self, reports: &mut Vec<Report>, front: &impl Front) {
        self.unanswered.settle(reports);
        let unanswered = &self.unanswered;
        self.asked.retain(|ask| !unanswered.is_answered(ask));
        if reports.iter().any(|report| is_ready(report, front)) {
            self.reading = Reading::Ready;
        }
        // What was shown before is not shown again.
        reports.retain(|report| match report {
            Report::Event(Event::Message(message)) => {
                let place = self.open.get(&message.target).copied().flatten();
                place.is_none_or(|place| message.seq > place)
            }
            _ => true,
        });
        for report in &*reports {
            match report {
                Report::Online => (self.online, self.offline) = (true, None),
                Report::Offline { cause, .. } => {
                    (self.online, self.offline) = (false, Some(cause.clone()));
                }
                _ => {}
            }
        }
        self.drain.watch(reports);
        // Reading a long history is progress; that there is still no connection is none.
        let is_news = |report: &Report| !matches!(report, Report::Offline { .. });
        if self.reading != Reading::Ready && reports.iter().any(is_news) {
            self.drain.progress();
        }
    }

    /// Notes what was shown; gives the newest place of each conversation.
    fn shown(&mut self, reports: &[Report]) -> Vec<(Target, Seq)> {
        let mut newest: BTreeMap<&str, Seq> = BTreeMap::new();
        for report in reports {
            let Report::Event(Event::Message(message)) = report else { continue };
            if let Some(place) = self.open.get_mut(&message.target) {
                *place = Some(message.seq);
                newest.insert(&message.target, message.seq);
            }
        }
        let named = |(target, seq): (&str, Seq)| Some((target.parse().ok()?, seq));
        newest.into_iter().filter_map(named).collect()
    }

    fn note_end(&mut self, end: GuestEnd) {
        (self.lost, self.halted) = (end.lost, end.halted);
        self.taken = Some(end.taken);
    }

    /// Says goodbye to the session, and learns how it stands.
    async fn part(
        &mut self,
        to: mpsc::Sender<Ask>,
        from: &mut mpsc::Receiver<FromHolder>,
        front: &mut impl Front,
    ) -> Result<Option<End>, SessionError> {
        // The session reads to the end, and answers with its last words.
        drop(to);
        let mut reports = Vec::new();
        let last = async {
            while let Some(said) = from.recv().await {
                match said {
                    // Nobody could be told any more that it was shown: it is left for the next time.
                    FromHolder::Opened(_)
                    | FromHolder::Following(..)
                    | FromHolder::Report(Report::Event(Event::Message(_))) => {}
                    FromHolder::Report(report) => reports.push(report),
                    FromHolder::End(end) => return Some(end),
                }
            }
            None
        };
        let end = timeout(LAST_WORDS, last).await.ok().flatten();
        self.watch(&mut reports, front);
        let queued = self.unanswered.messages();
        front.show(&reports).map_err(|cause| SessionError::Front { cause, queued })?;
        let is_told = end.is_some();
        if let Some(end) = end {
            self.note_end(end);
        }
        if !is_told && !self.unanswered.is_empty() && !self.stopped && !front.is_over() {
            return self.lose(front).map(|()| None);
        }
        Ok(Some(End {
            queued: self.unanswered.messages().saturating_sub(self.lost),
            done: self.is_done(),
            lost: self.lost,
            stopped: self.stopped,
            halted: self.halted,
            offline: self.offline.clone().filter(|_| !self.online),
        }))
    }

    /// The session is gone. A message is asked of the next one under its own id, and whatever comes
    /// to the same when it is done twice. Of the rest nobody knows whether it was done.
    fn lose(&mut self, front: &mut impl Front) -> Result<(), SessionError> {
        let taken = self.taken.take();
        let is_doubtful = |order: &u64| taken.as_ref().is_none_or(|taken| taken.contains(order));
        let doubtful = |ask: &Ask| match ask {
            Ask::Do { order, .. } | Ask::Save { order, .. } => Some(*order).filter(is_doubtful),
            _ => None,
        };
        let orders: Vec<u64> = self.asked.iter().filter_map(doubtful).collect();
        self.asked.retain(|ask| doubtful(ask).is_none());
        for order in &orders {
            self.unanswered.give_up(*order);
        }
        let reports: Vec<_> = orders.into_iter().map(not_known).collect();
        (self.online, self.reading) = (false, self.reading.min(Reading::Opened));
        let queued = self.unanswered.messages();
        front.show(&reports).map_err(|cause| SessionError::Front { cause, queued })
    }
}

fn not_known(order: u64) -> Report {
    Report::Event(Event::Failed {
        order: Some(order),
        id: None,
        target: None,
        code: "no-answer",
        message: "the openchat that did this ended before it answered; it may be done".to_owned(),
        hint: "openchat group list".to_owned(),
    })
}
