//! Other people's tools: OpenSSL and curl.
