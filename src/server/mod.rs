//! Sockets, TLS, HTTP and the event loops.
