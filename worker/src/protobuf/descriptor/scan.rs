//! How much is in the bytes of a file, told before they are read: what two bytes can say takes
//! hundreds in memory.

use prost_reflect::prost::DecodeError;
use prost_reflect::prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, skip_field,
};
use windlass_proto::limits;

/// What a field of a descriptor holds.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    File,
    Message,
    Enum,
    Service,
    /// Something with a name and, in the field of this number, options.
    Item(u32),
    /// Nothing that is looked into further.
    Flat,
}

/// What is in the field `number` of a `kind`; none for text.
fn inside(kind: Kind, number: u32) -> Option<Kind> {
    Some(match (kind, number) {
        (Kind::File, 4) | (Kind::Message, 3) => Kind::Message,
        (Kind::File, 5) | (Kind::Message, 4) => Kind::Enum,
        (Kind::File, 6) => Kind::Service,
        (Kind::File, 7) | (Kind::Message, 2 | 6) => Kind::Item(8),
        (Kind::Message, 5) | (Kind::Enum, 2) => Kind::Item(3),
        (Kind::Message, 8) => Kind::Item(2),
        (Kind::Service, 2) => Kind::Item(4),
        (Kind::File, 8) | (Kind::Message, 7 | 9) | (Kind::Enum, 3 | 4) | (Kind::Service, 3) => {
            Kind::Flat
        }
        (Kind::Item(options), number) if options == number => Kind::Flat,
        _ => return None,
    })
}

/// The bytes of a file without its comments and places. Takes the number of things in it from
/// `left`.
///
/// # Errors
/// Why it is not read.
pub(super) fn file(bytes: &[u8], left: &mut usize) -> Result<Vec<u8>, String> {
    let (mut kept, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while !rest.is_empty() {
        let field = next(&mut rest)?;
        // Which place of its text says what.
        if field.number != 9 {
            kept.extend_from_slice(field.bytes);
            count(Kind::File, &field, 0, left)?;
        }
    }
    Ok(kept)
}

/// Counts a field of a `kind`, with what is in it.
fn count(kind: Kind, field: &Field<'_>, levels: usize, left: &mut usize) -> Result<(), String> {
    let inner = inside(kind, field.number);
    // Of what has a name, each part that it has once is no more.
    if inner.is_some() || !matches!(kind, Kind::Item(_)) {
        *left = left.checked_sub(1).ok_or_else(|| {
            let most = limits::REFLECTED_DECLARATIONS;
            format!("with it there are more than {most} declarations")
        })?;
    }
    let Some((inner, mut rest)) = inner.zip(field.value) else { return Ok(()) };
    if levels >= limits::PROTO_LEVELS {
        return Err(format!("it is nested more than {} levels deep", limits::PROTO_LEVELS));
    }
    while !rest.is_empty() {
        count(inner, &next(&mut rest)?, levels + 1, left)?;
    }
    Ok(())
}

/// A field of a message.
struct Field<'b> {
    number: u32,
    /// All of it.
    bytes: &'b [u8],
    /// What is in it, where that has a length.
    value: Option<&'b [u8]>,
}

/// Takes the first field off `rest`.
fn next<'b>(rest: &mut &'b [u8]) -> Result<Field<'b>, String> {
    let broken = |error: DecodeError| error.to_string();
    let whole = *rest;
    let (number, wire) = decode_key(rest).map_err(broken)?;
    let mut value = None;
    if wire == WireType::LengthDelimited {
        let length = decode_varint(rest).map_err(broken)?;
        let length = usize::try_from(length).ok().filter(|it| *it <= rest.len());
        let (inside, after) = rest.split_at(length.ok_or("it ends before it is over")?);
        (value, *rest) = (Some(inside), after);
    } else {
        skip_field(wire, number, rest, DecodeContext::default()).map_err(broken)?;
    }
    Ok(Field { number, bytes: &whole[..whole.len() - rest.len()], value })
}
