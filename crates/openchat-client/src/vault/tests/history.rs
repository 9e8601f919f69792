//! History, search, retention.

use super::*;
use std::time::Duration;

fn said(seq: u64, sender: &str, text: &str) -> StoredMessage {
    let time = UnixMillis(seq * 1000);
    let sender = sender.parse().unwrap();
    StoredMessage {
        sender,
        body: Body::Text(text.to_owned()),
        time,
        own: false,
        ..message(GROUP, seq)
    }
}

fn vault_with(place: &TempDir, messages: &[StoredMessage]) -> Vault {
    let mut vault = Vault::open(place.path()).unwrap();
    let changes: Vec<_> = messages.iter().cloned().map(Change::Message).collect();
    vault.apply(&changes, Survive::PowerCut).unwrap();
    vault
}

fn seqs(messages: Result<Vec<StoredMessage>, VaultError>) -> Vec<u64> {
    messages.unwrap().iter().map(|message| message.seq.0).collect()
}

fn found(vault: &Vault, words: &[&str]) -> Vec<u64> {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    seqs(vault.search(&Search { words, group: None, sender: None, limit: 100 }))
}

#[test]
fn history_comes_in_the_order_of_the_log_and_in_pages() {
    let place = place();
    let vault = vault_with(&place, &[2, 1, 5, 3].map(|seq| said(seq, "bob", "x")));
    let newest = |range, limit| seqs(vault.newest(&GROUP, &range, limit));
    assert_eq!(newest(Range::ALL, 9), [1, 2, 3, 5]);
    assert_eq!(newest(Range::ALL, 2), [3, 5]);
    assert_eq!(newest(Range { before: Some(Seq(3)), ..Range::ALL }, 9), [1, 2]);
    assert_eq!(newest(Range { before: Some(Seq(0)), ..Range::ALL }, 9), [0; 0]);
    assert_eq!(newest(Range { after: Some(Seq(3)), ..Range::ALL }, 9), [5]);
    assert_eq!(newest(Range { after: Some(Seq(u64::MAX)), ..Range::ALL }, 9), [0; 0]);
    assert_eq!(newest(Range { since: UnixMillis(2000), ..Range::ALL }, 9), [2, 3, 5]);
    assert_eq!(newest(Range { until: Some(UnixMillis(2000)), ..Range::ALL }, 9), [1]);
    assert_eq!(seqs(vault.oldest(&GROUP, &Range::ALL, 2)), [1, 2]);
    assert_eq!(seqs(vault.oldest(&GroupId([1; 32]), &Range::ALL, 2)), [0; 0]);
    assert_eq!(vault.kept_conversations().unwrap(), [(GROUP, "#general".to_owned())]);
}

#[test]
fn words_are_found_as_people_mean_them() {
    let place = place();
    let vault = vault_with(
        &place,
        &[
            said(1, "bob", "Deploy of rel-2.4, see https://wiki.acme/rel-2.4?x=1"),
            said(2, "carol", "go. José grüßt die café-Leute"),
            said(3, "bob", "明日東京に行きます"),
            said(4, "bob", "done 👍🏽 deployed"),
            said(5, "bob", "พรุ่งนี้ไปกรุงเทพ snake_case_name O'Brien"),
            said(6, "bob", "한국어 문장입니다"),
        ],
    );
    for (words, expected) in [
        (&["deploy"][..], &[1, 4][..]),
        (&["DEPLOY", "of"], &[1]),
        (&["deploy rel"], &[]),
        (&["deploy of rel"], &[1]),
        (&["https://wiki.acme/rel-2.4"], &[1]),
        (&["wiki.acme"], &[1]),
        (&["2.4"], &[1]),
        (&["jose"], &[2]),
        (&["CAFÉ"], &[2]),
        (&["grusst"], &[]),
        (&["grüßt"], &[2]),
        (&["東京"], &[3]),
        (&["京東"], &[]),
        (&["行き"], &[3]),
        (&["👍"], &[4]),
        (&["กรุงเทพ"], &[5]),
        (&["snake_case"], &[5]),
        (&["o'brien"], &[5]),
        (&["한국"], &[6]),
        (&["!!!"], &[]),
        (&[], &[]),
        (&["\"", "deploy"], &[1, 4]),
        (&["NOT", "deploy"], &[]),
        (&["x* OR 1"], &[]),
    ] {
        assert_eq!(found(&vault, words), expected, "{words:?}");
    }
}

