use super::*;

const TO: MessageRef = MessageRef { author: Fingerprint([0xaa; 32]), id: MessageId([0xbb; 16]) };

fn offer() -> Offer {
    Offer { name: "a.txt".to_owned(), size: 300, hash: Digest([0xcc; 32]) }
}

/// Every kind, with its bytes as another implementation would write them from `docs/protocol.md`.
fn known() -> Vec<(Body, u16, Vec<u8>)> {
    let reference = [vec![0xaa; 32], vec![0xbb; 16]].concat();
    let id = vec![0xbb; 16];
    vec![
        (Body::Text("hi".to_owned()), 1, b"hi".to_vec()),
        (
            Body::Reply { to: TO, text: "yes".to_owned() },
            5,
            [reference.clone(), b"\x03yes".to_vec()].concat(),
        ),
        (
            Body::Reaction { to: TO, emoji: "👍".to_owned(), on: true },
            6,
            [reference.clone(), b"\x04\xf0\x9f\x91\x8d\x01".to_vec()].concat(),
        ),
        (
            Body::Reaction { to: TO, emoji: "+".to_owned(), on: false },
            6,
            [reference, b"\x01+\x00".to_vec()].concat(),
        ),
        (
            Body::Edit { of: TO.id, text: "no".to_owned() },
            7,
            [id.clone(), b"\x02no".to_vec()].concat(),
        ),
        (Body::Delete { of: TO.id }, 8, id),
        (Body::Action("waves".to_owned()), 9, b"\x05waves".to_vec()),
        (Body::Topic(String::new()), 10, vec![0]),
        (Body::Topic("tea".to_owned()), 10, b"\x03tea".to_vec()),
        (Body::File(offer()), 11, [b"\x05a.txt\xac\x02".to_vec(), vec![0xcc; 32]].concat()),
        (Body::Timer(None), 13, vec![0]),
        (Body::Timer(Some(Duration::from_hours(1))), 13, vec![0x90, 0x1c]),
    ]
}

#[test]
fn every_kind_is_written_as_the_protocol_says_and_read_back() {
    for (body, kind, bytes) in known() {
        assert_eq!((body.kind(), body.to_bytes()), (kind, bytes.clone()), "{body:?}");
        assert_eq!(Body::from_bytes(kind, &bytes), Ok(body));
    }
}

#[test]
fn m9_a_body_cut_or_prolonged_anywhere_is_none() {
    for (body, kind, bytes) in known().into_iter().filter(|(_, kind, _)| *kind != 1) {
        for end in 0..bytes.len() {
            assert!(Body::from_bytes(kind, &bytes[..end]).is_err(), "{body:?} cut at {end}");
        }
        let longer = [bytes, vec![0]].concat();
        let error = BodyError::Encoding(DecodeError::NotCanonical);
        assert_eq!(Body::from_bytes(kind, &longer), Err(error), "{body:?}");
    }
}

#[test]
fn m9_a_body_changed_anywhere_is_none_or_another_one() {
    for (body, kind, bytes) in known() {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let read = Body::from_bytes(kind, &changed);
                assert_ne!(read, Ok(body.clone()), "{at} {bit}");
                if let Ok(read) = read {
                    assert_eq!(read.to_bytes(), changed, "{body:?} {at} {bit}");
                }
            }
        }
    }
}

#[test]
fn m10_what_a_later_version_says_is_kept_byte_for_byte() {
    for kind in [0, 14, u16::MAX] {
        let unknown = Body::from_bytes(kind, b"\xff\x00later").unwrap();
        assert_eq!((unknown.kind(), unknown.to_bytes()), (kind, b"\xff\x00later".to_vec()));
        assert_eq!(unknown.check(), Err(BodyError::Kind), "and is not said by this one");
    }
    for kind in [2, 3, 4, 12] {
        assert_eq!(Body::from_bytes(kind, b""), Err(BodyError::Kind), "{kind} is not for people");
    }
}

#[test]
fn m9_texts_have_their_limit_and_but_for_a_plain_one_a_beginning() {
    let (most, more) = ("x".repeat(MAX_TEXT), "x".repeat(MAX_TEXT + 1));
    let all = |text: &str| {
        let text = text.to_owned();
        [
            Body::Text(text.clone()),
            Body::Action(text.clone()),
            Body::Reply { to: TO, text: text.clone() },
            Body::Edit { of: TO.id, text },
        ]
    };
    for body in all(&most) {
        assert_eq!(Body::from_bytes(body.kind(), &body.to_bytes()), Ok(body));
    }
    for body in all(&more) {
        let error = Err(BodyError::TooLong { len: MAX_TEXT + 1 });
        assert_eq!(body.check(), error);
        assert_eq!(Body::from_bytes(body.kind(), &body.to_bytes()), error.map(|()| body));
    }
    let empty = all("").map(|body| body.check());
    assert_eq!(
        empty,
        [Ok(()), Err(BodyError::Empty), Err(BodyError::Empty), Err(BodyError::Empty)]
    );
    assert_eq!(Body::from_bytes(1, &[0xff]), Err(BodyError::NotUtf8));
}

#[test]
fn m9_a_reaction_is_one_character_as_people_see_it() {
    let reaction =
        |emoji: &str| Body::Reaction { to: TO, emoji: emoji.to_owned(), on: true }.check();
    let kiss = "👩🏻\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👩🏿";
    for fine in ["+", "ß", "👍", "👍🏽", "🇨🇭", "👨\u{200d}👩\u{200d}👧\u{200d}👦", kiss, "e\u{301}"]
    {
        assert_eq!(reaction(fine), Ok(()), "{fine}");
    }
    let zalgo = format!("e{}", "\u{301}".repeat(40));
    for wrong in ["", "ok", "👍👍", "\n", " ", "\u{202e}", "\u{7}", &zalgo] {
        assert_eq!(reaction(wrong), Err(BodyError::Emoji), "{wrong:?}");
    }
}

