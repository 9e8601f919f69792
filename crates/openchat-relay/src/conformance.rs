//! What every [`Store`] has to do, as a suite that its crate runs as a test.
//!
//! ```text
//! conformance::run(|| MyStore::create(fresh_path()), |store| { drop(store); MyStore::open(path) })
//! ```

use crate::store::{
    Body, CommitPoint, Limit, NewEntry, Older, Origin, Owner, Page, Place, Point, Record, Recorded,
    Store, StoreError, Table, Which,
};
use openchat_crypto::sha256;
use openchat_roster::log_hash_start;
use openchat_wire::{Digest, Epoch, Fingerprint, GroupId, Seq, UnixMillis, limits::MAX_COMMIT};

const LOG: GroupId = GroupId([1; 32]);
const OTHER: GroupId = GroupId([2; 32]);
const PLENTY: Limit = Limit { entries: 1_000, bytes: 100_000_000 };

/// Runs every check: `fresh` makes an empty store, `crash` ends one as a power failure does and
/// opens it again.
///
/// # Errors
/// What the store failed with where it had to succeed.
///
/// # Panics
/// Where the store does not do what the trait promises.
pub fn run<S: Store>(
    mut fresh: impl FnMut() -> S,
    mut crash: impl FnMut(S) -> S,
) -> Result<(), StoreError> {
    an_empty_store_has_nothing(&fresh())?;
    places_grow_and_the_tail_follows(&mut fresh())?;
    an_entry_goes_behind_the_tail_or_nowhere(&mut fresh())?;
    the_same_entry_is_found_and_not_taken_twice(&mut fresh())?;
    commits_are_found_by_epoch_and_place(&mut fresh())?;
    reads_come_in_order_and_by_kind(&mut fresh())?;
    reads_keep_to_their_limits(&mut fresh())?;
    the_largest_commit_comes_back_whole(&mut fresh())?;
    old_bodies_are_dropped_and_no_others(&mut fresh())?;
    what_has_a_wrong_time_is_as_old_as_what_came_behind_it(&mut fresh())?;
    many_wrong_times_in_a_row_end_nothing(&mut fresh())?;
    a_dropped_body_leaves_all_else(&mut fresh())?;
    bodies_are_dropped_a_few_at_a_time(&mut fresh())?;
    what_is_kept_is_counted_by_log_and_person(fresh(), &mut crash)?;
    a_dropped_body_comes_back_with_a_lost_batch_only(fresh(), &mut crash)?;
    the_transparency_log_grows_at_its_end(&mut fresh())?;
    records_are_compared_and_swapped(&mut fresh())?;
    records_are_removed_if_they_are_what_was_expected(&mut fresh())?;
    records_are_found_by_the_beginning_of_their_keys(&mut fresh())?;
    a_table_has_nothing_of_another(&mut fresh())?;
    a_refused_write_leaves_the_batch_as_it_was(&mut fresh())?;
    a_rollback_forgets_the_batch_and_no_more(&mut fresh())?;
    what_was_flushed_outlives_a_crash_and_nothing_else_does(fresh(), &mut crash)?;
    a_crash_after_many_batches_loses_none(fresh(), &mut crash)
}

fn an_empty_store_has_nothing<S: Store>(store: &S) -> Result<(), StoreError> {
    assert_eq!(store.tail(&LOG)?, None);
    assert_eq!(store.find(&LOG, NEAR, &sha256(b"a"))?, None);
    assert_eq!(store.commit(&LOG, Epoch(1))?, None);
    assert_eq!(store.point(&LOG, Seq(1))?, None);
    let nothing = Page { entries: Vec::new(), complete: true };
    assert_eq!(store.read(&LOG, Seq(0), Which::All, PLENTY)?, nothing);
    assert_eq!(store.recorded(0, 10)?, []);
    assert_eq!(store.get(Table::Name, b"bob")?, None);
    assert_eq!(store.scan(Table::Name, b"", 10)?, []);
    Ok(())
}

