//! What any bytes at the socket can do, on either of its ends: nothing.
//!
//! `PROPTEST_CASES` is how many callers come, if others than these few.

use super::{VERSION, caller, holder, lines};
use crate::{join::input::MAX_LINE, json};
use openchat_client::{Ask, Guest, GuestEvent, Report, engine::Event};
use openchat_wire::Seq;
use proptest::{collection::vec, prelude::*};
use serde_json::Value;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    runtime,
    sync::mpsc,
    time::timeout,
};

/// Far more than one caller takes; it is not waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Orders of every kind that only need another word to be wrong.
const ORDERS: &[&str] = &[
    r##"{"type":"send","target":"#ops","text":"x","ref":1}"##,
    r#"{"type":"send","target":"@bob","id":"0123456789abcdef0123456789abcdef","text":"x","ref":"a"}"#,
    r##"{"v":1,"type":"reply","target":"#ops","to":"last","text":"x"}"##,
    r##"{"type":"react","target":"#ops","to":"0123456789abcdef0123456789abcdef","emoji":"x"}"##,
    r##"{"type":"edit","target":"#ops","of":"last","text":"x","ref":2}"##,
    r##"{"type":"delete","target":"#ops","of":"last"}"##,
    r##"{"type":"file","target":"#ops","path":"/a"}"##,
    r##"{"type":"timer","target":"#ops","seconds":60}"##,
    r##"{"type":"join","target":"#ops","ref":3}"##,
    r#"{"type":"new","name":"ops","open":true,"invite":["bob","carol"],"ref":4}"#,
    r##"{"type":"invite","target":"#ops","who":["bob","carol","dave"],"ref":5}"##,
    r##"{"type":"policy","target":"#ops","join":"anyone"}"##,
    r##"{"type":"names","target":"#ops","ref":6}"##,
    r#"{"type":"verify","who":"bob","number":"12345"}"#,
    r#"{"type":"trust","who":"bob","ref":7}"#,
    r#"{"type":"renew","ref":8}"#,
    r#"{"type":"listen","as":"bot","since":"beginning","ref":9}"#,
    r##"{"type":"listen","target":"#ops","since":{"#ops":3,"@bob":18446744073709551615}}"##,
    r##"{"type":"shown","target":"#ops","seq":7,"as":"bot","ref":10}"##,
    r##"{"type":"save","target":"#ops","of":"last","path":"/nowhere/at/all"}"##,
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "",
];

/// Lines, or what may be taken for some.
fn said() -> impl Strategy<Value = Vec<u8>> {
    let order = || proptest::sample::select(ORDERS).prop_map(|line| [line, "\n"].concat().into());
    let changed = (order(), any::<proptest::sample::Index>(), vec(any::<u8>(), 0..4)).prop_map(
        |(mut line, at, bytes): (Vec<u8>, _, _)| {
            let at = at.index(line.len());
            let end = (at + bytes.len()).min(line.len());
            line.splice(at..end, bytes);
            line
        },
    );
    let long = (MAX_LINE - 2..MAX_LINE + 3).prop_map(|length| vec![b'['; length]);
    let piece = prop_oneof![
        6 => order(),
        6 => changed,
        2 => vec(any::<u8>(), 0..80),
        1 => ".{0,60}\n".prop_map(String::into_bytes),
        1 => long,
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// What stands before it: the right word, or none.
fn greeted() -> impl Strategy<Value = Vec<u8>> {
    (any::<bool>(), said()).prop_map(|(greets, said)| {
        let hello = if greets { json::hello("hello", VERSION) } else { String::new() };
        [hello.into_bytes(), said].concat()
    })
}

/// A session that answers each question, and counts what came of one caller.
#[derive(Default)]
struct Session {
    inside: Option<Box<dyn Guest>>,
    asks: usize,
    has_gone: bool,
}

impl Session {
    async fn run(mut self, mut events: mpsc::Receiver<GuestEvent>) -> Self {
        while let Some(event) = events.recv().await {
            match event {
                GuestEvent::Come(_, guest) => self.inside = Some(guest),
                GuestEvent::Ask(_, ask) => self.answer(&ask),
                GuestEvent::Gone(_) => {
                    self.has_gone = true;
                    self.inside = None;
                }
            }
        }
        self
    }

    fn answer(&mut self, ask: &Ask) {
        assert!(!self.has_gone);
        self.asks += 1;
        let guest = self.inside.as_mut().unwrap();
        let target = "#ops".to_owned();
        let event = match ask {
            Ask::Send { id, .. } | Ask::Say { id, .. } => Event::Ack { id: *id, seq: Seq(1) },
            ask => match ask.order() {
                Some(order) => Event::Done { order, target },
                None => return,
            },
        };
        if guest.room() > 0 {
            guest.tell(&Report::Event(event));
        }
    }
}

/// Serves a caller who says this; gives what it was told, and what the session saw.
async fn called(said: Vec<u8>) -> (Vec<Value>, Session) {
    let (mut near, far) = UnixStream::pair().unwrap();
    let (events, taken) = mpsc::channel(1);
    let session = tokio::spawn(Session::default().run(taken));
    let serving = tokio::spawn(holder::serve(far, 1, events));
    let (mut reader, mut writer) = near.split();
    let mut told = Vec::new();
    let writing = async {
        // Whoever was shown out is not listened to.
        let _ = writer.write_all(&said).await;
        let _ = writer.shutdown().await;
    };
    let ((), read) = tokio::join!(writing, reader.read_to_end(&mut told));
    // It is reset if it was shown out before it had said all.
    let _ = read;
    // It ends in an error if a line was none; by no panic in any case.
    let _ = serving.await.unwrap();
    let lines = told.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let objects = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    (objects, session.await.unwrap())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, future).await.unwrap() })
}

