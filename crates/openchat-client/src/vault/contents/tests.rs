use super::*;
use crate::vault::{
    Range, Search, Survive,
    tests::attacks::{holds, opened_pages},
};
use openchat_engine::{Change, Offer, Trust};
use openchat_wire::{Blob, Digest, Fingerprint, Seq, UnixMillis, limits::FILE_CHUNK};
use tempfile::{TempDir, tempdir};

pub(in crate::vault) const GROUP: GroupId = GroupId([9; 32]);
pub(in crate::vault) const ALICE: u8 = 1;
pub(in crate::vault) const BOB: u8 = 2;

pub(in crate::vault) struct Talk {
    pub(in crate::vault) vault: Vault,
    pub(in crate::vault) place: TempDir,
    pub(in crate::vault) seq: u64,
}

impl Talk {
    pub(in crate::vault) fn new() -> Self {
        let place = tempdir().unwrap();
        Self { vault: Vault::open(place.path()).unwrap(), place, seq: 0 }
    }

    /// Somebody says something; its identifier is its place in the log.
    pub(in crate::vault) fn says(&mut self, who: u8, body: Body) -> MessageId {
        self.seq += 1;
        let id = id(self.seq);
        self.says_as(who, id, body);
        id
    }

    fn says_as(&mut self, who: u8, id: MessageId, body: Body) {
        let name = if who == ALICE { "alice" } else { "bob" };
        let message = StoredMessage {
            group: GROUP,
            target: "#general".to_owned(),
            seq: Seq(self.seq),
            id,
            sender: name.parse().unwrap(),
            fingerprint: Fingerprint([who; 32]),
            trust: Trust::Certified,
            time: UnixMillis(1),
            body,
            own: who == ALICE,
        };
        self.apply(Change::Message(message));
    }

    fn apply(&mut self, change: Change) {
        self.vault.apply(&[change], Survive::PowerCut).unwrap();
    }

    pub(in crate::vault) fn text(&mut self, who: u8, text: &str) -> MessageId {
        self.says(who, Body::Text(text.to_owned()))
    }

    pub(in crate::vault) fn standing(&self) -> Vec<Body> {
        let all = self.vault.newest(&GROUP, &Range::ALL, 1000).unwrap();
        all.into_iter().map(|message| message.body).collect()
    }

    fn marks(&self, who: u8, id: MessageId) -> Marks {
        self.vault.marks(&GROUP, &named(who, id)).unwrap()
    }

    pub(in crate::vault) fn finds(&self, word: &str) -> usize {
        let search = Search { words: vec![word.to_owned()], group: None, sender: None, limit: 9 };
        self.vault.search(&search).unwrap().len()
    }

    /// Whether these bytes are in any page, for who has the vault's key.
    pub(in crate::vault) fn has_bytes(&mut self, bytes: &[u8]) -> bool {
        self.vault.write_back().unwrap();
        holds(&opened_pages(self.place.path()), bytes)
    }
}

pub(in crate::vault) fn id(seq: u64) -> MessageId {
    MessageId(u128::from(seq).to_be_bytes())
}

pub(in crate::vault) const fn named(who: u8, id: MessageId) -> MessageRef {
    MessageRef { author: Fingerprint([who; 32]), id }
}

pub(in crate::vault) fn edit(of: MessageId, text: &str) -> Body {
    Body::Edit { of, text: text.to_owned() }
}

pub(in crate::vault) fn react(to: MessageRef, emoji: &str, on: bool) -> Body {
    Body::Reaction { to, emoji: emoji.to_owned(), on }
}

pub(in crate::vault) fn text(text: &str) -> Body {
    Body::Text(text.to_owned())
}

#[test]
fn m15_an_edit_takes_the_place_of_the_text_and_nothing_is_left_of_the_old_one() {
    let mut talk = Talk::new();
    let first = talk.text(BOB, "umbrella");
    talk.says(BOB, edit(first, "parasol"));
    assert_eq!(talk.standing(), [text("parasol")]);
    assert!(talk.marks(BOB, first).edited);
    assert_eq!(
        (talk.finds("umbrella"), talk.finds("parasol")),
        (0, 1),
        "found once, by the new one"
    );
    talk.says(BOB, edit(first, "awning"));
    assert_eq!(talk.standing(), [text("awning")]);
    assert!(!talk.has_bytes(b"umbrella") && !talk.has_bytes(b"parasol"));
}