fn places_grow_and_the_tail_follows<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let mut writer = Writer::new(store, LOG);
    let places = [writer.message(b"a")?, writer.message(b"b")?, writer.message(b"c")?];
    assert!(places.is_sorted_by(|one, next| one.seq < next.seq), "{places:?}");
    assert!(places.iter().all(|place| place.seq > Seq(0)), "0 is before the first");
    assert_eq!(store.tail(&LOG)?, places.last().copied());
    assert_eq!(store.tail(&OTHER)?, None);
    let first = openchat_roster::log_hash_next(&log_hash_start(&LOG), places[0].seq, b"a");
    assert_eq!(places[0].log_hash, first);
    Ok(())
}

fn an_entry_goes_behind_the_tail_or_nowhere<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let tail = Writer::new(store, LOG).message(b"a")?;
    let entry = entry(b"b", tail.log_hash, None);
    for after in [Seq(0), tail.seq.next(), Seq(u64::MAX)] {
        is_conflict(&store.append(&LOG, after, &entry), "behind another place");
    }
    is_conflict(&store.append(&OTHER, tail.seq, &entry), "behind another log's tail");
    assert_eq!(store.tail(&LOG)?, Some(tail));
    assert_eq!(store.tail(&OTHER)?, None);
    store.append(&LOG, tail.seq, &entry)?;
    Ok(())
}

fn the_same_entry_is_found_and_not_taken_twice<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let mut writer = Writer::new(store, LOG);
    let (first, tail) = (writer.message(b"a")?, writer.message(b"b")?);
    assert_eq!(store.find(&LOG, NEAR, &sha256(b"a"))?, Some(first.seq));
    assert_eq!(store.find(&LOG, NEAR, &sha256(b"c"))?, None);
    assert_eq!(store.find(&OTHER, NEAR, &sha256(b"a"))?, None, "each log by itself");
    let again = entry(b"a", tail.log_hash, None);
    is_conflict(&store.append(&LOG, tail.seq, &again), "the same entry");
    Writer::new(store, OTHER).message(b"a")?;
    assert!(store.find(&OTHER, NEAR, &sha256(b"a"))?.is_some(), "the same bytes in another log");
    Ok(())
}

fn commits_are_found_by_epoch_and_place<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let mut writer = Writer::new(store, LOG);
    let (one, message, two) =
        (writer.commit(b"one", 1)?, writer.message(b"a")?, writer.commit(b"two", 2)?);
    assert_eq!(store.commit(&LOG, Epoch(1))?, Some(one.seq));
    assert_eq!(store.commit(&LOG, Epoch(2))?, Some(two.seq));
    assert_eq!(store.commit(&LOG, Epoch(3))?, None);
    assert_eq!(store.commit(&OTHER, Epoch(1))?, None);
    assert_eq!(store.point(&LOG, two.seq)?, Some(Point { place: two, commit: leads_to(2) }));
    assert_eq!(store.point(&LOG, message.seq)?, None, "not a commit");
    assert_eq!(store.point(&LOG, Seq(u64::MAX))?, None);
    let second = entry(b"another two", two.log_hash, Some(leads_to(2)));
    is_conflict(&store.append(&LOG, two.seq, &second), "a second commit for an epoch");
    Ok(())
}

fn reads_come_in_order_and_by_kind<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let mut writer = Writer::new(store, LOG);
    let one = writer.commit(b"one", 1)?.seq;
    let a = writer.message(b"a")?.seq;
    let two = writer.commit(b"two", 2)?.seq;
    Writer::new(store, OTHER).message(b"other")?;
    let all = page(&[(one, b"one"), (a, b"a"), (two, b"two")], true);
    assert_eq!(store.read(&LOG, Seq(0), Which::All, PLENTY)?, all);
    let commits = page(&[(one, b"one"), (two, b"two")], true);
    assert_eq!(store.read(&LOG, Seq(0), Which::Commits, PLENTY)?, commits);
    assert_eq!(store.read(&LOG, a, Which::All, PLENTY)?, page(&[(two, b"two")], true));
    assert_eq!(store.read(&LOG, two, Which::All, PLENTY)?, page(&[], true));
    assert_eq!(store.read(&LOG, Seq(u64::MAX), Which::All, PLENTY)?, page(&[], true));
    Ok(())
}

