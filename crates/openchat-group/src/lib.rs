//! The secret half of a group: path keys, key schedule, messages; a pure state machine.