#[test]
fn m15_an_edit_keeps_what_a_message_is() {
    let mut talk = Talk::new();
    let to = named(ALICE, id(77));
    let reply = talk.says(BOB, Body::Reply { to, text: "one".to_owned() });
    let action = talk.says(BOB, Body::Action("waves".to_owned()));
    talk.says(BOB, edit(reply, "two"));
    talk.says(BOB, edit(action, "bows"));
    let expected = [Body::Reply { to, text: "two".to_owned() }, Body::Action("bows".to_owned())];
    assert_eq!(talk.standing(), expected);
}

#[test]
fn m15_nobody_changes_what_another_has_said() {
    let mut talk = Talk::new();
    let first = talk.text(BOB, "mine");
    talk.says(ALICE, edit(first, "yours"));
    talk.says(ALICE, Body::Delete { of: first });
    assert_eq!(talk.standing(), [text("mine")]);
    assert!(!talk.marks(BOB, first).edited);
    // Not even one who uses the same identifier.
    talk.seq += 1;
    talk.says_as(ALICE, first, text("same name"));
    talk.says(ALICE, Body::Delete { of: first });
    assert_eq!(talk.standing(), [text("mine"), Body::Delete { of: first }]);
}

#[test]
fn m15_the_log_s_order_decides() {
    let mut talk = Talk::new();
    // Before there is such a message a deletion and an edit do nothing, then or later.
    let later = id(100);
    talk.says(BOB, Body::Delete { of: later });
    talk.says(BOB, edit(later, "too early"));
    talk.seq = 99;
    talk.text(BOB, "here I am");
    assert_eq!(talk.standing(), [text("here I am")]);
    // An edit of an edit, and of what is deleted.
    let change = talk.says(BOB, edit(later, "changed"));
    talk.says(BOB, edit(change, "of an edit"));
    talk.says(BOB, Body::Delete { of: change });
    assert_eq!(talk.standing(), [text("changed")]);
    talk.says(BOB, Body::Delete { of: later });
    talk.says(BOB, edit(later, "from the dead"));
    assert_eq!(talk.standing(), [Body::Delete { of: later }]);
    assert_eq!(talk.finds("dead"), 0);
}

#[test]
fn m15_of_what_is_deleted_no_byte_is_left() {
    let mut talk = Talk::new();
    let secret = talk.text(BOB, "swordfish");
    talk.says(BOB, edit(secret, "marlinspike"));
    talk.says(ALICE, react(named(BOB, secret), "👍", true));
    let reply = talk.says(ALICE, Body::Reply { to: named(BOB, secret), text: "oh".to_owned() });
    talk.says(BOB, Body::Delete { of: secret });
    assert_eq!(talk.standing()[0], Body::Delete { of: secret });
    assert!(!talk.has_bytes(b"swordfish") && !talk.has_bytes(b"marlinspike"));
    assert_eq!(talk.marks(BOB, secret), Marks::default());
    assert!(
        talk.vault.message(&GROUP, &named(ALICE, reply)).unwrap().is_some(),
        "the answer stays"
    );
}

#[test]
fn m15_topics_timers_and_signs_are_not_edited_or_deleted() {
    let mut talk = Talk::new();
    let first = talk.text(BOB, "x");
    let topic = talk.says(BOB, Body::Topic("tea".to_owned()));
    let sign = talk.says(BOB, react(named(BOB, first), "👍", true));
    for of in [topic, sign] {
        talk.says(BOB, edit(of, "y"));
        talk.says(BOB, Body::Delete { of });
    }
    assert_eq!(talk.standing(), [text("x"), Body::Topic("tea".to_owned())]);
    assert_eq!(talk.marks(BOB, first).reactions.len(), 1);
}

#[test]
fn m16_a_sign_is_there_once_for_each_author_and_goes_when_it_is_taken_back() {
    let mut talk = Talk::new();
    let first = talk.text(BOB, "x");
    let to = named(BOB, first);
    for (who, emoji, on) in [
        (ALICE, "👍", true),
        (ALICE, "👍", true),
        (BOB, "👍", true),
        (ALICE, "🎉", true),
        (BOB, "👍", false),
        (BOB, "🎉", false),
    ] {
        talk.says(who, react(to, emoji, on));
    }
    let reactions = talk.marks(BOB, first).reactions;
    let signs: Vec<_> = reactions.iter().map(|it| (&*it.emoji, it.by.as_str(), it.own)).collect();
    assert_eq!(signs, [("👍", "alice", true), ("🎉", "alice", true)]);
    assert_eq!(talk.standing(), [text("x")], "a sign is no message");
}