fn reads_keep_to_their_limits<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let mut writer = Writer::new(store, LOG);
    let (a, b, c) = (
        writer.commit(b"aaaa", 1)?.seq,
        writer.message(b"bbbb")?.seq,
        writer.commit(b"cccc", 2)?.seq,
    );
    let read = |which, entries, bytes| store.read(&LOG, Seq(0), which, Limit { entries, bytes });
    assert_eq!(read(Which::All, 2, 100)?, page(&[(a, b"aaaa"), (b, b"bbbb")], false));
    assert_eq!(read(Which::All, 100, 11)?, page(&[(a, b"aaaa"), (b, b"bbbb")], false));
    assert_eq!(read(Which::All, 3, 12)?.entries.len(), 3);
    assert!(read(Which::All, 3, 12)?.complete, "nothing stands behind");
    assert_eq!(read(Which::All, 100, 3)?, page(&[(a, b"aaaa")], false), "one comes in any case");
    assert_eq!(read(Which::Commits, 1, 100)?, page(&[(a, b"aaaa")], false));
    assert_eq!(read(Which::Commits, 2, 8)?, page(&[(a, b"aaaa"), (c, b"cccc")], true));
    Ok(())
}

fn the_largest_commit_comes_back_whole<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let large: Vec<u8> = (0..MAX_COMMIT).map(|at| at.to_le_bytes()[0]).collect();
    let place = Writer::new(store, LOG).commit(&large, 1)?;
    let read = store.read(&LOG, Seq(0), Which::All, Limit::READ)?;
    assert!(read == page(&[(place.seq, &large)], true), "it comes alone");
    Ok(())
}

fn old_bodies_are_dropped_and_no_others<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let mut writer = Writer::new(store, LOG);
    let commit = writer.commit(b"commit", 1)?.seq;
    let old = writer.brought(b"old", 1, false)?.seq;
    let lasting = writer.brought(b"lasting", 1, true)?.seq;
    let edge = writer.brought(b"edge", 5, false)?.seq;
    let new = writer.brought(b"new", 9, false)?.seq;
    let dropping = store.drop_bodies(0, Older::than(UnixMillis(5)), 100)?;
    assert_eq!((dropping.reached, dropping.bodies, dropping.complete), (3, 1, true));
    let whole = |seq: Seq, bytes: &[u8]| (seq, Body::Whole(bytes.to_vec()));
    let entries = vec![
        whole(commit, b"commit"),
        (old, Body::Dropped(sha256(b"old"))),
        whole(lasting, b"lasting"),
        whole(edge, b"edge"),
        whole(new, b"new"),
    ];
    let kept = Page { entries, complete: true };
    assert_eq!(store.read(&LOG, Seq(0), Which::All, PLENTY)?, kept);
    let again = store.drop_bodies(dropping.reached, Older::than(UnixMillis(5)), 100)?;
    assert_eq!((again.reached, again.bodies, again.complete), (3, 0, true), "not that old");
    let again = store.drop_bodies(0, Older::than(UnixMillis(5)), 100)?;
    assert_eq!((again.reached, again.bodies), (3, 0), "dropped already");
    let rest = store.drop_bodies(3, Older::than(UnixMillis(u64::MAX)), 100)?;
    assert_eq!((rest.reached, rest.bodies, rest.complete), (5, 2, true));
    assert_eq!(
        store.drop_bodies(5, Older::than(UnixMillis(u64::MAX)), 100)?.reached,
        5,
        "at the end"
    );
    Ok(())
}

