//! What the relay decides, without I/O, and the store trait with its conformance suite.
