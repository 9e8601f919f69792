//! Commits: who may make them, one for each epoch, names of open groups, heads, pace.

use crate::{
    people::Person,
    support::{World, append, commit, invalid, name, open},
};
use openchat_group::CommitOutcome;
use openchat_pki::Entry;
use openchat_relay::{Publish, Store as _};
use openchat_roster::{CommitEntry, HeadRef, LogEntry};
use openchat_wire::{
    Blob, Digest, GroupId, Seq,
    limits::{
        JOIN_BURST, JOIN_INTERVAL, MAX_COMMIT, MAX_HEAD_AGE, RENEWAL_BURST, RENEWAL_INTERVAL,
    },
    relay::{Answer, Refusal, Request},
};

const AUTHOR: &str = "R1: the author is not the one who sends it";

fn find(world: &mut World, who: &Person, group: &str) -> Result<Answer, Refusal> {
    world.ask(who, &Request::FindGroup(group.parse().unwrap())).answer
}

#[test]
fn a_group_begins_and_its_name_is_logged_in_the_same_step() {
    let mut world = World::new();
    let alice = world.person("alice");
    assert_eq!(find(&mut world, &alice, "general"), Err(Refusal::NotFound));
    let (member, entry) = world.begin(&alice, open("general"));
    let outcome = world.append(&alice, member.log(), &entry);
    assert_eq!(outcome.answer, Ok(Answer::Appended(Seq(1))));
    let [Publish::Entry { log, seq, entry: published }] = &outcome.publish[..] else { panic!() };
    assert_eq!((*log, *seq, &published[..]), (member.log(), Seq(1), &entry.0[..]));
    assert_eq!(find(&mut world, &alice, "general"), Ok(Answer::Group(member.log())));
    let logged = world.relay.store().recorded(1, 10).unwrap();
    let named = Entry::GroupName { name: "general".parse().unwrap(), group: member.log() };
    assert_eq!(Entry::decode(&logged[0].entry).unwrap(), named);
    assert_eq!(world.head().size, 2);
}

#[test]
fn of_two_groups_with_one_name_the_first_has_it() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let (first, entry) = world.begin(&alice, open("general"));
    let (second, late) = world.begin(&bob, open("general"));
    // In one batch, as when they come at once.
    let won = world.relay.handle(&alice.identity, &append(first.log(), &entry), world.now);
    let lost = world.relay.handle(&bob.identity, &append(second.log(), &late), world.now);
    world.relay.flush().unwrap();
    assert_eq!(won.answer, Ok(Answer::Appended(Seq(1))));
    assert_eq!(lost.answer, Err(Refusal::NameTaken(first.log())));
    assert_eq!(world.refusal(&bob, second.log(), &late), Refusal::NameTaken(first.log()));
    assert_eq!(world.relay.store().tail(&second.log()).unwrap(), None);
}

#[test]
fn a_closed_group_is_registered_nowhere() {
    let mut world = World::new();
    let alice = world.person("alice");
    let size = world.head().size;
    world.closed_group(&alice);
    assert_eq!(world.head().size, size);
}

#[test]
fn a_commit_is_its_authors_alone_to_send() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let (member, entry) = world.begin(&alice, open("general"));
    assert_eq!(world.refusal(&bob, member.log(), &entry), invalid(AUTHOR));
    world.place(&alice, member.log(), &entry);
    assert_eq!(world.refusal(&bob, member.log(), &entry), invalid(AUTHOR), "nor again");
}

#[test]
fn a_newcomer_goes_by_its_certified_name() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mut liar = alice.clone();
    liar.identity.name = name("admin");
    let (member, entry) = world.begin(&liar, open("general"));
    let check = invalid("R2: the name is not the certified one");
    assert_eq!(world.refusal(&alice, member.log(), &entry), check);

    let group = world.open_group(&alice, "general");
    let bob = world.person("bob");
    let mut liar = bob.clone();
    liar.identity.name = name("admin");
    let (_, entry) = world.prepare_join(&liar, group.log());
    assert_eq!(world.refusal(&bob, group.log(), &entry), check);
}

#[test]
fn a_group_id_that_is_not_the_hash_of_its_creation_is_refused() {
    let mut world = World::new();
    let alice = world.person("alice");
    let (_, entry) = world.begin(&alice, open("general"));
    let Refusal::Invalid(check) = world.refusal(&alice, GroupId([7; 32]), &entry) else { panic!() };
    assert!(check.starts_with("C2") || check.starts_with("C14"), "{check}");
}