fn what_has_a_wrong_time_is_as_old_as_what_came_behind_it<S: Store>(
    store: &mut S,
) -> Result<(), StoreError> {
    assert_eq!(store.newest(3)?, []);
    let mut writer = Writer::new(store, LOG);
    writer.brought(b"old", 1, false)?;
    writer.brought(b"wrong", 200, false)?;
    let older = |time| Older { than: UnixMillis(time), plausible: UnixMillis(100) };
    let alone = store.drop_bodies(0, older(5), 100)?;
    assert_eq!((alone.reached, alone.bodies, alone.complete), (1, 1, true), "it may be new");
    let mut writer = Writer::new(store, LOG);
    writer.brought(b"next", 3, false)?;
    writer.brought(b"wrong too", 201, false)?;
    writer.brought(b"young", 9, false)?;
    let times = [9, 201, 3].map(UnixMillis);
    assert_eq!(store.newest(3)?, times, "the last one first, staged or not");
    assert_eq!(store.newest(100)?.len(), 5);
    let one = store.drop_bodies(1, older(5), 1)?;
    assert_eq!((one.reached, one.bodies, one.complete), (2, 1, false), "old by the next one");
    let rest = store.drop_bodies(2, older(5), 100)?;
    assert_eq!((rest.reached, rest.bodies, rest.complete), (3, 1, true), "the other is not");
    let all = store.drop_bodies(3, older(10), 100)?;
    assert_eq!((all.reached, all.bodies, all.complete), (5, 2, true));
    Ok(())
}

fn many_wrong_times_in_a_row_end_nothing<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let older = Older { than: UnixMillis(5), plausible: UnixMillis(100) };
    for text in 0..20_u8 {
        Writer::new(store, LOG).brought(&[text], 200, false)?;
    }
    assert_eq!(store.drop_bodies(0, older, 4)?.reached, 0, "nothing says that they are old");
    for text in 20..60_u8 {
        Writer::new(store, LOG).brought(&[text], 1, false)?;
    }
    let mut reached = 0;
    loop {
        let step = store.drop_bodies(reached, older, 4)?;
        assert!(step.reached.saturating_sub(reached) <= 4, "{step:?}");
        reached = step.reached;
        if step.complete {
            break;
        }
    }
    assert_eq!(reached, 60);
    assert_eq!(store.usage()?, []);
    Ok(())
}

fn a_dropped_body_leaves_all_else<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let mut writer = Writer::new(store, LOG);
    let (a, tail) = (writer.message(b"a")?, writer.message(b"b")?);
    store.drop_bodies(0, Older::than(UnixMillis(u64::MAX)), 100)?;
    assert_eq!(store.tail(&LOG)?, Some(tail));
    assert_eq!(
        store.find(&LOG, NEAR, &sha256(b"a"))?,
        Some(a.seq),
        "the same bytes are known again"
    );
    is_conflict(&store.append(&LOG, tail.seq, &entry(b"a", tail.log_hash, None)), "the same");
    let dropped = |place: Place, bytes: &[u8]| (place.seq, Body::Dropped(sha256(bytes)));
    let one = Limit { entries: 1, bytes: 0 };
    let first = Page { entries: vec![dropped(a, b"a")], complete: false };
    assert_eq!(store.read(&LOG, Seq(0), Which::All, one)?, first, "each is an entry");
    let both = Page { entries: vec![dropped(a, b"a"), dropped(tail, b"b")], complete: true };
    let two = Limit { entries: 2, bytes: 0 };
    assert_eq!(store.read(&LOG, Seq(0), Which::All, two)?, both, "of no bytes");
    let next = Writer::new(store, LOG).message(b"c")?;
    assert_eq!(next, entry(b"c", tail.log_hash, None).at(next.seq), "the chain goes on");
    Ok(())
}

fn bodies_are_dropped_a_few_at_a_time<S: Store>(store: &mut S) -> Result<(), StoreError> {
    for text in 0..10_u8 {
        let log = if text % 2 == 0 { LOG } else { OTHER };
        Writer::new(store, log).message(&[text])?;
        if text % 3 == 0 {
            store.flush()?;
        }
    }
    let (mut reached, mut bodies, mut steps) = (0, 0_u64, 0_u32);
    loop {
        let step = store.drop_bodies(reached, Older::than(UnixMillis(u64::MAX)), 4)?;
        assert!(step.reached.saturating_sub(reached) <= 4 && step.bodies <= 4, "{step:?}");
        (reached, bodies, steps) =
            (step.reached, bodies.saturating_add(step.bodies), steps.saturating_add(1));
        if step.complete {
            break;
        }
    }
    assert_eq!((reached, bodies, steps), (10, 10, 3));
    assert_eq!(store.usage()?, []);
    Ok(())
}

