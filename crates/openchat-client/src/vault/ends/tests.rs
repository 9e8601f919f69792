use super::*;
use crate::{
    outside::now,
    vault::{
        Range, Unlock,
        contents::tests::{ALICE, BOB, GROUP, Talk, named, text},
    },
};
use openchat_crypto::Passphrase;
use openchat_engine::Offer;

const HOUR: Duration = Duration::from_hours(1);

impl Talk {
    /// Somebody has set a timer of an hour, and one more thing was said under it.
    fn under(who: u8, said: &str) -> Self {
        let mut talk = Self::new();
        talk.says(BOB, Body::Timer(Some(HOUR)));
        talk.text(who, said);
        talk
    }

    fn show_all(&mut self) {
        self.vault.mark_shown(&[(GROUP, Seq(self.seq))]).unwrap();
    }

    fn execute(&self, change: &str) {
        assert_ne!(self.vault.database.execute(change, []).unwrap(), 0, "{change}");
    }

    fn expire_in(&mut self, time: Duration) -> usize {
        self.vault.expire(now().after(time)).unwrap()
    }
}

fn listener() -> Name {
    "bot".parse().unwrap()
}

#[test]
fn m19_a_timer_takes_nothing_away_that_was_not_shown() {
    let mut talk = Talk::under(BOB, "unread");
    // Long over, had it counted from its coming.
    assert_eq!(talk.expire_in(HOUR * 24 * 29), 0);
    assert_eq!(talk.vault.waiting().unwrap()[&GROUP], 2);
    talk.show_all();
    assert_eq!(talk.expire_in(Duration::from_mins(59)), 0);
    assert_eq!(talk.expire_in(HOUR + Duration::from_secs(5)), 1);
    assert_eq!(talk.vault.take_missed(None, &GROUP).unwrap(), 0);
}

#[test]
fn m19_each_message_counts_from_when_it_was_shown_and_once() {
    let mut talk = Talk::under(BOB, "first");
    talk.show_all();
    talk.execute("UPDATE messages SET due = x'0000000000000001' WHERE due IS NOT NULL");
    talk.text(BOB, "second");
    // What was shown before begins no second time.
    talk.show_all();
    assert_eq!(talk.expire_in(Duration::ZERO), 1);
    assert_eq!(talk.standing().last(), Some(&text("second")));
    // A place that is shown already: counted at once.
    let place = Seq(talk.seq + 10);
    talk.vault.mark_shown(&[(GROUP, place)]).unwrap();
    talk.text(BOB, "at a place that was shown");
    assert_eq!(talk.expire_in(HOUR + Duration::from_secs(5)), 2);
}

#[test]
fn m19_one_s_own_counts_from_when_it_was_said() {
    let mut talk = Talk::under(ALICE, "mine");
    assert_eq!(talk.expire_in(HOUR + Duration::from_secs(5)), 1);
}

#[test]
fn m19_what_nobody_was_shown_for_a_month_counts_as_shown_and_is_told() {
    let mut talk = Talk::under(BOB, "unread");
    talk.says(
        BOB,
        Body::Reaction {
            to: named(BOB, openchat_wire::MessageId([0; 16])),
            emoji: "+".to_owned(),
            on: true,
        },
    );
    talk.text(ALICE, "mine");
    talk.vault.mark_heard(&listener(), &GROUP, Seq(1)).unwrap();
    let month = SHOWN_AT_LAST;
    assert_eq!(talk.expire_in(month + Duration::from_secs(5)), 1, "one's own, at its time");
    assert_eq!(talk.expire_in(month + HOUR), 0, "the timer began only then");
    assert_eq!(talk.expire_in(month + HOUR + Duration::from_mins(1)), 2);
    // A message, not a sign on one; once for each who missed it, and no more than once.
    for reader in [None, Some(&listener())] {
        assert_eq!(talk.vault.take_missed(reader, &GROUP).unwrap(), 1, "{reader:?}");
        assert_eq!(talk.vault.take_missed(reader, &GROUP).unwrap(), 0);
    }
}

#[test]
fn m19_a_listener_is_told_how_much_went_before_it_was_told_of_it() {
    let mut talk = Talk::under(BOB, "one");
    talk.text(BOB, "two");
    talk.vault.mark_heard(&listener(), &GROUP, Seq(2)).unwrap();
    talk.show_all();
    assert_eq!(talk.expire_in(HOUR + Duration::from_secs(5)), 2);
    assert_eq!(talk.vault.take_missed(None, &GROUP).unwrap(), 0, "the person was shown it");
    assert_eq!(talk.vault.take_missed(Some(&listener()), &GROUP).unwrap(), 1);
}

