-- A vault of format 2, which was not sealed, with one of each thing.
-- A key whose certificate has not come yet: kept, because the answer may only have been lost.
CREATE TABLE saved_keys (
    name TEXT PRIMARY KEY,
    key BLOB NOT NULL
) STRICT;

-- Who this device is; at most one row.
CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL,
    key BLOB NOT NULL,
    certificate BLOB NOT NULL,
    ca BLOB NOT NULL,
    ca_pin BLOB NOT NULL CHECK (length(ca_pin) = 32),
    server TEXT NOT NULL,
    server_keys BLOB NOT NULL
) STRICT;

-- The engine's records; their meaning is the engine's.
CREATE TABLE records (
    kind INTEGER NOT NULL,
    grp BLOB NOT NULL CHECK (length(grp) = 32),
    sub BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, grp, sub)
) STRICT;

-- One row a group with messages; what was shown up to and including `shown` is not shown again.
CREATE TABLE conversations (
    grp BLOB PRIMARY KEY CHECK (length(grp) = 32),
    target TEXT NOT NULL,
    shown BLOB NOT NULL CHECK (length(shown) = 8)
) STRICT;

CREATE TABLE messages (
    grp BLOB NOT NULL REFERENCES conversations (grp),
    seq BLOB NOT NULL CHECK (length(seq) = 8),
    id BLOB NOT NULL CHECK (length(id) = 16),
    sender TEXT NOT NULL,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    trust TEXT NOT NULL,
    time BLOB NOT NULL CHECK (length(time) = 8),
    text TEXT NOT NULL,
    own INTEGER NOT NULL,
    PRIMARY KEY (grp, seq)
) STRICT;

INSERT INTO identity VALUES (1, 'bob', x'0707', x'01', x'02', zeroblob(32), 'localhost:7443', x'05');
INSERT INTO saved_keys VALUES ('carol', x'08');
INSERT INTO records VALUES (14, x'0909090909090909090909090909090909090909090909090909090909090909', x'01', CAST('ratchet' AS BLOB));
INSERT INTO conversations VALUES (x'0909090909090909090909090909090909090909090909090909090909090909', '#general', zeroblob(8));
INSERT INTO messages VALUES (
    x'0909090909090909090909090909090909090909090909090909090909090909', x'0000000000000007', x'05050505050505050505050505050505', 'bob', x'0303030303030303030303030303030303030303030303030303030303030303', 'verified', x'00000000000003e8', 'a message of old', 0
);
PRAGMA user_version = 2;