fn what_is_kept_is_counted_by_log_and_person<S: Store>(
    mut store: S,
    crash: &mut impl FnMut(S) -> S,
) -> Result<(), StoreError> {
    let (one, other) = (Owner::Log(LOG), Owner::Log(OTHER));
    let (me, you) = (Owner::Person(person(1)), Owner::Person(person(2)));
    let counted = |store: &S| {
        store.usage().map(|mut usage| {
            usage.sort_unstable();
            usage
        })
    };
    assert_eq!(counted(&store)?, []);
    Writer::new(&mut store, LOG).brought(b"aaaa", 1, false)?;
    Writer::new(&mut store, OTHER).brought(b"bbbbb", 2, false)?;
    assert_eq!(counted(&store)?, [(one, 4), (other, 5), (me, 4), (you, 5)], "what is staged too");
    store.flush()?;
    Writer::new(&mut store, LOG).brought(b"lost", 1, false)?;
    let mut store = crash(store);
    assert_eq!(counted(&store)?, [(one, 4), (other, 5), (me, 4), (you, 5)]);
    Writer::new(&mut store, LOG).brought(b"cc", 2, true)?;
    let dropping = store.drop_bodies(0, Older::than(UnixMillis(u64::MAX)), 100)?;
    let freed = |owner| {
        let of = dropping.freed.iter().filter(|(freed, _)| *freed == owner);
        of.map(|(_, bytes)| *bytes).sum::<u64>()
    };
    assert_eq!([one, other, me, you].map(freed), [4, 5, 4, 5]);
    assert_eq!(counted(&store)?, [(one, 2), (you, 2)], "the lasting one is kept");
    store.flush()?;
    let mut store = crash(store);
    assert_eq!(counted(&store)?, [(one, 2), (you, 2)]);
    for _ in 0..30 {
        for text in 0..100_u8 {
            Writer::new(&mut store, LOG).numbered(&[text; 10])?;
        }
        store.flush()?;
        store = crash(store);
    }
    assert_eq!(counted(&store)?, [(one, 54_002), (me, 54_000), (you, 2)]);
    Ok(())
}

fn a_dropped_body_comes_back_with_a_lost_batch_only<S: Store>(
    mut store: S,
    crash: &mut impl FnMut(S) -> S,
) -> Result<(), StoreError> {
    let place = Writer::new(&mut store, LOG).message(b"a")?;
    store.flush()?;
    let whole = page(&[(place.seq, b"a")], true);
    let gone = Page { entries: vec![(place.seq, Body::Dropped(sha256(b"a")))], complete: true };
    let read = |store: &S| store.read(&LOG, Seq(0), Which::All, PLENTY);
    store.drop_bodies(0, Older::than(UnixMillis(u64::MAX)), 1)?;
    assert_eq!(read(&store)?, gone, "what is staged is seen");
    store.rollback()?;
    assert_eq!(read(&store)?, whole);
    store.drop_bodies(0, Older::than(UnixMillis(u64::MAX)), 1)?;
    let mut store = crash(store);
    assert_eq!(read(&store)?, whole);
    store.drop_bodies(0, Older::than(UnixMillis(u64::MAX)), 1)?;
    store.flush()?;
    let store = crash(store);
    assert_eq!(read(&store)?, gone);
    Ok(())
}

