//! Dates. Everything is UTC: no time zone of a machine may decide how a workflow goes.

use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::{Error, ValR};
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::text::text;
use crate::expression::engine::Jq;
use crate::expression::meter;
use crate::limits;
use crate::value::Value;

pub(super) fn all() -> Vec<Fun<Jq>> {
    vec![
        run(("gmtime", v(0), |cv| bome(gmtime(&cv.1)))),
        run(("localtime", v(0), |cv| bome(gmtime(&cv.1)))),
        run(("mktime", v(0), |cv| bome(mktime(&cv.1)))),
        run(("strftime", v(1), |cv| {
            unary(cv, |time, format| strftime(&time, &format, "strftime/1"))
        })),
        run(("strflocaltime", v(1), |cv| {
            unary(cv, |time, format| strftime(&time, &format, "strflocaltime/1"))
        })),
        run(("strptime", v(1), |cv| unary(cv, |time, format| strptime(&time, &format)))),
        run(("fromdateiso8601", v(0), |cv| bome(from_iso8601(&cv.1)))),
    ]
}

fn refuse(value: &Value, what: &str) -> Error<Value> {
    Error::str(format_args!("{} ({value}) {what}", value.kind()))
}

fn timestamp(value: &Value) -> Result<Timestamp, Error<Value>> {
    let seconds = jaq_std::ValT::as_f64(value)
        .ok_or_else(|| refuse(value, "is neither seconds since 1970 nor a broken down time"))?;
    let out_of_range = || refuse(value, "is out of the range of dates");
    if !(-377_705_023_201.0..=253_402_207_200.0).contains(&seconds) {
        return Err(out_of_range());
    }
    #[allow(clippy::cast_possible_truncation)]
    Timestamp::from_microsecond((seconds * 1e6).floor() as i64).map_err(|_| out_of_range())
}

/// Seconds since 1970, or an array of year, month from 0, day, hours, minutes, seconds, of which
/// those left out at the end are 0; `asked` is who wants it.
fn moment(value: &Value, asked: &str) -> Result<Zoned, Error<Value>> {
    let Some(parts) = value.as_array() else {
        return Ok(timestamp(value)?.to_zoned(TimeZone::UTC));
    };
    let is_number = |part: &Value| jaq_std::ValT::as_f64(part).is_some_and(|it| !it.is_nan());
    if !parts.iter().all(is_number) {
        return Err(Error::str(format_args!("{asked} requires parsed datetime inputs")));
    }
    let part = |at: usize| match parts.get(at) {
        Some(part) => jaq_std::ValT::as_f64(part),
        None => (at > 2).then_some(0.0),
    };
    let datetime = || {
        #[allow(clippy::cast_possible_truncation)]
        let small = |at: usize| part(at).map(|it| it.clamp(-100.0, 100.0) as i8);
        #[allow(clippy::cast_possible_truncation)]
        let year = part(0)?.clamp(-20_000.0, 20_000.0) as i16;
        let seconds = part(5)?.clamp(-100.0, 100.0);
        #[allow(clippy::cast_possible_truncation)]
        let (whole, nanoseconds) = (seconds.floor() as i8, (seconds.fract().abs() * 1e9) as i32);
        DateTime::new(
            year,
            small(1)?.saturating_add(1),
            small(2)?,
            small(3)?,
            small(4)?,
            whole,
            nanoseconds,
        )
        .ok()?
        .to_zoned(TimeZone::UTC)
        .ok()
    };
    datetime().ok_or_else(|| refuse(value, "is not a broken down time"))
}

fn broken_down(datetime: DateTime) -> Value {
    let seconds = if datetime.subsec_nanosecond() == 0 {
        Value::Int(i64::from(datetime.second()))
    } else {
        Value::from(f64::from(datetime.second()) + f64::from(datetime.subsec_nanosecond()) / 1e9)
    };
    let numbers = [
        i64::from(datetime.year()),
        i64::from(datetime.month()) - 1,
        i64::from(datetime.day()),
        i64::from(datetime.hour()),
        i64::from(datetime.minute()),
    ];
    let rest = [
        i64::from(datetime.weekday().to_sunday_zero_offset()),
        i64::from(datetime.day_of_year()) - 1,
    ];
    numbers.map(Value::Int).into_iter().chain([seconds]).chain(rest.map(Value::Int)).collect()
}

fn gmtime(value: &Value) -> ValR<Value> {
    Ok(broken_down(timestamp(value)?.to_zoned(TimeZone::UTC).datetime()))
}

fn mktime(value: &Value) -> ValR<Value> {
    if value.as_array().is_none() {
        return Err(Error::str("mktime requires array inputs"));
    }
    Ok(Value::Int(moment(value, "mktime")?.timestamp().as_second()))
}

fn strftime(value: &Value, format: &Value, asked: &str) -> ValR<Value> {
    let refuse = || Error::str(format_args!("{asked} requires a string format"));
    let format = format.as_str().ok_or_else(refuse)?;
    meter::step(format.len() as u64);
    meter::bytes(format.len().saturating_mul(8));
    if format.len() > limits::DATE_FORMAT_BYTES {
        return Err(Error::str("the format of a date is too long"));
    }
    strtime::format(format, &moment(value, asked)?)
        .map(Value::charged_text)
        .map_err(|error| Error::str(format_args!("{format:?} is not a format of dates: {error}")))
}

fn strptime(value: &Value, format: &Value) -> ValR<Value> {
    let date = text(value, "read as a date")?;
    let format = text(format, "a format")?;
    meter::step((date.len() + format.len()) as u64);
    let refuse = || Error::str(format_args!("date {value} does not match the format {format:?}"));
    let mut parsed = strtime::BrokenDownTime::parse(format, date).map_err(|_| refuse())?;
    if parsed.year().is_none() && parsed.timestamp().is_none() {
        parsed.set_year(Some(1900)).map_err(|_| refuse())?;
        if parsed.month().is_none() && parsed.day().is_none() {
            parsed.set_month(Some(1)).map_err(|_| refuse())?;
            parsed.set_day(Some(1)).map_err(|_| refuse())?;
        }
    }
    if parsed.hour().is_none() {
        parsed.set_hour(Some(0)).map_err(|_| refuse())?;
    }
    let offset = parsed.offset().unwrap_or(Offset::UTC);
    parsed.set_offset(Some(offset));
    let moment = parsed.to_timestamp().map_err(|_| refuse())?;
    Ok(broken_down(offset.to_datetime(moment)))
}

fn from_iso8601(value: &Value) -> ValR<Value> {
    let date = text(value, "read as a date")?;
    meter::scan(date.len());
    let moment: Timestamp = date
        .parse()
        .map_err(|_| Error::str(format_args!("date {value} is not in the form of RFC 3339")))?;
    if moment.subsec_nanosecond() == 0 {
        Ok(Value::Int(moment.as_second()))
    } else {
        #[allow(clippy::cast_precision_loss)]
        let seconds = moment.as_microsecond() as f64 / 1e6;
        Ok(Value::from(seconds))
    }
}
