//! `Client-API.md`, executed: its examples go to the codec, its tables are held against the enums, its worked example
//! is worked again, and its session is played against a server. So the document says what the server does, or this
//! fails.

mod document;
mod examples;
mod session;
mod tables;
mod worked;
