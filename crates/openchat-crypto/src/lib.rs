//! Newtypes over P-256, HKDF, SHA-256 and Fernet; every label in one file.
