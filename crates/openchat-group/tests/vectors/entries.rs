//! Messages, notices, lies and letters that are refused.

use std::collections::BTreeMap;

use openchat_crypto::{IdentityKey, Secret};
use serde_json::Value;

use crate::{
    file::unhex,
    plain::{
        Op,
        keys::LeafOfAdd,
        letter::{Letter, open},
        make::{Lie, Made, seal},
        member::Effect,
        message::{Content, Header, logged, of_log, padded, sealed},
        notice::{self, Notice},
        prim::ZEROS,
    },
    rejected::{MEMBER, NEWCOMER, Refused, SILENT, STRANGER},
    setting::Setting,
};

struct Forger<'a> {
    setting: &'a mut Setting,
    frozen: &'a BTreeMap<String, Value>,
    all: Vec<Refused>,
}

pub(crate) fn all(setting: &mut Setting, frozen: &BTreeMap<String, Value>) -> Vec<Refused> {
    let mut forger = Forger { setting, frozen, all: Vec::new() };
    forger.places();
    forger.messages();
    forger.notices();
    forger.lies();
    forger.welcomes();
    forger.all
}

impl Forger<'_> {
    fn key(&self, who: usize) -> &IdentityKey {
        &self.setting.people[who].key
    }

    /// The header of the member's next message.
    fn header(&self) -> Header {
        let state = &self.setting.state;
        Header {
            epoch: state.epoch,
            confirmed: state.confirmed[..16].try_into().unwrap(),
            slot: state.slot_of(&self.setting.people[MEMBER].fpr()).unwrap(),
            generation: 1,
            id: [6; 16],
        }
    }

    fn message_key(&self, header: &Header) -> Secret {
        let epoch = self.setting.state.epoch;
        let (message, height) = &self.setting.people[SILENT].messages[&epoch];
        header.key(&self.setting.state.group, message, *height)
    }

    fn plain(&self, header: &Header, signer: usize) -> Vec<u8> {
        let body = b"a text".to_vec();
        let padded = padded(&Content { time: 1_700_000_000_000, kind: 1, body });
        self.plain_of(header, signer, &padded)
    }

    fn plain_of(&self, header: &Header, signer: usize, padded: &[u8]) -> Vec<u8> {
        let of = (&self.setting.state.group, &self.setting.state.confirmed);
        sealed(self.key(signer), of, header, &(0, ZEROS), padded)
    }

    /// The frozen token of an input, or a new one.
    fn token(&self, what: &str, key: &Secret, plain: &[u8]) -> Vec<u8> {
        let Some(frozen) = self.frozen.get(what) else { return seal(key, plain) };
        let token = match frozen["letters"][0]["letter"].as_str() {
            Some(_) => unhex(&frozen["letters"][0]["letter"]),
            None => of_log(&unhex(&frozen["entry"])).unwrap().1,
        };
        assert_eq!(open(key, &token).as_deref(), Some(plain), "the frozen token of {what}");
        token
    }

    fn push_message(
        &mut self,
        check: &'static str,
        what: &'static str,
        header: &Header,
        token: &[u8],
    ) {
        let entry = logged(header, token);
        let heard = self.setting.people[SILENT].clone().hear(&entry);
        assert_eq!(heard.map(|_| ()), Err(check), "{what}");
        self.all.push(Refused::new(check, what, entry));
    }

    /// M1 to M5: the token is a good one.
    fn places(&mut self) {
        let right = self.header();
        let first = self.setting.state.past[0].1;
        let mut fork = right.confirmed;
        fork[15] ^= 1;
        for (check, what, header) in [
            ("M1", "a message on a slot without a seat", Header { slot: 60, ..right.clone() }),
            ("M2", "a message of an epoch before a removal", {
                Header { epoch: 1, confirmed: first[..16].try_into().unwrap(), ..right.clone() }
            }),
            (
                "M3",
                "a message of an epoch to come",
                Header { epoch: right.epoch + 1, ..right.clone() },
            ),
            ("M4", "a message of another history", Header { confirmed: fork, ..right.clone() }),
            ("M5", "a generation that was used", Header { generation: 0, ..right.clone() }),
            ("M5", "a generation too far", Header { generation: 2_002, ..right.clone() }),
        ] {
            let (key, plain) = (self.message_key(&header), self.plain(&header, MEMBER));
            let token = self.token(what, &key, &plain);
            self.push_message(check, what, &header, &token);
        }
    }

    fn messages(&mut self) {
        let header = self.header();
        let (key, good) = (self.message_key(&header), self.plain(&header, MEMBER));
        let other = Header { id: [7; 16], ..header.clone() };
        let what = "a token under another header's key";
        let token = self.token(what, &self.message_key(&other), &good);
        self.push_message("M6", what, &header, &token);
        let what = "a token with a time";
        let token = with_time(&seal(&key, &good), &key);
        let token =
            self.frozen.get(what).map_or(token, |it| of_log(&unhex(&it["entry"])).unwrap().1);
        self.push_message("M6", what, &header, &token);

        let content = padded(&Content { time: 1, kind: 1, body: vec![b'x'; 90] });
        let mut longer = content.clone();
        longer.extend([0; 4]);
        let mut stained = content.clone();
        *stained.last_mut().unwrap() = 1;
        let mut short = content.clone();
        short[..4].copy_from_slice(&1_000_u32.to_be_bytes());
        for (what, padded) in [
            ("more padding than there is", longer),
            ("padding that is not zeros", stained),
            ("a length beyond the content", short),
        ] {
            let plain = self.plain_of(&header, MEMBER, &padded);
            let token = self.token(what, &key, &plain);
            self.push_message("M7", what, &header, &token);
        }
        let by_another = self.plain(&header, STRANGER);
        let mut seen = good.clone();
        let place = seen.len() - 64 - 40;
        seen[place + 7] ^= 1;
        let elsewhere = self.plain(&other, MEMBER);
        for (what, plain) in [
            ("a message that another has signed", by_another),
            ("a message with another place seen", seen),
            ("a signature of another header", elsewhere),
        ] {
            let token = self.token(what, &key, &plain);
            self.push_message("M8", what, &header, &token);
        }
    }

    fn notices(&mut self) {
        let state = self.setting.state.clone();
        let author = self.setting.people[MEMBER].fpr();
        let right =
            Notice { author, group: state.group, epoch: state.epoch, interim: state.interim };
        let stranger = self.setting.people[STRANGER].fpr();
        let seated = state.seat_of(&author).unwrap().seated;
        let at_seat = state.past[usize::try_from(seated).unwrap() - 1].0;
        for (check, what, notice, signer) in [
            ("N1", "a notice for another group", Notice { group: ZEROS, ..right.clone() }, MEMBER),
            ("N2", "a stranger's notice", Notice { author: stranger, ..right.clone() }, STRANGER),
            ("N3", "a notice that another has signed", right.clone(), STRANGER),
            (
                "N4",
                "a notice of an epoch to come",
                Notice { epoch: state.epoch + 1, ..right.clone() },
                MEMBER,
            ),
            (
                "N4",
                "a notice of the commit that seated its author",
                { Notice { epoch: seated, interim: at_seat, ..right.clone() } },
                MEMBER,
            ),
            (
                "N4",
                "a notice with another interim hash",
                Notice { interim: ZEROS, ..right.clone() },
                MEMBER,
            ),
        ] {
            let entry = notice.logged(self.key(signer));
            assert_eq!(notice::judge(&state, &entry).map(|_| ()), Err(check), "{what}");
            self.all.push(Refused::new(check, what, entry));
        }
    }

    /// P1 to P3: publicly valid commits that the silent member can't follow.
    fn lies(&mut self) {
        let top = self.setting.state.height();
        for (check, what, lie) in [
            ("P1", "another key at the root", Lie::Path(vec![top])),
            ("P2", "another external key", Lie::External),
            ("P3", "another tag", Lie::Tag),
        ] {
            let made = self.setting.make(MEMBER, &[Op::Update], &lie).unwrap();
            let effect = self.setting.people[SILENT].clone().commit(&made.entry, None);
            assert_eq!(effect, Effect::Behind(check), "{what}");
            self.all.push(Refused::commit(check, what, &made.entry));
        }
    }

    /// W1 to W4: letters of a good commit that adds the newcomer.
    fn welcomes(&mut self) {
        let add = self.setting.add(NEWCOMER);
        let made = self.setting.make(MEMBER, core::slice::from_ref(&add), &Lie::Nothing).unwrap();
        let wkey = self.wkey(&made, &add);
        let member = self.setting.people[NEWCOMER].fpr();
        let right = Letter {
            author: self.setting.people[MEMBER].fpr(),
            member,
            group: self.setting.state.group,
            epoch: made.after.epoch,
            interim: made.after.interim,
            joiner: Some(made.keys.joiner.clone()),
            naming: self.setting.people[MEMBER].naming.clone(),
        };
        let other = Secret::from_bytes([1; 32]);
        self.welcome(("W1", "a letter under another key"), &made, &other, (&right, MEMBER));
        self.welcome(("W1", "a letter that another has signed"), &made, &wkey, (&right, STRANGER));
        for (check, what, wrong) in wrong_letters(&right, &other) {
            self.welcome((check, what), &made, &wkey, (&wrong, MEMBER));
        }
    }

    fn welcome(
        &mut self,
        (check, what): (&'static str, &'static str),
        made: &Made,
        key: &Secret,
        (letter, signer): (&Letter, usize),
    ) {
        let plain = letter.signed(self.key(signer));
        let token = self.token(what, key, &plain);
        let mut newcomer = self.setting.people[NEWCOMER].clone();
        assert_eq!(newcomer.commit(&made.entry, Some(&token)), Effect::Behind(check), "{what}");
        let mut refused = Refused::commit(check, what, &made.entry);
        refused.letters = vec![(newcomer.fpr(), token)];
        refused.reader = NEWCOMER;
        self.all.push(refused);
    }

    fn wkey(&self, made: &Made, add: &Op) -> Secret {
        let Op::Add { entrant, prekey } = add else { panic!("no add") };
        let (author, e) = (self.setting.people[MEMBER].fpr(), made.drawn.e.as_ref().unwrap());
        let at = LeafOfAdd {
            before: &self.setting.state,
            slot: made.after.slot_of(&entrant.fpr()).unwrap(),
            author: &author,
            member: &entrant.fpr(),
            prekey_hash: &prekey.hash(),
            e: e.public(),
        };
        at.secrets(e, &prekey.view().unwrap().key).wkey
    }
}