#[test]
fn m16_a_flood_of_signs_and_signs_on_nothing_leave_little_behind() {
    let mut talk = Talk::new();
    let first = talk.text(BOB, "x");
    for n in 0..300_u32 {
        let sign = char::from_u32(0x4e00 + n).unwrap().to_string();
        talk.says(BOB, react(named(BOB, first), &sign, true));
        talk.says(BOB, react(named(BOB, id(u64::MAX)), &sign, true));
    }
    assert_eq!(talk.marks(BOB, first).reactions.len(), 256);
    let count = "SELECT count(*) FROM reactions";
    let count: i64 = talk.vault.database.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 256, "nothing on what is not there");
}

#[test]
fn m17_the_last_topic_and_the_last_timer_hold() {
    let mut talk = Talk::new();
    assert_eq!(talk.vault.holding(&GROUP).unwrap(), Holding { topic: None, timer: None });
    talk.says(BOB, Body::Topic("tea".to_owned()));
    talk.says(ALICE, Body::Topic("coffee".to_owned()));
    let hour = Duration::from_hours(1);
    talk.says(BOB, Body::Timer(Some(hour)));
    let holding = talk.vault.holding(&GROUP).unwrap();
    assert_eq!(holding.topic, Some(("coffee".to_owned(), "alice".parse().unwrap())));
    assert_eq!(holding.timer, Some((hour, "bob".parse().unwrap())));
    talk.says(BOB, Body::Topic(String::new()));
    talk.says(BOB, Body::Timer(None));
    assert_eq!(talk.vault.holding(&GROUP).unwrap(), Holding { topic: None, timer: None });
}

#[test]
fn m17_what_was_said_under_a_timer_goes_when_its_time_is_over_and_nothing_else() {
    let mut talk = Talk::new();
    talk.text(BOB, "before");
    talk.says(BOB, Body::Timer(Some(Duration::from_hours(1))));
    let under = talk.text(BOB, "under");
    talk.says(ALICE, react(named(BOB, under), "👍", true));
    talk.says(BOB, Body::Timer(None));
    talk.text(BOB, "behind");
    talk.vault.mark_shown(&[(GROUP, Seq(talk.seq))]).unwrap();
    let now = crate::outside::now();
    assert_eq!(talk.vault.expire(now.after(Duration::from_mins(59))).unwrap(), 0);
    // The sign and the end of the timer were said under it, too.
    assert_eq!(talk.vault.expire(now.after(Duration::from_mins(61))).unwrap(), 3);
    let left = [text("before"), Body::Timer(Some(Duration::from_hours(1))), text("behind")];
    assert_eq!(talk.standing(), left);
    assert!(!talk.has_bytes(b"under"));
    assert_eq!(talk.marks(BOB, under), Marks::default());
}

#[test]
fn what_is_not_known_is_kept_and_read_as_it_came() {
    let mut talk = Talk::new();
    let unknown = Body::Unknown { kind: 4_000, bytes: vec![0, 255, 1] };
    talk.says(BOB, unknown.clone());
    assert_eq!(talk.standing(), [unknown]);
}

#[test]
fn another_s_message_of_the_same_id_stands_for_no_own_one_and_hides_nothing() {
    let mut talk = Talk::new();
    let mine = id(100);
    // What is on its way, of which somebody has heard the id.
    talk.seq = 5;
    talk.says_as(BOB, mine, text("not alice's"));
    assert_eq!(talk.vault.own_place_of(&GROUP, mine).unwrap(), None);
    talk.seq = 7;
    talk.says_as(ALICE, mine, text("alice's"));
    assert_eq!(talk.vault.own_place_of(&GROUP, mine).unwrap(), Some(Seq(7)));
    assert_eq!(talk.vault.place_of(&GROUP, mine).unwrap(), Some(Seq(5)));
    talk.seq = 3;
    talk.says_as(BOB, mine, text("came later, stands before"));
    assert_eq!(talk.vault.place_of(&GROUP, mine).unwrap(), Some(Seq(3)));
}

