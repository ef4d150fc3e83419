//! `call: grpc` against a server of another make: grpcio.

mod answers;
mod calls;
mod ends;
mod files;
mod trust;
