//! The one integration binary. Each module says what belongs there.

mod admin;
mod batching;
mod bench;
mod bundled;
mod codec_csv;
mod codec_json;
mod codec_json_fast;
mod codec_output;
mod conformance;
mod connections;
mod content_coding;
mod echo;
mod engines;
mod help;
mod hot_swap;
mod house;
mod http;
mod http2;
mod live;
mod mlmodel;
mod native;
mod parity;
mod registry;
mod registry_writers;
mod support;
mod unix_socket;
