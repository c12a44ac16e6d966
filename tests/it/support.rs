//! What the modules share: golden files, a server to talk to.
