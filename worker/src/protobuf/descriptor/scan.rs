//! How much is in the bytes of a file, told before they are read: what two bytes can say takes
//! hundreds in memory.

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

/// Where a file tells which place of its text says what.
const SOURCE_CODE_INFO: u32 = 9;

/// The bytes of a file without its comments and places. Takes the number of things in it from
/// `left`.
///
/// # Errors
/// Why it is not read.
pub(super) fn file(bytes: &[u8], left: &mut usize) -> Result<Vec<u8>, String> {
    let mut kept = Vec::with_capacity(bytes.len());
    fields(bytes, &mut |number, field, value| {
        if number == SOURCE_CODE_INFO {
            return Ok(());
        }
        kept.extend_from_slice(field);
        one(Kind::File, number, value, 0, left)
    })?;
    Ok(kept)
}

/// Counts the field `number` of a `kind`, with what is in it.
fn one(
    kind: Kind,
    number: u32,
    value: Option<&[u8]>,
    levels: usize,
    left: &mut usize,
) -> Result<(), String> {
    let inner = inside(kind, number);
    if inner.is_some() || kind == Kind::Flat {
        *left = left.checked_sub(1).ok_or_else(|| {
            let most = limits::REFLECTED_DECLARATIONS;
            format!("with it there are more than {most} declarations")
        })?;
    }
    let Some((inner, bytes)) = inner.zip(value) else { return Ok(()) };
    if levels >= limits::PROTO_LEVELS {
        return Err(format!("it is nested more than {} levels deep", limits::PROTO_LEVELS));
    }
    fields(bytes, &mut |number, _, value| one(inner, number, value, levels + 1, left))
}

/// Hands over each field of a message: its number, all its bytes, and what is in it where that has
/// a length.
fn fields(
    mut rest: &[u8],
    found: &mut dyn FnMut(u32, &[u8], Option<&[u8]>) -> Result<(), String>,
) -> Result<(), String> {
    let broken = |error: prost_reflect::prost::DecodeError| error.to_string();
    while !rest.is_empty() {
        let whole = rest;
        let (number, wire) = decode_key(&mut rest).map_err(broken)?;
        let value = if wire == WireType::LengthDelimited {
            let length = decode_varint(&mut rest).map_err(broken)?;
            let length = usize::try_from(length).ok().filter(|it| *it <= rest.len());
            let (value, after) = rest.split_at(length.ok_or("it ends before it is over")?);
            rest = after;
            Some(value)
        } else {
            skip_field(wire, number, &mut rest, DecodeContext::default()).map_err(broken)?;
            None
        };
        found(number, &whole[..whole.len() - rest.len()], value)?;
    }
    Ok(())
}
