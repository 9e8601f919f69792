//! The server as an authority: its transparency log, what it says of it, and what its operator does to
//! names and keys while it runs.

use crate::{
    liar::Said,
    world::{Parcel, SECOND, Who, World},
};
use openchat_crypto::IdentityKey;
use openchat_pki::{Entry, Head, MerkleLog, Mirror, ServerKeys};
use openchat_relay::{Identity, Store};
use openchat_wire::{
    Blob, Name, UnixMillis,
    relay::{Answer, Request, ToClient},
};

/// Entries in one answer of a server that lies: as many as an honest one gives.
const PAGE: usize = 1_000;

/// All entries of a transparency log.
pub(crate) type Entries = Vec<Vec<u8>>;

/// Another transparency log than the true one, shown to some, under the same keys.
pub(crate) struct View {
    victims: Vec<Who>,
    /// What becomes of the true entries.
    edit: Box<dyn Fn(Entries) -> Entries>,
    /// Another log's key, in its own PKCS#8.
    pub(crate) key: Option<Vec<u8>>,
}

impl View {
    pub(crate) fn new(victims: &[Who], edit: impl Fn(Entries) -> Entries + 'static) -> Self {
        Self { victims: victims.to_vec(), edit: Box::new(edit), key: None }
    }
}

impl World {
    /// The operator revokes somebody's key: the server ends the connection and lets nobody in with it.
    pub(crate) fn revoke(&mut self, who: Who) {
        let (name, now) = (self.person(who).identity.name.clone(), self.server_time());
        self.server.relay.revoke(&name, now).unwrap().expect("a key that counts");
        self.server.relay.flush().unwrap();
        self.shut_out(who);
        self.note_growth();
    }

    /// The operator frees somebody's name: a device with another key has it from now on.
    pub(crate) fn reset(&mut self, who: Who) -> Who {
        let (name, now) = (self.person(who).identity.name.clone(), self.server_time());
        let reset = self.server.relay.reset(&name, now, &mut self.rng).unwrap().unwrap();
        self.shut_out(who);
        self.enroll_with(&name, &reset.invited, now)
    }

    fn shut_out(&mut self, who: Who) {
        if self.person(who).connection.is_some() {
            self.disconnect(who);
        }
        self.person_mut(who).is_shut_out = true;
    }

    /// The CA certifies another key for somebody. Nobody but the server knows of it yet.
    pub(crate) fn second_key(&mut self, who: Who) -> (IdentityKey, Vec<u8>, Entry) {
        let (key, name) = (IdentityKey::generate(&mut self.rng), &self.people[who.0].identity.name);
        let der = self.server.certify(&key, name, self.now, &mut self.rng);
        let certificate = openchat_pki::MemberCertificate::claimed(&der).unwrap();
        (key, der, Entry::issue(&certificate))
    }

    /// An entry that the server makes up comes into the true log.
    pub(crate) fn log_entry(mut self, entry: &Entry) -> Self {
        let now = self.server_time();
        self.server.note(&entry.encode(), now);
        self.server = self.server.restart();
        self.push_heads();
        self
    }

    /// The same for bytes, while nobody is told before the last.
    pub(crate) fn log_quietly(mut self, entry: &[u8], now: UnixMillis, is_last: bool) -> Self {
        self.server.note(entry, now);
        if is_last {
            self = self.restart_relay();
        }
        self
    }

    /// All entries of the true log.
    pub(crate) fn logged(&self) -> Entries {
        let recorded = self.server.relay.store().recorded(0, usize::MAX).unwrap();
        recorded.into_iter().map(|recorded| recorded.entry).collect()
    }

    /// From here on the server shows these another log.
    pub(crate) fn show_log(
        &mut self,
        victims: &[Who],
        edit: impl Fn(Entries) -> Entries + 'static,
    ) {
        self.view = Some(View::new(victims, edit));
        self.push_heads();
    }

    /// A head of these entries, signed by the log's key.
    pub(crate) fn sign_log(&self, entries: &Entries) -> Blob {
        let tree: MerkleLog = entries.iter().collect();
        self.sign_head(tree.size(), tree.root())
    }

    /// A head that the log's key signs, whatever it says.
    pub(crate) fn sign_head(&self, size: u64, root: openchat_wire::Digest) -> Blob {
        let log_id = self.people[0].device().server_keys.log_id;
        let head = Head { log_id, size, root, time: self.server_time() };
        Blob(head.sign(&self.server.head_key()))
    }

    /// What the server tells of its log in place of the truth.
    pub(crate) fn false_log(&self, to: Who, request: &Request) -> Option<Said> {
        let view = self.view.as_ref().filter(|view| view.victims.contains(&to))?;
        let Request::ReadTransparency(index) = request else { return None };
        let entries = (view.edit)(self.logged());
        let head = self.false_head(view);
        let from = usize::try_from(*index).unwrap();
        let page: Vec<Blob> = entries.into_iter().skip(from).take(PAGE).map(Blob).collect();
        let complete = page.len() < PAGE;
        Some(Ok(Answer::Recorded { entries: page, head, complete }))
    }

    fn false_head(&self, view: &View) -> Blob {
        let entries = (view.edit)(self.logged());
        let Some(key) = &view.key else { return self.sign_log(&entries) };
        let key = IdentityKey::from_pkcs8(key).unwrap();
        let tree: MerkleLog = entries.iter().collect();
        let log_id = ServerKeys::new(*key.public(), *key.public()).log_id;
        Blob(tree.head(log_id, self.server_time()).sign(&key))
    }

    /// The head that somebody is pushed.
    pub(crate) fn head_for(&mut self, to: Who) -> Blob {
        if let Some(view) = self.view.as_ref().filter(|view| view.victims.contains(&to)) {
            return self.false_head(view);
        }
        let (who, now) = (self.person(to).identity.clone(), self.server_time());
        match self.server.relay.handle(&who, &Request::Head, now).answer {
            Ok(Answer::Head(head)) => head,
            other => panic!("{other:?}"),
        }
    }

    /// Whoever is connected is shown the newest head.
    pub(crate) fn push_heads(&mut self) {
        for who in self.online() {
            let head = self.head_for(who);
            self.push_lying(who, ToClient::Head(head));
        }
    }

    /// A log that has grown is told at most once a second.
    pub(crate) fn note_growth(&mut self) {
        let more = self.server.recorded_behind(self.told);
        if more > 0 {
            self.told += more;
            let at = self.now.max(self.told_at + SECOND);
            self.told_at = at;
            self.send(at - self.now, Parcel::Heads);
        }
    }

    pub(crate) fn renew(&mut self, who: &Identity, csr: &[u8]) -> Said {
        let now = self.server_time();
        let answer = self.server.relay.renew(who, csr, now, &mut self.rng).answer;
        self.server.relay.flush().unwrap();
        answer
    }

    /// What the server's clock shows.
    pub(crate) fn server_time(&self) -> UnixMillis {
        UnixMillis(self.now.saturating_add_signed(self.server_skew))
    }

    /// The mirror as a device would make it that reads the whole true log now.
    pub(crate) fn fresh_mirror(&self) -> Mirror {
        let mut mirror = Mirror::new(&self.people[0].device().server_keys);
        let entries = self.logged();
        let _extended = mirror.extend(&entries, &self.sign_log(&entries).0).unwrap();
        mirror
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}