/// A token with time 1, and the HMAC that belongs to it.
fn with_time(token: &[u8], key: &Secret) -> Vec<u8> {
    let mut signing = [0; 32];
    signing[..16].copy_from_slice(&key.expose()[..16]);
    let signed = [&token[..1], &1_u64.to_be_bytes(), &token[9..token.len() - 32]].concat();
    let tag = Secret::from_bytes(signing).tag(&signed);
    [&signed[..], &tag.0].concat()
}

fn wrong_letters(right: &Letter, other: &Secret) -> [(&'static str, &'static str, Letter); 8] {
    let misnamed = Some(("oops".to_owned(), crate::setting::SALT));
    let joiner = Some(other.clone());
    [
        ("W1", "a letter to another", Letter { member: ZEROS, ..right.clone() }),
        ("W1", "a letter by another", Letter { author: ZEROS, ..right.clone() }),
        ("W2", "a letter of another epoch", Letter { epoch: 1, ..right.clone() }),
        ("W2", "a letter of another commit", Letter { interim: ZEROS, ..right.clone() }),
        ("W2", "a letter of another group", Letter { group: ZEROS, ..right.clone() }),
        ("W3", "a letter with another name", Letter { naming: misnamed, ..right.clone() }),
        ("W3", "a letter without the name", Letter { naming: None, ..right.clone() }),
        ("W4", "a letter with another secret", Letter { joiner, ..right.clone() }),
    ]
}
