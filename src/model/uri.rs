//! Model URIs: what the operator asks to be served.
