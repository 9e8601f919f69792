//! Every limit on what a peer may send, in one place, each with its reason.

use core::time::Duration;

/// Bytes of one encoded commit. The commit that creates a group of 10,000 lists a whole tree:
/// 10,000 leaves and as many nodes of at most 75 bytes, and 10,000 seats; 2.5 MiB holds it.
pub const MAX_COMMIT: usize = 2_621_440;

/// Bytes of any log entry that is not a commit. Files go in chunks that fit.
pub const MAX_ENTRY: usize = 256 * 1024;

/// Bytes of a message's text, before padding. Long enough for a page of any script; a longer text
/// belongs in a file. Stated in the README and refused with a clear error, never cut.
pub const MAX_TEXT: usize = 16_000;

/// Bytes of the sign that a reaction is. The longest of Unicode's own, two people of two skin tones
/// who kiss, takes 35.
pub const MAX_EMOJI: usize = 48;

/// Characters of a topic: two lines of a wide screen.
pub const MAX_TOPIC: usize = 250;

/// Bytes of a file's name: what file systems take.
pub const MAX_FILE_NAME: usize = 255;

/// Bytes of a file: photographs, documents and logs, not films. It is a sixty-fourth of what the relay
/// keeps of a log, and takes a quarter of a minute at the relay's pace.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Bytes of a file in one message. Padding adds at most an eighth, so that it stays well within
/// [`MAX_ENTRY`]; and a text that comes behind some of them waits for no more than a moment.
pub const FILE_CHUNK: usize = 128 * 1024;

/// The longest time that messages may be asked to be kept for. Longer is no promise but a habit.
pub const MAX_TIMER: Duration = Duration::from_hours(365 * 24);

/// Shortest time for which members are asked to keep messages. It counts from when a device has shown
/// one: whoever has looked away from the screen for a moment still finds it there.
pub const MIN_TIMER: Duration = Duration::from_mins(5);

/// Bytes of one letter. A Welcome has about 400.
pub const MAX_LETTER: usize = 1024;

/// Bytes of all letters of one append: a Welcome for each of [`MAX_UNCLAIMED`] and some invitations.
pub const MAX_LETTERS: usize = 4 * 1024 * 1024;

/// Bytes of a frame between client and relay: the largest commit with its letters and envelope.
pub const MAX_FRAME: usize = MAX_COMMIT + MAX_LETTERS + 64 * 1024;

/// Bytes of a frame from somebody who has not proved who they are yet: a CSR and an invitation.
pub const MAX_ENROLL_FRAME: usize = 16 * 1024;

/// Bytes of a frame on the admin socket: a page of a list, or the largest certificate and all the
/// names in it once more.
pub const MAX_ADMIN_FRAME: usize = 64 * 1024;

/// Bytes of a certification request. A P-256 one with one name takes about 250.
pub const MAX_CSR: usize = 4 * 1024;

/// Bytes of a certificate of this CA. Ours take about 500.
pub const MAX_CERTIFICATE: usize = 8 * 1024;

/// Members of one group. The tree is then 14 levels high.
pub const MAX_MEMBERS: usize = 10_000;

/// Slots of one tree: the power of two that holds [`MAX_MEMBERS`].
pub const MAX_SLOTS: u32 = 16_384;

/// People admitted to a group who have no seat yet: as many as may be seated.
pub const MAX_ADMITTED: usize = MAX_MEMBERS;

/// People whom a group denies: as many as may be seated. Lifting one makes room.
pub const MAX_DENIED: usize = MAX_MEMBERS;

/// Unclaimed leaves of members whom one person added: it alone can heal them. Larger groups are
/// filled by admitting.
pub const MAX_UNCLAIMED: usize = 1_024;

/// Groups of one person, seated or admitted.
pub const MAX_GROUPS: usize = 1_024;

/// Groups of one person into which one other person put it, and which it has not entered: nobody
/// fills somebody's [`MAX_GROUPS`] alone.
pub const MAX_GROUPS_BY_ANOTHER: usize = 64;

/// Groups that one person may create at once: a first day with everybody whom one knows.
pub const CREATE_BURST: u32 = 16;

/// Pace of one person's new groups, once the burst is spent. Each may cost the relay tenths of a
/// second and its memory a tree.
pub const CREATE_INTERVAL: Duration = Duration::from_mins(1);

/// One-time prekeys that the relay keeps of one person: a month of new conversations.
pub const MAX_PREKEYS: usize = 100;

/// Bytes of a signed prekey; one takes 210.
pub const MAX_PREKEY: usize = 256;

/// Life of a prekey. Who was offline for longer is added by the one of last resort, or admitted.
pub const PREKEY_LIFE: Duration = Duration::from_hours(30 * 24);

/// Time after a prekey's end in which its private part is kept, for adds that were under way.
pub const PREKEY_GRACE: Duration = Duration::from_hours(7 * 24);

/// How far ahead a device's clock may be whose prekeys the relay takes.
pub const MAX_CLOCK_AHEAD: Duration = Duration::from_mins(10);

/// Prekeys that one person may publish at once: four times all of them. Each costs the relay a
/// signature's check.
pub const PUBLISH_BURST: u32 = 404;

/// Pace of one person's new prekeys, once the burst is spent.
pub const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);

/// Prekeys that one person may fetch at once: enough to fill a group of friends.
pub const PREKEY_BURST: u32 = 64;