#[test]
fn a_search_is_narrowed_and_gives_what_came_last() {
    let place = place();
    let mut messages = [1, 2, 3, 4].map(|seq| said(seq, "bob", "word")).to_vec();
    messages[1].sender = "carol".parse().unwrap();
    messages[3].group = GroupId([8; 32]);
    let vault = vault_with(&place, &messages);
    let all = Search { words: vec!["word".to_owned()], group: None, sender: None, limit: 100 };
    let seqs = |search: &Search| seqs(vault.search(search));
    assert_eq!(seqs(&Search { limit: 2, ..all.clone() }), [3, 4]);
    assert_eq!(seqs(&Search { group: Some(GROUP), ..all.clone() }), [1, 2, 3]);
    assert_eq!(seqs(&Search { sender: Some("carol".parse().unwrap()), ..all.clone() }), [2]);
    let none = Search { group: Some(GroupId([7; 32])), ..all };
    assert_eq!(seqs(&none), [0; 0]);
}

#[test]
fn retention_deletes_what_came_too_long_ago_and_nothing_else() {
    let place = place();
    let other = GroupId([8; 32]);
    let mut messages = vec![said(1, "bob", "gone"), said(2, "bob", "gone")];
    messages.push(StoredMessage { group: other, ..said(1, "bob", "gone") });
    let mut vault = vault_with(&place, &messages);
    let now = crate::outside::now();
    let day = Duration::from_hours(24);
    let after = |days: u64| UnixMillis(now.0 + days * 86_400_000 + 60_000);
    assert_eq!(vault.retention(None).unwrap(), None);
    assert_eq!(vault.set_retention(Some(&GROUP), Some(day), now).unwrap(), 0);
    assert_eq!(vault.set_retention(None, Some(day * 3), now).unwrap(), 0);
    assert_eq!(vault.retention(Some(&GROUP)).unwrap(), Some(day));
    assert_eq!(vault.expire(after(1)).unwrap(), 2, "those of the group");
    assert_eq!(found(&vault, &["gone"]), [1], "that of the other one");
    assert_eq!(vault.expire(after(2)).unwrap(), 0);
    assert_eq!(vault.expire(after(3)).unwrap(), 1);
    assert_eq!(found(&vault, &["gone"]), [0; 0]);
    assert_eq!(vault.set_retention(None, None, now).unwrap(), 0);
    assert_eq!(vault.retention(None).unwrap(), None);
    vault
        .apply(
            &[Change::Message(StoredMessage { group: other, ..said(9, "bob", "kept") })],
            Survive::Kill,
        )
        .unwrap();
    assert_eq!(vault.expire(after(999)).unwrap(), 0, "for ever again");
}

#[test]
fn an_authors_clock_decides_nothing_about_retention() {
    let place = place();
    let late = StoredMessage { time: UnixMillis(u64::MAX), ..said(1, "bob", "x") };
    let early = StoredMessage { time: UnixMillis(0), ..said(2, "bob", "x") };
    let mut vault = vault_with(&place, &[late, early]);
    let now = crate::outside::now();
    let day = Some(Duration::from_hours(24));
    assert_eq!(vault.set_retention(Some(&GROUP), day, now).unwrap(), 0);
    assert_eq!(vault.expire(UnixMillis(now.0 + 90_000_000)).unwrap(), 2);
}

#[test]
fn a_message_that_is_there_twice_is_found_once() {
    let place = place();
    let vault = vault_with(&place, &[said(1, "bob", "one"), said(1, "bob", "two")]);
    assert_eq!((found(&vault, &["one"]), found(&vault, &["two"])), (vec![1], vec![]));
}