/// People that a line of this length may name.
const fn most_asks(bytes: usize) -> usize {
    bytes / 2 + 1
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A caller is answered, or shown out: it ends, the session hears that it has gone, and all that
    /// it is told are objects.
    #[test]
    fn any_caller_is_served_to_its_end(said in greeted()) {
        let (greets, most) = (said.starts_with(json::hello("hello", VERSION).as_bytes()), most_asks(said.len()));
        let (told, session) = block_on(called(said));
        let kinds: Vec<_> = told.iter().map(|it| it["type"].as_str().unwrap()).collect();
        prop_assert!(kinds.first().is_none_or(|kind| *kind == "agent"), "{kinds:?}");
        let known = ["error", "ack", "done"];
        prop_assert!(kinds.iter().skip(1).all(|kind| known.contains(kind)), "{kinds:?}");
        prop_assert_eq!(session.has_gone, greets);
        prop_assert!(session.asks <= most);
    }

    /// What whoever runs the session is said to say is understood, or passed over.
    #[test]
    fn any_words_of_the_other_end_are_harmless(bytes in said()) {
        let text = String::from_utf8_lossy(&bytes);
        for line in text.lines() {
            let _ = json::news(line);
            let _ = caller::check(line);
        }
    }

    /// No more is kept of a stream than one line, and lines are what they were.
    #[test]
    fn lines_are_cut_at_their_limit_wherever_reads_end(
        bytes in vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'\n')], 0..200),
        most in 0_usize..40,
        read in 1_usize..9,
    ) {
        let mut stream = BufReader::with_capacity(read, &bytes[..]);
        let mut rest = &bytes[..];
        block_on(async {
            loop {
                let end = rest.iter().position(|byte| *byte == b'\n');
                let line = rest.get(..end.unwrap_or(rest.len())).unwrap();
                match lines::next(&mut stream, most).await {
                    Ok(Some(text)) => {
                        assert_eq!(text.as_bytes(), line);
                        rest = rest.get(end.unwrap() + 1..).unwrap();
                    }
                    Ok(None) => return assert!(end.is_none() && line.len() <= most),
                    Err(_) => {
                        return assert!(line.len() > most || str::from_utf8(line).is_err());
                    }
                }
            }
        });
    }
}

/// All of these are what somebody may say, or this would try less than it seems to.
#[test]
fn most_of_the_orders_are_understood() {
    let hello = json::hello("hello", VERSION);
    let all = hello + &ORDERS.join("\n") + "\n";
    let (told, session) = block_on(called(all.into_bytes()));
    let errors = told.iter().filter(|it| it["type"] == "error").count();
    assert_eq!(errors, 2, "the number of five digits, and the brackets: {told:?}");
    assert!(session.asks > ORDERS.len() - 3, "{}", session.asks);
}