fn the_transparency_log_grows_at_its_end<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let recorded = |time, entry: &[u8]| Recorded { time: UnixMillis(time), entry: entry.to_vec() };
    is_conflict(&store.record(1, UnixMillis(5), b"x"), "a gap");
    store.record(0, UnixMillis(5), b"a")?;
    is_conflict(&store.record(0, UnixMillis(5), b"x"), "another first entry");
    store.record(1, UnixMillis(7), b"a")?;
    store.record(2, UnixMillis(6), b"c")?;
    assert_eq!(store.recorded(0, 2)?, [recorded(5, b"a"), recorded(7, b"a")]);
    assert_eq!(store.recorded(2, 2)?, [recorded(6, b"c")]);
    assert_eq!(store.recorded(3, 2)?, []);
    Ok(())
}

fn records_are_compared_and_swapped<S: Store>(store: &mut S) -> Result<(), StoreError> {
    is_conflict(&store.put(Table::Name, b"k", Some(b"v"), b"w"), "a record that is not there");
    store.put(Table::Name, b"k", None, b"v")?;
    is_conflict(&store.put(Table::Name, b"k", None, b"w"), "a record that is there");
    is_conflict(&store.put(Table::Name, b"k", Some(b"x"), b"w"), "a record that is another");
    store.put(Table::Name, b"k", Some(b"v"), b"w")?;
    store.put(Table::Name, b"", None, b"")?;
    store.put(Table::Member, b"k", None, b"m")?;
    assert_eq!(store.get(Table::Name, b"k")?.as_deref(), Some(&b"w"[..]));
    assert_eq!(store.get(Table::Name, b"")?.as_deref(), Some(&b""[..]));
    assert_eq!(store.get(Table::Member, b"k")?.as_deref(), Some(&b"m"[..]));
    assert_eq!(store.get(Table::Invitation, b"k")?, None, "each table by itself");
    assert_eq!(store.get(Table::GroupName, b"k")?, None, "each table by itself");
    Ok(())
}

fn records_are_removed_if_they_are_what_was_expected<S: Store>(
    store: &mut S,
) -> Result<(), StoreError> {
    is_conflict(&store.remove(Table::Name, b"k", b"v"), "a record that is not there");
    store.put(Table::Name, b"k", None, b"v")?;
    store.put(Table::Name, b"l", None, b"v")?;
    is_conflict(&store.remove(Table::Name, b"k", b"w"), "a record that is another");
    is_conflict(&store.remove(Table::Member, b"k", b"v"), "a record of another table");
    store.remove(Table::Name, b"k", b"v")?;
    assert_eq!(store.get(Table::Name, b"k")?, None);
    assert_eq!(store.get(Table::Name, b"l")?.as_deref(), Some(&b"v"[..]), "the one beside it");
    is_conflict(&store.remove(Table::Name, b"k", b"v"), "a record that was removed");
    store.put(Table::Name, b"k", None, b"w")?;
    store.flush()?;
    store.remove(Table::Name, b"k", b"w")?;
    store.rollback()?;
    assert_eq!(store.get(Table::Name, b"k")?.as_deref(), Some(&b"w"[..]), "taken back");
    Ok(())
}

fn records_are_found_by_the_beginning_of_their_keys<S: Store>(
    store: &mut S,
) -> Result<(), StoreError> {
    let keys: [&[u8]; 8] =
        [b"a", b"aa", b"ab\x01", b"ab\xff", b"ab\xff\xff\x01", b"ac", b"\xff", b"\xff\xff\x02"];
    for key in keys.iter().rev() {
        store.put(Table::Prekey, key, None, key)?;
    }
    store.put(Table::Place, b"ab\x02", None, b"another table")?;
    let rests = |prefix: &[u8], max| {
        let found = store.scan(Table::Prekey, prefix, max)?;
        let whole = |record: &Record| [prefix, &record.rest].concat() == record.value;
        assert!(found.iter().all(whole), "{found:?}");
        Ok::<_, StoreError>(found.into_iter().map(|record| record.rest).collect::<Vec<_>>())
    };
    assert_eq!(rests(b"ab", 10)?, [&b"\x01"[..], b"\xff", b"\xff\xff\x01"]);
    assert_eq!(rests(b"ab", 2)?, [&b"\x01"[..], b"\xff"]);
    assert_eq!(rests(b"\xff", 10)?, [&b""[..], b"\xff\x02"]);
    assert_eq!(rests(b"\xff\xff", 10)?, [b"\x02"]);
    assert_eq!(rests(b"", 100)?.len(), 8);
    assert_eq!(rests(b"b", 10)?.len(), 0);
    assert_eq!(rests(b"a", 0)?.len(), 0);
    Ok(())
}