#[test]
fn the_same_bytes_get_the_same_answer_and_no_second_entry() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let (member, create) = world.begin(&alice, open("general"));
    let log = member.log();
    world.place(&alice, log, &create);
    let (_, join) = world.prepare_join(&bob, log);
    world.place(&bob, log, &join);
    for _ in 0..2 {
        let before = world.entries(log);
        let outcome = world.append(&alice, log, &create);
        assert_eq!(outcome.answer, Ok(Answer::Appended(Seq(1))));
        assert!(outcome.publish.is_empty(), "nobody hears of it again");
        assert_eq!(world.append(&bob, log, &join).answer, Ok(Answer::Appended(Seq(2))));
        assert_eq!(world.entries(log), before);
        assert_eq!(world.head().size, 3, "alice, the name, bob");
        world = world.crash();
    }
}

#[test]
fn one_of_many_commits_wins_an_epoch_and_the_others_get_it() {
    let mut world = World::new();
    let alice = world.person("alice");
    let log = world.open_group(&alice, "general").log();
    let people: Vec<Person> = (0..8).map(|n| world.person(&format!("p{n}"))).collect();
    let joins: Vec<_> = people.iter().map(|person| world.prepare_join(person, log)).collect();
    let (_, winner) = &joins[0];
    assert_eq!(world.place(&people[0], log, winner), Seq(2));
    let conflict = Refusal::Conflict { seq: Seq(2), entry: winner.clone() };
    for (member, entry) in &joins[1..] {
        assert_eq!(world.refusal(&member.person, log, entry), conflict);
    }
    for (member, _) in joins.into_iter().skip(1) {
        world.join(&member.person, log);
    }
    assert_eq!(world.entries(log).entries.len(), 9);
}

#[test]
fn another_create_of_the_same_group_meets_the_first() {
    let mut world = World::new();
    let alice = world.person("alice");
    let (member, entry) = world.begin(&alice, open("general"));
    world.place(&alice, member.log(), &entry);
    let again = with_another_tag(&alice, &entry);
    let conflict = Refusal::Conflict { seq: Seq(1), entry };
    assert_eq!(world.refusal(&alice, member.log(), &again), conflict);
}

/// The same commit under a tag that no member would believe, properly signed: to the relay it is
/// as good as any.
fn with_another_tag(author: &Person, entry: &Blob) -> Blob {
    let mut commit = commit(&entry.0).unwrap();
    commit.tag.0[0] ^= 1;
    let signed = CommitEntry::signed_bytes(&commit.commit, &commit.tag);
    commit.signature = author.key.sign(openchat_crypto::Label::Commit, &signed);
    Blob(LogEntry::Commit(commit).to_bytes())
}

#[test]
fn a_commit_ahead_of_the_log_or_on_another_history_is_refused() {
    let mut world = World::new();
    let alice = world.person("alice");
    let (member, entry) = world.begin(&alice, open("general"));
    let log = member.log();
    world.place(&alice, log, &entry);
    let member = world.synced(member);
    let (member, first) = world.prepare_update(member);
    let other = with_another_tag(&alice, &first);
    // A member that a liar has shown another first update.
    let mut misled = member;
    let CommitOutcome::Valid { .. } = misled.group.commit(&commit(&other.0).unwrap(), &()) else {
        panic!()
    };
    let head = world.head_ref();
    let rejoin =
        misled.group.rejoin(&alice.author(head), Vec::new(), &mut world.rng).unwrap().entry.clone();
    let check = invalid("C3: not based on the last commit");
    assert_eq!(world.refusal(&alice, log, &rejoin), check, "ahead");
    world.place(&alice, log, &first);
    assert_eq!(world.refusal(&alice, log, &rejoin), check, "another history");
}

#[test]
fn outsiders_change_nothing_and_cannot_tell_which_groups_exist() {
    let mut world = World::new();
    let (alice, mallory) = (world.person("alice"), world.person("mallory"));
    let closed = world.closed_group(&alice).log();
    let open = world.open_group(&mallory, "mallory-s");
    let (open, update) = world.prepare_update(open);
    let eve = world.person("eve");
    let (_, join) = world.prepare_join(&eve, open.log());
    for log in [closed, GroupId([9; 32])] {
        assert_eq!(world.refusal(&mallory, log, &update), Refusal::NoAccess);
        assert_eq!(world.refusal(&eve, log, &join), Refusal::NoAccess);
    }
    assert_eq!(world.refusal(&eve, open.log(), &update), invalid(AUTHOR));
}

#[test]
fn a_bad_signature_is_refused_by_the_name_of_the_check() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let log = world.open_group(&alice, "general").log();
    let (_, entry) = world.prepare_join(&bob, log);
    let mut forged = commit(&entry.0).unwrap();
    forged.tag.0[31] ^= 1;
    let forged = Blob(LogEntry::Commit(forged).to_bytes());
    assert_eq!(world.refusal(&bob, log, &forged), invalid("C7: not signed by its author"));
}