/// Pace of one person's fetches, once the burst is spent.
pub const PREKEY_INTERVAL: Duration = Duration::from_secs(1);

/// Prekeys of one other person that somebody may fetch at once: nobody drains a person's alone.
pub const PREKEY_BURST_OF_ONE: u32 = 16;

/// Pace of one person's fetches of one other's prekeys, once the burst is spent.
pub const PREKEY_INTERVAL_OF_ONE: Duration = Duration::from_mins(1);

/// Time for which a notice slows a group's joins.
pub const NOTICE_MEMORY: Duration = Duration::from_mins(10);

/// The slowest pace that notices bring joins to: never to zero.
pub const SLOWEST_JOINS: Duration = Duration::from_mins(1);

/// A message counts while its epoch is among this many newest ones. Sixteen commits may pass
/// between sealing and logging, so writers survive a burst of joins; more would keep old keys.
pub const EPOCH_WINDOW: u64 = 16;

/// Generations a receiver derives forward for one sender. The log is totally ordered, so a gap
/// means messages that were refused, or whose bodies are no longer kept: of one epoch hardly more
/// than the 1,200 after which a sender renews its keys at the latest, and the 256 that are under
/// way meanwhile. 2,000 of them cost about two milliseconds to skip.
pub const MAX_FORWARD_SKIP: u32 = 2_000;

/// Pairs of (epoch, wrapped secret) in a rejoin: the tail's and those where others may be stuck.
pub const MAX_REJOIN_WRAPS: usize = 4;

/// Time from TCP accept to the end of the TLS handshake. A slow mobile link needs about 2 s.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes in progress at once. Each holds a socket and about 20 KiB; so few that most of the
/// usual 1,024 file descriptors are left to members, and enough for 25,000 a second of 10 ms each.
pub const MAX_HANDSHAKES: usize = 256;

/// Connections of one person at once: a full screen, some scripts, and reconnects that overlap.
pub const MAX_SESSIONS_A_PERSON: usize = 16;

/// Time in which an enrollment connection must have sent its request.
pub const ENROLL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that heard nothing for this long asks whether the relay is still there.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Either side gives a connection up after this long without a byte: two pings and their slack.
pub const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// Bytes that wait for a slow receiver before it is cut; it catches up from the log.
pub const MAX_QUEUE_BYTES: usize = 1024 * 1024;

/// Logs one session may tail at once: all its groups and its inbox.
pub const MAX_TAILS: usize = MAX_GROUPS + 1;

/// Entries in one answer to a read; further bounded by [`MAX_READ_BYTES`].
pub const MAX_READ_ENTRIES: usize = 512;

/// Bytes of entries in one answer to a read. One commit may exceed it and then comes alone.
pub const MAX_READ_BYTES: usize = 512 * 1024;

/// Entries of the transparency log in one answer: at most 1 MiB, and 200 KiB of today's kinds.
pub const MAX_RECORDED: usize = 2_048;

/// Bytes of a signed heartbeat.
pub const MAX_HEARTBEAT: usize = 512;

/// Commits that place newcomers a group takes at once, and the pace after: one a second.
/// A burst lets a team that starts together form its group; the pace keeps a crowd of strangers
/// from moving an open group out of the epoch window.
pub const JOIN_BURST: u32 = 64;

/// Pace of commits that place newcomers, once the burst is spent.
pub const JOIN_INTERVAL: Duration = Duration::from_secs(1);

/// Updates and rejoins that a group takes of one member at once. A device renews once a day; after
/// faults it may rejoin a few times in a row.
pub const RENEWAL_BURST: u32 = 8;

/// Pace of one member's updates and rejoins, once the burst is spent: a single member can then not
/// move the others out of the epoch window, nor outrun their rejoins.
pub const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);

/// Commits of one member that renew nothing and place nobody who asks: adds, admissions, roles,
/// removals of who left. An evening of tidying up, at once.
pub const CHANGE_BURST: u32 = 32;

/// Pace of one member's changes, once the burst is spent: as slow as joins, for the same reason.
pub const CHANGE_INTERVAL: Duration = Duration::from_secs(1);

/// Time for which the next place is kept for whoever lost a race with a removal: those who are to
/// be removed can't outrun it.
pub const KEPT_PLACE: Duration = Duration::from_secs(10);

/// Places that a group keeps at once for an admin, or for all who are none together.
pub const KEPT_PLACE_BURST: u32 = 2;

/// Pace of places kept for an admin, or for all who are none together, once the burst is spent: nobody
/// holds a group up for long by races that are lost on purpose.
pub const KEPT_PLACE_INTERVAL: Duration = Duration::from_mins(1);

/// Age of the transparency head a commit names when the relay takes it.
pub const MAX_HEAD_AGE: Duration = Duration::from_mins(10);

/// Life of an invitation to the server.
pub const INVITATION_LIFE: Duration = Duration::from_hours(24);

/// Wrong secrets that lock an invitation. The secret has 128 bits; five is for typing errors.
pub const MAX_WRONG_SECRETS: u32 = 5;

/// Certificates that a person may renew at once: one that is due, and some whose answers were lost or
/// that its person asked for.
pub const CERTIFICATE_BURST: u32 = 4;

/// Pace of one person's renewals, once the burst is spent. A certificate is due after 60 days; each is an
/// entry that everybody mirrors for ever, so a device that loops adds 40 KB a year to it.
pub const CERTIFICATE_INTERVAL: Duration = Duration::from_hours(24);
