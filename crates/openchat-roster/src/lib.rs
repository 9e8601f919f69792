//! The public half of a group: decodes, verifies and applies commits; holds no secret type.