fn a_table_has_nothing_of_another<S: Store>(store: &mut S) -> Result<(), StoreError> {
    const ALL: [Table; 12] = [
        Table::Invitation,
        Table::Name,
        Table::Member,
        Table::GroupName,
        Table::Pair,
        Table::Place,
        Table::Former,
        Table::Leave,
        Table::Prekey,
        Table::GivenPrekey,
        Table::LastResort,
        Table::Retention,
    ];
    for (value, table) in (0_u8..).zip(ALL) {
        store.put(table, b"k", None, &[value])?;
    }
    for (value, table) in (0_u8..).zip(ALL) {
        let record = Record { rest: Vec::new(), value: vec![value] };
        assert_eq!(store.scan(table, b"k", 10)?, [record], "{table:?}");
    }
    Ok(())
}

fn a_refused_write_leaves_the_batch_as_it_was<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let tail = Writer::new(store, LOG).message(b"a")?;
    is_conflict(&store.append(&LOG, Seq(0), &entry(b"b", tail.log_hash, None)), "not the tail");
    store.put(Table::Name, b"k", None, b"v")?;
    store.flush()?;
    store.rollback()?;
    assert_eq!(store.tail(&LOG)?, Some(tail));
    assert_eq!(store.get(Table::Name, b"k")?.as_deref(), Some(&b"v"[..]));
    Ok(())
}

fn a_rollback_forgets_the_batch_and_no_more<S: Store>(store: &mut S) -> Result<(), StoreError> {
    let kept = write_some(store, b"kept", 0)?;
    store.flush()?;
    write_some(store, b"lost", 1)?;
    store.rollback()?;
    has_only(store, b"kept", kept)?;
    let again = write_some(store, b"lost", 1)?;
    assert!(again.seq > kept.seq, "what was taken back can be written again");
    store.flush()
}

fn what_was_flushed_outlives_a_crash_and_nothing_else_does<S: Store>(
    mut store: S,
    crash: &mut impl FnMut(S) -> S,
) -> Result<(), StoreError> {
    store.flush()?;
    let kept = write_some(&mut store, b"kept", 0)?;
    store.flush()?;
    let staged = write_some(&mut store, b"lost", 1)?;
    assert_eq!(store.tail(&LOG)?, Some(staged), "what is staged is seen");
    assert_eq!(store.get(Table::Name, b"lost")?.as_deref(), Some(&b"v"[..]));
    assert_eq!(store.recorded(1, 10)?.len(), 1);
    let mut store = crash(store);
    has_only(&store, b"kept", kept)?;
    write_some(&mut store, b"lost", 1)?;
    store.flush()
}

fn a_crash_after_many_batches_loses_none<S: Store>(
    mut store: S,
    crash: &mut impl FnMut(S) -> S,
) -> Result<(), StoreError> {
    let mut tail = None;
    for batch in 0..10_u8 {
        for text in 0..20_u8 {
            tail = Some(Writer::new(&mut store, LOG).message(&[batch, text])?);
        }
        store.flush()?;
        store = crash(store);
    }
    assert_eq!(store.tail(&LOG)?, tail);
    let all = store.read(&LOG, Seq(0), Which::All, PLENTY)?.entries;
    assert_eq!(all.len(), 200);
    let bytes = |body: &Body| body.clone().whole().ok();
    assert!(all.is_sorted_by(|one, next| one.0 < next.0 && bytes(&one.1) < bytes(&next.1)));
    Ok(())
}

