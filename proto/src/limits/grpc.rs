//! Bounds of calls by gRPC: what is compiled for them, sent and answered.

/// Bytes of the `.proto` files of one call, all together: the largest interfaces in use have 3 MB.
pub const PROTO_BYTES: usize = 4 << 20;

/// `.proto` files of one call, beside those that every compiler brings along.
pub const PROTO_FILES: usize = 256;

/// Brackets of all kinds inside one another in a `.proto` file: protoc takes messages 32 deep, and
/// the compiler here recurses.
pub const PROTO_LEVELS: usize = 48;

/// Bytes of one word of a `.proto` file, the dots of a qualified name included.
pub const PROTO_WORD_BYTES: usize = 512;

/// Bytes of the full names of all that `.proto` files of one call declare: each is kept with the
/// names of what it stands in, so that little text can ask for much memory.
pub const PROTO_NAMES_BYTES: usize = 64 << 20;

/// Places where an imported `.proto` file is looked for.
pub const PROTO_PLACES: usize = 8;

/// Compilations of `.proto` files that a worker does at once: each keeps a core busy.
pub const PROTO_COMPILATIONS: usize = 2;

/// Compiled interfaces a worker keeps.
pub const CACHED_PROTOS: usize = 64;

/// Bytes of `.proto` files of which a worker keeps what was compiled: it takes some ten times that.
pub const CACHED_PROTO_BYTES: usize = 8 << 20;

/// Milliseconds that a compiled interface is kept; before each use its files are compared.
pub const CACHED_PROTO_MS: u64 = 3_600_000;

/// What the files that one server tells of may declare, all together (messages, fields, values,
/// methods, options): two bytes of a file can take hundreds in memory. 3 MB of text, as the largest
/// interfaces in use have, declare some 60,000.
pub const REFLECTED_DECLARATIONS: usize = 1 << 17;

/// Times that a server is asked for files that those it told of before import or use: what one asks
/// for is asked for together, so it is the length of the longest chain of imports.
pub const REFLECTION_ROUNDS: usize = 32;

/// Milliseconds that types told by a server are kept: it does not say when it is another version's.
pub const REFLECTED_MS: u64 = 300_000;

/// Bytes of one message that a server sends: the most that gRPC takes unless it is told otherwise.
pub const GRPC_MESSAGE_BYTES: usize = 4 << 20;

/// Bytes of all messages that a call sends: what data may have. How large one message may be is for
/// the server to say, which most do at 4 MiB.
pub const GRPC_SENT_BYTES: usize = 16 << 20;

/// Messages in the answer of one call: tiny ones weigh more as data than on the wire.
pub const GRPC_MESSAGES: usize = 20_000;

/// Messages inside one another in one message, those packed in an `Any` included: to read and write
/// them is to recurse. Without an `Any` it is the most that is read anyway.
pub const GRPC_LEVELS: usize = 100;

/// Bytes that a server may send of one answer before they are read: a message of the largest size
/// takes few turns, and a stream of tiny ones does not fill the memory.
pub const GRPC_STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// Bytes that a server may send on one connection before they are read. The HTTP/2 library closes a
/// connection with all its calls when so many frames wait that what each costs comes to half of
/// this; with this much one answer of the smallest frames waits for its window instead.
pub const GRPC_CONNECTION_WINDOW_BYTES: u32 = 32 << 20;

/// The port of a service that names none: that of HTTPS, so TLS is spoken there.
pub const GRPC_PORT: u16 = 443;

/// Names of services or methods that a message shows.
pub const GRPC_SHOWN: usize = 20;

/// Milliseconds before the end of a task's time from which a server that says that the deadline is
/// exceeded means the task's: it was given that as the deadline, and its clock is its own.
pub const GRPC_DEADLINE_SLACK_MS: u64 = 1_000;

/// Services of a server that are looked at for the one that is meant: programs have a few dozen.
pub const GRPC_SERVICES: usize = 4_096;
