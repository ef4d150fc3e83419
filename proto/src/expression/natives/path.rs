//! Paths: finding and deleting them.

use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Bind, Error, ValR, ValX};

use crate::expression::engine::Jq;
use crate::expression::meter;
use crate::value::Value;

pub(super) fn all() -> Vec<Fun<Jq>> {
    let filter = || [Bind::Fun(())].into();
    vec![
        run(("path", filter(), |mut cv| {
            let (f, context) = cv.0.pop_fun();
            let mut paths = meter::path(|| f.paths((context, (cv.1, Default::default()))));
            let paths = std::iter::from_fn(move || meter::path(|| paths.next()));
            Box::new(paths.map(|found| -> ValX<'_, Value> {
                let (_, path) = found?;
                let mut steps: Vec<Value> = path.iter().cloned().collect();
                meter::bytes(steps.len() * size_of::<Value>());
                meter::step(steps.len() as u64);
                steps.reverse();
                Ok(Value::checked_array(steps))
            }))
        })),
        run(("setpath", v(2), |mut cv| {
            let new = cv.0.pop_var();
            let path = cv.0.pop_var();
            bome(match path.as_array() {
                Some(path) if path.len() > LONGEST => Err(Error::str("Path too deep")),
                Some(path) => set(cv.1, path, &new),
                None => Err(Error::str("Path must be specified as an array")),
            })
        })),
        run(("delpaths", v(1), |mut cv| {
            let paths = cv.0.pop_var();
            bome(delete(cv.1, paths))
        })),
    ]
}

fn set(value: Value, path: &[Value], new: &Value) -> ValR<Value> {
    meter::call();
    match path.split_first() {
        None => Ok(new.clone()),
        Some((first, rest)) => change(value, first, |inner| set(inner, rest, new).map(Some)),
    }
}

/// Steps of a path, as far as jq goes.
const LONGEST: usize = 10_000;

/// Deletes all `paths`, each of which counts in `value` as it is now.
fn delete(value: Value, paths: Value) -> ValR<Value> {
    let Some(mut paths) = paths.into_elements() else {
        return Err(Error::str("Paths must be specified as an array"));
    };
    paths.sort();
    let steps = paths.iter().map(|path| match path.as_array() {
        Some(path) if path.len() > LONGEST => Err(Error::str("Path too deep")),
        Some(path) => Ok(path),
        None => {
            Err(Error::str(format_args!("Path must be specified as array, not {}", path.kind())))
        }
    });
    delete_sorted(value, &steps.collect::<Result<Vec<_>, _>>()?)
}

fn delete_sorted(mut value: Value, paths: &[&[Value]]) -> ValR<Value> {
    meter::call();
    meter::step(paths.len() as u64);
    if value.is_null() || paths.iter().any(|path| path.is_empty()) {
        return Ok(Value::Null);
    }
    let mut here: Vec<&Value> = Vec::new();
    for group in paths.chunk_by(|a, b| a.first() == b.first()) {
        let rests: Vec<&[Value]> =
            group.iter().filter_map(|it| it.split_first()).map(|(_, rest)| rest).collect();
        let Some(first) = group.first().and_then(|it| it.first()) else { continue };
        if rests.iter().any(|rest| rest.is_empty()) {
            here.push(first);
        } else if value.find(first)?.is_some_and(|inner| !inner.is_null()) {
            value = change(value, first, |inner| delete_sorted(inner, &rests).map(Some))?;
        }
    }
    if here.is_empty() { Ok(value) } else { value.without(&here) }
}

fn change(
    value: Value,
    index: &Value,
    f: impl Fn(Value) -> Result<Option<Value>, Error<Value>>,
) -> ValR<Value> {
    let once = |inner| f(inner).map_err(jaq_core::Exn::from).transpose().into_iter();
    let changed = jaq_core::ValT::map_index(value, index, jaq_core::path::Opt::Essential, once);
    changed.map_err(|exception| match exception.get_err() {
        Ok(error) => error,
        Err(_) => Error::str("a path cannot be left while it is deleted"),
    })
}
