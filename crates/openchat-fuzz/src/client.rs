//! A client whose vault was changed by the disk, and whose relay says anything.

use std::collections::VecDeque;

use openchat_engine::{Body, Command, Engine, Input as Happening, Snapshot};
use openchat_wire::{
    Blob, MessageId, decode,
    limits::MAX_FRAME,
    relay::{Refusal, Request, ToClient, ToServer},
};

use crate::{
    Random,
    input::Input,
    town::{NOW, copy, past},
};

/// What happens to one client; longer inputs are cut.
const STEPS: usize = 32;

/// It can't be loaded, or it goes on without a panic whatever the relay answers and pushes.
pub fn client(data: &[u8]) {
    let _deeds = deeds(data);
}

/// As [`client`], counting what the client asked and told; `None` if its vault was refused.
#[must_use]
pub fn deeds(data: &[u8]) -> Option<usize> {
    let mut input = Input::new(data);
    let mut records = past().records.clone();
    for _ in 0..input.below(3) {
        let at = input.below(records.len());
        let (key, value) = &mut records[at];
        match input.below(4) {
            0 => key.kind = input.byte(),
            1 => change(&mut key.sub, &mut input),
            _ => change(&mut value.0, &mut input),
        }
    }
    let device = copy(&past().device);
    let mut engine = Engine::new(device, Snapshot { records }).ok()?;
    let mut open = VecDeque::new();
    let rng = &mut Random::new(b"client");
    engine.handle(Happening::Connected, NOW, rng);
    let (mut now, mut deeds) = (NOW, 0);
    for _ in 0..STEPS {
        let output = engine.take_output();
        deeds += output.requests.len() + output.events.len();
        open.extend(output.requests);
        now = now.after(core::time::Duration::from_millis(input.number()));
        let happening = happening(&mut input, &mut open);
        engine.handle(happening, now, rng);
        let _shown: Vec<_> = engine.conversations().collect();
    }
    let _last = engine.take_output();
    Some(deeds)
}

/// Some bytes are other ones.
fn change(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let from = usize::from(u16::from_be_bytes(input.array())).checked_rem(bytes.len().max(1));
    let from = from.unwrap_or_default();
    let to = from.saturating_add(input.below(64)).min(bytes.len());
    bytes.splice(from..to, input.bytes().iter().copied());
}

fn happening(input: &mut Input<'_>, open: &mut VecDeque<ToServer>) -> Happening {
    match input.below(12) {
        0 => Happening::Tick,
        1 => {
            open.clear();
            if input.flag() { Happening::Connected } else { Happening::Disconnected }
        }
        2 => Happening::Command(command(input)),
        3 => match decode::<ToClient>(input.bytes(), MAX_FRAME) {
            Ok(frame) => Happening::Frame(frame),
            Err(_) => Happening::Tick,
        },
        4 | 5 => Happening::Frame(pushed(input)),
        _ => match open.pop_front() {
            Some(asked) => Happening::Frame(answer(input, &asked)),
            None => Happening::Frame(pushed(input)),
        },
    }
}

fn command(input: &mut Input<'_>) -> Command {
    let targets = ["#general", "#other", "@bob", "@nobody", "#~1a2b"];
    let target = input.one(&targets).parse().unwrap();
    if input.flag() {
        return Command::Open { target };
    }
    Command::Send { target, id: MessageId(input.array()), what: Body::Text("more".to_owned()) }
}

/// Something that was pushed before, as it was or changed.
fn pushed(input: &mut Input<'_>) -> ToClient {
    let mut frame = input.one(&past().pushed).clone();
    match &mut frame {
        ToClient::Entry { seq, entry, .. } => match input.below(4) {
            0 => change(&mut entry.0, input),
            1 => seq.0 = input.number(),
            _ => {}
        },
        ToClient::Heartbeat { beat: Blob(bytes), .. } if input.flag() => change(bytes, input),
        _ => {}
    }
    frame
}

/// What such a question was answered before; or what another one was; or no.
fn answer(input: &mut Input<'_>, asked: &ToServer) -> ToClient {
    let is_alike = |request: &Request| {
        core::mem::discriminant(request) == core::mem::discriminant(&asked.request)
    };
    let answers = &past().answers;
    let of_same = answers.iter().filter(|(request, _)| is_alike(request)).map(|(_, it)| it);
    let of_same: Vec<_> = of_same.collect();
    let answer = match input.below(16) {
        0 => input.one(answers).1.clone(),
        1 => Err(Refusal::NoAccess),
        2 => Err(Refusal::Paced { retry_ms: u32::from(input.byte()) }),
        3 => Err(Refusal::Invalid("C5".to_owned())),
        4 => Err(Refusal::Stale),
        _ if of_same.is_empty() => Err(Refusal::NotFound),
        _ => (*input.one(&of_same)).clone(),
    };
    ToClient::Answer { id: asked.id, answer }
}