/// One write of each kind under a common name.
fn write_some<S: Store>(store: &mut S, name: &[u8], index: u64) -> Result<Place, StoreError> {
    let place = Writer::new(store, LOG).commit(name, index.saturating_add(1))?;
    store.record(index, UnixMillis(1), name)?;
    store.put(Table::Name, name, None, b"v")?;
    Ok(place)
}

fn has_only<S: Store>(store: &S, name: &[u8], tail: Place) -> Result<(), StoreError> {
    assert_eq!(store.tail(&LOG)?, Some(tail));
    assert_eq!(store.find(&LOG, NEAR, &sha256(b"lost"))?, None);
    assert_eq!(store.commit(&LOG, Epoch(2))?, None);
    let read = store.read(&LOG, Seq(0), Which::All, PLENTY)?;
    assert_eq!(read, page(&[(tail.seq, name)], true));
    assert_eq!(store.recorded(0, 10)?, [Recorded { time: UnixMillis(1), entry: name.to_vec() }]);
    assert_eq!(store.get(Table::Name, name)?.as_deref(), Some(&b"v"[..]));
    assert_eq!(store.get(Table::Name, b"lost")?, None);
    Ok(())
}

/// Appends to one log as the relay does.
struct Writer<'a, S> {
    store: &'a mut S,
    log: GroupId,
}

impl<'a, S: Store> Writer<'a, S> {
    const fn new(store: &'a mut S, log: GroupId) -> Self {
        Self { store, log }
    }

    fn message(&mut self, bytes: &[u8]) -> Result<Place, StoreError> {
        self.append(bytes, None)
    }

    fn commit(&mut self, bytes: &[u8], epoch: u64) -> Result<Place, StoreError> {
        self.append(bytes, Some(leads_to(epoch)))
    }

    /// A message that somebody brought at a time, both of this number.
    fn brought(&mut self, bytes: &[u8], number: u8, lasts: bool) -> Result<Place, StoreError> {
        let origin = Origin { author: person(number), time: UnixMillis(number.into()), lasts };
        let tail = self.tail()?;
        let entry = NewEntry { origin, ..entry(bytes, tail.log_hash, None) };
        self.store.append(&self.log, tail.seq, &entry)
    }

    /// A message like no other in the log: its place goes before the bytes.
    fn numbered(&mut self, bytes: &[u8]) -> Result<Place, StoreError> {
        let at = self.tail()?.seq.0.to_be_bytes();
        self.brought(&[&at[..], bytes].concat(), 1, false)
    }

    fn append(&mut self, bytes: &[u8], commit: Option<CommitPoint>) -> Result<Place, StoreError> {
        let tail = self.tail()?;
        self.store.append(&self.log, tail.seq, &entry(bytes, tail.log_hash, commit))
    }

    fn tail(&self) -> Result<Place, StoreError> {
        let start = Place { seq: Seq(0), log_hash: log_hash_start(&self.log) };
        Ok(self.store.tail(&self.log)?.unwrap_or(start))
    }
}

/// As [`NewEntry::near`] of every entry.
const NEAR: u64 = (1 << 32) | 7;

const fn person(number: u8) -> Fingerprint {
    Fingerprint([number; 32])
}

fn entry(bytes: &[u8], before: Digest, commit: Option<CommitPoint>) -> NewEntry<'_> {
    let origin = Origin { author: person(1), time: UnixMillis(1), lasts: false };
    NewEntry { near: NEAR, hash: sha256(bytes), before, commit, origin, bytes }
}

fn leads_to(epoch: u64) -> CommitPoint {
    CommitPoint { epoch: Epoch(epoch), interim: sha256(&epoch.to_be_bytes()) }
}

fn page(entries: &[(Seq, &[u8])], complete: bool) -> Page {
    let entries = entries.iter().map(|(seq, bytes)| (*seq, Body::Whole(bytes.to_vec()))).collect();
    Page { entries, complete }
}

fn is_conflict<T>(result: &Result<T, StoreError>, what: &str) {
    assert!(matches!(result, Err(StoreError::Conflict(_))), "not refused: {what}");
}