#[test]
fn heads_are_this_logs_and_not_older_than_ten_minutes() {
    let mut world = World::new();
    let alice = world.person("alice");
    let log = world.open_group(&alice, "general").log();
    let bob = world.person("bob");
    let (_, entry) = world.prepare_join(&bob, log);
    world.wait(MAX_HEAD_AGE * 3);
    world = world.crash();
    assert_eq!(world.head_ref(), head_of(&entry), "the log has not grown: its head is current");

    world.person("carol");
    world.wait(MAX_HEAD_AGE);
    let mut world = world.crash();
    let too_late = {
        world.wait(core::time::Duration::from_millis(1));
        let refusal = world.refusal(&bob, log, &entry);
        world.now.0 -= 1;
        refusal
    };
    assert_eq!(too_late, invalid("R3: the transparency head is unknown or over ten minutes old"));
    world.place(&bob, log, &entry);
}

fn head_of(entry: &Blob) -> HeadRef {
    commit(&entry.0).unwrap().view().unwrap().head
}

#[test]
fn a_group_begins_on_a_head_of_now() {
    let mut world = World::new();
    let alice = world.person("alice");
    let (member, entry) = world.begin(&alice, open("general"));
    world.person("bob");
    world.wait(MAX_HEAD_AGE + core::time::Duration::from_millis(1));
    let refused = invalid("R3: the transparency head is unknown or over ten minutes old");
    assert_eq!(world.refusal(&alice, member.log(), &entry), refused);
}

#[test]
fn a_head_that_the_log_never_had_is_refused() {
    let mut world = World::new();
    let alice = world.person("alice");
    let log = world.open_group(&alice, "general").log();
    let bob = world.person("bob");
    let HeadRef { size, root } = world.head_ref();
    let heads = [
        HeadRef { size, root: Digest([1; 32]) },
        HeadRef { size: size + 1, root },
        HeadRef { size: u64::MAX, root },
    ];
    for head in heads {
        let entry = world.prepare_join_with(&bob, log, head).1;
        let refused = invalid("R3: the transparency head is unknown or over ten minutes old");
        assert_eq!(world.refusal(&bob, log, &entry), refused);
    }
}

#[test]
fn newcomers_come_in_a_burst_and_then_at_a_pace_that_holds_up_nobody_else() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mut member = world.open_group(&alice, "general");
    let log = member.log();
    for n in 0..JOIN_BURST {
        let person = world.person(&format!("p{n}"));
        world.join(&person, log);
    }
    let late = world.person("late");
    let (_, entry) = world.prepare_join(&late, log);
    let wait = u32::try_from(JOIN_INTERVAL.as_millis()).unwrap();
    assert_eq!(world.refusal(&late, log, &entry), Refusal::Paced { retry_ms: wait });

    member = world.update(member);
    let other = world.open_group(&alice, "other").log();
    world.join(&late, other);

    world.wait(JOIN_INTERVAL);
    world.join(&late, log);
    drop(member);
}

#[test]
fn a_member_renews_in_a_burst_and_then_at_a_pace_that_holds_up_nobody_else() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut restless = world.open_group(&alice, "general");
    let log = restless.log();
    let other = world.join(&bob, log);
    for _ in 0..RENEWAL_BURST {
        restless = world.update(restless);
    }
    let (restless, entry) = world.prepare_update(restless);
    let wait = u32::try_from(RENEWAL_INTERVAL.as_millis()).unwrap();
    assert_eq!(world.refusal(&alice, log, &entry), Refusal::Paced { retry_ms: wait });
    world.wait(RENEWAL_INTERVAL);
    world.place(&restless.person, log, &entry);
    world.update(other);
}

#[test]
fn what_is_too_large_or_malformed_is_refused_before_anything_else() {
    let mut world = World::new();
    let alice = world.person("alice");
    let log = world.open_group(&alice, "general").log();
    let (_, entry) = world.begin(&alice, open("other"));
    let huge = Blob(vec![1; MAX_COMMIT + 1_000]);
    assert_eq!(world.refusal(&alice, log, &huge), Refusal::TooLarge);
    let trailing = Blob([&entry.0[..], &[0]].concat());
    for bad in [Blob(Vec::new()), Blob(vec![2, 0]), Blob(entry.0[..99].to_vec()), trailing] {
        let refusal = world.refusal(&alice, log, &bad);
        assert!(matches!(refusal, Refusal::Invalid(_)), "{refusal:?}");
    }
}
