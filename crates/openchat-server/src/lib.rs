//! The openchat server: TLS, configuration, admin socket.
