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
                Some(path) => set(cv.1, path, &new),
                None => Err(Error::str("a path must be an array")),
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

/// Deletes all `paths`, the later ones first so that none moves another.
fn delete(value: Value, paths: Value) -> ValR<Value> {
    let Some(mut paths) = paths.into_elements() else {
        return Err(Error::str("the paths to delete must be an array"));
    };
    paths.sort_by(|a, b| b.cmp(a));
    paths.into_iter().try_fold(value, |value, path| match path.as_array() {
        Some(path) => delete_one(value, path),
        None => Err(Error::str("a path must be an array")),
    })
}

fn delete_one(value: Value, path: &[Value]) -> ValR<Value> {
    meter::call();
    let Some((first, rest)) = path.split_first() else { return Ok(Value::Null) };
    if value.is_null() {
        return Ok(value);
    }
    let absent = match value.find(first)? {
        None => true,
        Some(found) => !rest.is_empty() && found.is_null(),
    };
    if absent {
        return Ok(value);
    }
    change(value, first, |inner| match rest {
        [] => Ok(None),
        rest => delete_one(inner, rest).map(Some),
    })
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