/// What a look, without any session, still gives of the message and of the file under a timer.
fn read(look: &Vault) -> usize {
    let (all, id) = (&Range::ALL, openchat_wire::MessageId(2_u128.to_be_bytes()));
    let file = named(BOB, openchat_wire::MessageId(3_u128.to_be_bytes()));
    let search = crate::vault::Search {
        words: vec!["secret".to_owned()],
        group: None,
        sender: None,
        limit: 9,
    };
    let is_it = |message: &StoredMessage| !message.own && message.seq > Seq(1);
    let counts = [
        look.newest(&GROUP, all, 9).unwrap().into_iter().filter(is_it).count(),
        look.oldest(&GROUP, all, 9).unwrap().into_iter().filter(is_it).count(),
        look.unshown(&GROUP, 9).unwrap().into_iter().filter(is_it).count(),
        look.after(&GROUP, Seq(0), 9).unwrap().into_iter().filter(is_it).count(),
        look.search(&search).unwrap().len(),
        usize::from(look.message(&GROUP, &named(BOB, id)).unwrap().is_some()) * 2,
        usize::from(look.message_called(&GROUP, id).unwrap().is_some()) * 2,
        usize::from(look.last_said(&GROUP, false).unwrap().is_some()) * 2,
        usize::try_from(look.waiting().unwrap().get(&GROUP).map_or(0, |count| count - 1)).unwrap(),
        look.files(None).unwrap().len() * 2,
        look.files(Some(&GROUP)).unwrap().len() * 2,
        look.files_called(file.id).unwrap().len() * 2,
        usize::from(look.last_file(&GROUP).unwrap().is_some()) * 2,
        usize::from(look.file(Some(&GROUP), &file).unwrap().is_some()) * 2,
    ];
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    counts[0]
}

/// How much of it comes back out of a backup that is made now.
fn in_backup(talk: &Talk) -> (u64, usize) {
    let place = tempfile::tempdir().unwrap();
    let (file, passphrase) = (place.path().join("b"), Passphrase::new("p".to_owned()));
    talk.vault.back_up(&file, &passphrase).unwrap();
    let (fresh, unlock) = (place.path().join("fresh"), Unlock::alone());
    let restored = Vault::restore(&fresh, &unlock, &file, &passphrase).unwrap();
    let files = "SELECT count(*) FROM files";
    let vault = Vault::open(&fresh).unwrap();
    let files: i64 = vault.database.query_row(files, [], |row| row.get(0)).unwrap();
    (restored.messages, usize::try_from(files).unwrap())
}

#[test]
fn m20_what_is_over_is_read_no_more_though_no_session_runs() {
    let over = [
        // A timer.
        "UPDATE messages SET due = x'0000000000000001' WHERE seq >= x'0000000000000002'",
        // What this person keeps, here or anywhere.
        "UPDATE messages SET stored = x'0000000000000001' WHERE seq >= x'0000000000000002'",
    ];
    let kept = [
        None,
        Some("INSERT INTO retention SELECT grp, 86400 FROM conversations"),
        Some("INSERT INTO retention VALUES (zeroblob(32), 86400)"),
    ];
    for (over, kept) in [(over[0], kept[0]), (over[1], kept[1]), (over[1], kept[2])] {
        let mut talk = Talk::under(BOB, "a secret");
        let key = openchat_crypto::IdentityKey::generate(&mut crate::outside::os_random());
        talk.vault.enroll(&crate::vault::tests::identity("alice", &key)).unwrap();
        let hash = openchat_crypto::sha256(b"");
        let name = "secret.txt".to_owned();
        talk.says(BOB, Body::File(Offer { name, size: 0, hash }));
        if let Some(kept) = kept {
            talk.execute(kept);
        }
        let look = || Vault::look_with(talk.place.path(), &Unlock::alone()).unwrap().unwrap();
        assert_eq!(read(&look()), 2);
        assert_eq!(in_backup(&talk), (3, 1));
        talk.execute(over);
        assert_eq!(read(&look()), 0, "{over} {kept:?}");
        assert_eq!(in_backup(&talk), (1, 0), "{over} {kept:?}");
    }
}

#[test]
fn m20_what_lasts_for_ever_and_beyond_is_read() {
    let mut talk = Talk::new();
    talk.text(BOB, "here");
    talk.execute("INSERT INTO retention VALUES (zeroblob(32), 9223372036854775807)");
    assert_eq!(talk.standing(), [text("here")]);
    assert_eq!(talk.finds("here"), 1);
}

#[test]
fn m20_a_clock_far_ahead_hides_and_deletes_nothing_yet() {
    let mut talk = Talk::under(BOB, "a secret");
    assert!(talk.vault.tidy().unwrap().is_empty());
    // As if the clock had been right until then, which was long ago.
    talk.execute("UPDATE clock SET seen = x'0000000000000001'");
    talk.execute("UPDATE messages SET due = x'0000000000000001' WHERE due IS NOT NULL");
    assert!(talk.vault.tidy().unwrap().is_empty());
    assert_eq!(talk.finds("secret"), 0);
    talk.execute("UPDATE clock SET leapt = x'0000000000000001'");
    assert_eq!(talk.vault.tidy().unwrap().len(), 1);
    assert!(!talk.has_bytes(b"a secret"));
}

#[test]
fn m20_a_session_deletes_what_is_over_at_once_and_says_where() {
    let mut talk = Talk::under(BOB, "a secret");
    assert!(talk.vault.tidy().unwrap().is_empty());
    talk.show_all();
    assert!(talk.vault.tidy().unwrap().is_empty());
    talk.execute("UPDATE messages SET due = x'0000000000000001' WHERE due IS NOT NULL");
    // Not an hour later, when it would look anyway.
    assert_eq!(talk.vault.tidy().unwrap().into_iter().collect::<Vec<_>>(), [GROUP]);
    assert!(!talk.has_bytes(b"a secret"));
    assert!(talk.vault.tidy().unwrap().is_empty());
}
