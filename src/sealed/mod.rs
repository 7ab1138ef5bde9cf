//! End-to-end encryption between members.
