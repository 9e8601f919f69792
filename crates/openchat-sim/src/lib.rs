//! Development only: a harness that runs the real programs, for tests from end to end.
