//! `call: grpc` against servers of other makes: grpcio, and grpc-js.

mod answers;
mod calls;
mod ends;
mod files;
mod reflection;
mod trust;