/// What somebody sent under a number that meant nothing then, as the version reads it that knows the kind.
#[test]
fn m10_what_is_none_of_its_kind_hides_no_other_message() {
    let mut talk = Talk::new();
    let first = talk.text(BOB, "before");
    let junk = talk.says(BOB, Body::Unknown { kind: 4_000, bytes: vec![255; 9] });
    talk.says(BOB, Body::Topic("tea".to_owned()));
    talk.text(BOB, "behind");
    let learned = "UPDATE messages SET kind = 9 WHERE kind = 4000";
    assert_eq!(talk.vault.database.execute(learned, []).unwrap(), 1);
    talk.vault.database.execute("UPDATE holding SET body = x'ff'", []).unwrap();
    let junk_body = Body::Unknown { kind: 9, bytes: vec![255; 9] };
    let topic = Body::Topic("tea".to_owned());
    let all = [text("before"), junk_body, topic, text("behind")];
    assert_eq!(talk.standing(), all);
    let bodies = |messages: Vec<StoredMessage>| -> Vec<Body> {
        messages.into_iter().map(|message| message.body).collect()
    };
    assert_eq!(bodies(talk.vault.unshown(&GROUP, 9).unwrap()), all);
    assert_eq!(bodies(talk.vault.after(&GROUP, Seq(0), 9).unwrap()), all);
    assert_eq!(talk.vault.holding(&GROUP).unwrap(), Holding { topic: None, timer: None });
    // It is its author's to take back, like any other.
    talk.says(BOB, Body::Delete { of: junk });
    assert_eq!(talk.standing()[1], Body::Delete { of: junk });
    assert_ne!(talk.standing()[0], Body::Delete { of: first });
}

#[test]
fn what_waits_to_be_shown_has_changes_too_and_they_are_not_counted() {
    let mut talk = Talk::new();
    let first = talk.text(BOB, "x");
    talk.says(BOB, edit(first, "y"));
    talk.says(BOB, react(named(BOB, first), "👍", true));
    let unshown = talk.vault.unshown(&GROUP, 9).unwrap();
    assert_eq!(unshown.len(), 3);
    assert_eq!(unshown[0].body, text("y"), "as it stands now");
    assert_eq!(talk.vault.waiting().unwrap()[&GROUP], 1);
}

fn offer(bytes: &[u8]) -> Offer {
    let size = u64::try_from(bytes.len()).unwrap();
    Offer { name: "a".to_owned(), size, hash: openchat_crypto::sha256(bytes) }
}

fn part(file: MessageRef, index: u32, bytes: &[u8]) -> Change {
    Change::Chunk { group: GROUP, file, index, bytes: Blob(bytes.to_vec()) }
}

#[test]
fn a_file_goes_with_its_message_part_by_part_and_byte_by_byte() {
    let mut talk = Talk::new();
    let bytes = b"treasure".repeat(20_000);
    let file = talk.says(BOB, Body::File(offer(&bytes)));
    let file = named(BOB, file);
    for (index, bytes) in (0..).zip(bytes.chunks(FILE_CHUNK)) {
        talk.apply(part(file, index, bytes));
    }
    assert_eq!(talk.vault.uncompared().unwrap().len(), 1);
    assert!(talk.has_bytes(b"treasure"));
    // One that nobody has offered here is not kept, nor one of another author under its name.
    talk.apply(part(named(ALICE, file.id), 0, b"someone else's"));
    assert!(!talk.has_bytes(b"someone else"));
    talk.says(BOB, Body::Delete { of: file.id });
    assert!(talk.vault.files(None).unwrap().is_empty());
    assert!(!talk.has_bytes(b"treasure"));
}

#[test]
fn a_file_that_is_another_one_is_not_kept_and_takes_no_more_parts() {
    let mut talk = Talk::new();
    let lie = Offer { hash: Digest([1; 32]), ..offer(b"gold") };
    let file = talk.says(BOB, Body::File(lie));
    let file = named(BOB, file);
    talk.apply(part(file, 0, b"lead"));
    talk.vault.compared(&GROUP, &file, false).unwrap();
    talk.apply(part(file, 0, b"lead"));
    assert_eq!(talk.vault.part(Some(&GROUP), &file, 0).unwrap(), None);
    let state = talk.vault.files(Some(&GROUP)).unwrap()[0].state;
    assert_eq!(state, crate::vault::FileState::Wrong);
}

#[test]
fn a_file_of_one_s_own_is_there_before_its_message_and_goes_with_it() {
    let mut talk = Talk::new();
    let file = named(ALICE, id(1));
    talk.vault.begin_file(&file, &offer(b"")).unwrap();
    talk.vault.add_parts(&file, 0, &[b"plans".to_vec()]).unwrap();
    talk.vault.end_file(&file, &offer(b"plans")).unwrap();
    assert_eq!(talk.vault.unoffered_files().unwrap(), [file]);
    talk.says(ALICE, Body::File(offer(b"plans")));
    assert_eq!(talk.vault.unoffered_files().unwrap(), []);
    assert_eq!(talk.vault.part(None, &file, 0).unwrap(), Some(b"plans".to_vec()));
    assert!(talk.vault.uncompared().unwrap().is_empty());
    talk.says(ALICE, Body::Delete { of: file.id });
    assert_eq!(talk.vault.part(None, &file, 0).unwrap(), None);
    assert!(!talk.has_bytes(b"plans"));
}
