//! The client's decisions: commands in; effects and events out; no I/O.
