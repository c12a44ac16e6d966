//! A running server, black-box over a socket.
