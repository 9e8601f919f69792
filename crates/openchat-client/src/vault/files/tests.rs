use super::*;
use crate::vault::Unlock;
use openchat_engine::{Body, Change, StoredMessage, Trust};
use tempfile::{TempDir, tempdir};

const OPS: GroupId = GroupId([9; 32]);
const PUB: GroupId = GroupId([8; 32]);
const ID: MessageId = MessageId([7; 16]);
const ALICE: u8 = 1;
const MALLORY: u8 = 2;
const ME: u8 = 3;

fn vault() -> (TempDir, Vault) {
    let place = tempdir().unwrap();
    let vault = Vault::open(place.path()).unwrap();
    (place, vault)
}

fn of(who: u8, id: MessageId) -> MessageRef {
    MessageRef { author: Fingerprint([who; 32]), id }
}

fn named(name: &str) -> Offer {
    Offer { name: name.to_owned(), size: 0, hash: openchat_crypto::sha256(b"") }
}

fn offers(vault: &mut Vault, group: GroupId, seq: u64, who: u8, (id, name): (MessageId, &str)) {
    let message = StoredMessage {
        group,
        target: "#ops".to_owned(),
        seq: Seq(seq),
        id,
        sender: if who == MALLORY { "mallory" } else { "alice" }.parse().unwrap(),
        fingerprint: Fingerprint([who; 32]),
        trust: Trust::Certified,
        time: UnixMillis(seq),
        body: Body::File(named(name)),
        own: who == ME,
    };
    vault.apply(&[Change::Message(message)], Survive::Kill).unwrap();
}

fn names(files: &[KeptFile]) -> Vec<&str> {
    files.iter().map(|file| &*file.offer.name).collect()
}

/// How SQLite finds what a question asks for.
fn plan(vault: &Vault, question: &str) -> String {
    let mut plan = vault.database.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
    for parameter in 1..=plan.parameter_count() {
        plan.raw_bind_parameter(parameter, [0_u8; 32]).unwrap();
    }
    let mut rows = plan.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get::<_, String>(3).unwrap());
    }
    lines.join("\n")
}

#[test]
fn m18_a_file_is_found_by_its_group_and_author_and_not_by_its_id_alone() {
    let (_place, mut vault) = vault();
    offers(&mut vault, PUB, 1, MALLORY, (ID, "elsewhere"));
    offers(&mut vault, OPS, 2, MALLORY, (ID, "before"));
    offers(&mut vault, OPS, 3, ALICE, (ID, "report"));
    let found = vault.file(Some(&OPS), &of(ALICE, ID)).unwrap().unwrap();
    assert_eq!(found.offer.name, "report");
    assert_eq!(vault.file(Some(&PUB), &of(ALICE, ID)).unwrap(), None);
    assert_eq!(vault.file(None, &of(ALICE, ID)).unwrap(), None, "it is none of one's own");
    // Who knows only the id learns that there are several, and where.
    let called = vault.files_called(ID).unwrap();
    assert_eq!(names(&called), ["elsewhere", "before", "report"]);
    assert_eq!(called.iter().filter(|file| file.offered_in == Some(OPS)).count(), 2);
    assert_eq!(vault.last_file(&PUB).unwrap().unwrap().offer.name, "elsewhere");
    assert_eq!(names(&vault.files(Some(&OPS)).unwrap()), ["before", "report"]);
}

#[test]
fn one_s_own_file_stands_where_its_message_does() {
    let (_place, mut vault) = vault();
    vault.begin_file(&of(ME, ID), &named("mine")).unwrap();
    assert_eq!(vault.file(None, &of(ME, ID)).unwrap().unwrap().offered_in, None);
    offers(&mut vault, OPS, 1, ME, (ID, "mine"));
    offers(&mut vault, OPS, 2, ALICE, (ID, "hers"));
    let mine = vault.file(None, &of(ME, ID)).unwrap().unwrap();
    assert_eq!((mine.group, mine.offered_in), (None, Some(OPS)));
    assert_eq!(names(&vault.files(Some(&OPS)).unwrap()), ["mine", "hers"]);
    assert_eq!(names(&vault.files(None).unwrap()), ["mine", "hers"]);
    assert!(vault.files(Some(&PUB)).unwrap().is_empty());
    assert_eq!(vault.last_file(&OPS).unwrap().unwrap().offer.name, "hers", "not one's own");
    assert_eq!(vault.unoffered_files().unwrap(), []);
}

/// What a member offers must not make each look at a file cost a walk through all messages.
#[test]
fn no_question_about_a_file_walks_the_messages() {
    let (_place, vault) = vault();
    let last = format!("{} ORDER BY m.row DESC LIMIT 1", of_others(THERE));
    for question in [
        &*of_others(NAMED),
        &of_one_s_own(OWN_NAMED),
        &of_others(STILL_COMING),
        &listed(CALLED, CALLED),
        &listed(THERE, OWN_THERE),
        &last,
        UNOFFERED,
    ] {
        let plan = plan(&vault, question);
        assert!(!plan.contains("SCAN m") && !plan.contains("SCAN f"), "{question}\n{plan}");
        assert!(!plan.contains("AUTOMATIC"), "{question}\n{plan}");
    }
    // The whole list is as long as it is, but each file's message is looked up.
    let all = plan(&vault, &listed("TRUE", "TRUE"));
    assert!(!all.contains("SCAN m") && !all.contains("AUTOMATIC"), "{all}");
}

#[test]
fn a_vault_without_the_later_indexes_gets_them_when_it_is_opened() {
    let (place, mut vault) = vault();
    offers(&mut vault, OPS, 1, ALICE, (ID, "report"));
    let without =
        "DROP INDEX files_by_id; DROP INDEX files_coming; DROP INDEX messages_with_own_files";
    vault.database.execute_batch(without).unwrap();
    // Who only looks does without.
    let look = Vault::look_with(place.path(), &Unlock::alone()).unwrap().unwrap();
    assert_eq!(names(&look.files_called(ID).unwrap()), ["report"]);
    drop(look);
    drop(vault);
    let vault = Vault::open(place.path()).unwrap();
    assert!(plan(&vault, &listed(CALLED, CALLED)).contains("files_by_id"));
}
