//! The openchat command line.