#[test]
fn m9_a_topic_is_a_line_that_does_nothing() {
    let topic = |topic: &str| Body::Topic(topic.to_owned()).check();
    for fine in ["", "Lunch at 12", &"é".repeat(MAX_TOPIC), "שלום"] {
        assert_eq!(topic(fine), Ok(()), "{fine}");
    }
    for wrong in [&*"é".repeat(MAX_TOPIC + 1), "a\nb", "a\u{2028}b", "\u{1b}[2J", "a\u{202e}b"] {
        assert_eq!(topic(wrong), Err(BodyError::Topic), "{wrong:?}");
    }
}

#[test]
fn m9_a_timer_is_of_whole_seconds_from_some_minutes_to_a_year() {
    let timer = |time| Body::Timer(Some(time)).check();
    assert_eq!((timer(MIN_TIMER), timer(MAX_TIMER)), (Ok(()), Ok(())));
    let second = Duration::from_secs(1);
    for wrong in [
        Duration::ZERO,
        second,
        MIN_TIMER.checked_sub(second).unwrap(),
        MAX_TIMER + second,
        MIN_TIMER + Duration::from_millis(500),
    ] {
        assert_eq!(timer(wrong), Err(BodyError::Timer), "{wrong:?}");
    }
    for seconds in [1, u64::MAX] {
        assert_eq!(Body::from_bytes(13, &encode(&seconds)), Err(BodyError::Timer));
    }
}

#[test]
fn m13_a_file_has_a_plain_name_and_a_size_within_the_limit() {
    let named = |name: &str| Body::File(Offer { name: name.to_owned(), ..offer() }).check();
    for fine in ["a", ".bashrc", "-rf", "ähm.tar.gz", "a b", "…", &"x".repeat(255)] {
        assert_eq!(named(fine), Ok(()), "{fine}");
    }
    let wrong = [
        "",
        ".",
        "..",
        "/",
        "a/b",
        "../a",
        "a\\b",
        "a\0b",
        "a\nb",
        " a",
        "a ",
        "photo\u{202e}gnp.exe",
        "a\u{feff}b",
        "\u{85}",
        &"x".repeat(256),
        &"é".repeat(128),
    ];
    for wrong in wrong {
        assert_eq!(named(wrong), Err(BodyError::Name), "{wrong:?}");
    }
    let sized = |size| Body::File(Offer { size, ..offer() }).check();
    assert_eq!(sized(MAX_FILE), Ok(()));
    assert_eq!(sized(MAX_FILE + 1), Err(BodyError::Size(MAX_FILE + 1)));
}

#[test]
fn m13_no_name_and_no_topic_has_what_nobody_sees() {
    for unseen in
        ['\u{ad}', '\u{200b}', '\u{2060}', '\u{206a}', '\u{206f}', '\u{e0041}', '\u{3164}']
    {
        let name = format!("a{unseen}b");
        assert_eq!(Body::Topic(name.clone()).check(), Err(BodyError::Topic), "{name:?}");
        assert_eq!(Offer::clean_name(&name), "a_b");
        let offer = Offer { name, ..offer() };
        assert_eq!(Body::File(offer).check(), Err(BodyError::Name), "{unseen:?}");
    }
    // Joiners belong to words and to emoji; a flag of a region is one sign all the same.
    for fine in ["می\u{200c}خواهم", "👩\u{200d}💻"] {
        assert_eq!(Body::Topic(fine.to_owned()).check(), Ok(()), "{fine:?}");
        assert_eq!(Offer::clean_name(fine), fine);
    }
    let emoji = "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}".to_owned();
    assert_eq!(Body::Reaction { to: TO, emoji, on: true }.check(), Ok(()));
}

#[test]
fn m13_whatever_a_file_is_called_a_plain_name_comes_of_it() {
    let clean = |name: &str| Offer::clean_name(name);
    assert_eq!(clean("/home/alice/photo.jpg"), "photo.jpg");
    assert_eq!(clean("C:\\Users\\photo.jpg"), "photo.jpg");
    assert_eq!(clean("two\nlines"), "two_lines");
    assert_eq!(clean("photo\u{202e}gnp.exe"), "photo_gnp.exe");
    assert_eq!(clean(&"é".repeat(200)), "é".repeat(127));
    for nothing in ["", "/", "..", "a/..", "   ", "/\u{20}"] {
        assert_eq!(clean(nothing), "file", "{nothing:?}");
    }
}

#[test]
fn a_file_comes_in_as_many_parts_as_its_size_says() {
    let part = u64::try_from(FILE_CHUNK).unwrap();
    for (size, parts) in [(0, 0), (1, 1), (part, 1), (part + 1, 2), (MAX_FILE, 512)] {
        assert_eq!(chunks(size), parts, "{size}");
        let sum: u64 = (0..parts + 2).map(|index| chunk_len(size, index)).sum();
        assert_eq!(sum, size, "the parts are all of it, and behind them is nothing");
    }
}

proptest::proptest! {
    #[test]
    fn m9_whatever_is_read_is_written_as_the_same_bytes(kind in 0_u16..16, bytes: Vec<u8>) {
        if let Ok(body) = Body::from_bytes(kind, &bytes) {
            proptest::prop_assert_eq!(body.to_bytes(), bytes);
        }
    }

    #[test]
    fn m13_a_clean_name_is_always_a_name(name: String) {
        let clean = Offer::clean_name(&name);
        proptest::prop_assert_eq!(Body::File(Offer { name: clean, ..offer() }).check(), Ok(()));
    }
}
