//! The client's runtime: sockets, vault, clock, randomness.
