use uuid::Uuid;

use super::*;
use crate::id::{FrameId, InstanceId};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn instance() -> InstanceId {
    InstanceId(Uuid::from_u128(0x0190_c2f1_8f9a_7d3c_9a51_0c6f_1c1d_2e3f))
}

#[test]
fn a_traceparent_is_read_as_the_standard_says() {
    let read = TraceContext::parse(PARENT, None).unwrap();
    assert_eq!(read.trace_id.number(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!(read.span_id.number(), 0xb7ad_6b71_6920_3331);
    assert!(read.sampled);
    assert_eq!(read.traceparent(), PARENT);
    // Known flags go on as they came, and those that only later versions know are cleared.
    for (flags, kept) in [("00", "00"), ("02", "02"), ("03", "03"), ("fd", "01"), ("ff", "03")] {
        let read = TraceContext::parse(&PARENT.replace("-01", &format!("-{flags}")), None).unwrap();
        assert_eq!(read.traceparent(), PARENT.replace("-01", &format!("-{kept}")));
        assert_eq!((read.sampled, read.random), (kept.ends_with(['1', '3']), kept >= "02"));
    }
    let later = format!("{}-more", PARENT.replace("00-", "42-"));
    assert_eq!(TraceContext::parse(&later, None).unwrap().traceparent(), PARENT);
    for wrong in [
        "",
        "00",
        &PARENT[..54],
        &format!("{PARENT}-more"),
        &PARENT.replace("00-", "ff-"),
        &PARENT.to_uppercase(),
        &PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
        &PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
        &PARENT.replace("-01", "-0g"),
        &PARENT.replace("-01", "+01"),
        &PARENT.replace('-', "_"),
        &format!("42{}.more", &PARENT[2..]),
        &format!("{}ä", &PARENT[..54]),
    ] {
        assert_eq!(TraceContext::parse(wrong, None), Err(TraceparentError), "{wrong}");
    }
}

#[test]
fn a_tracestate_is_kept_as_far_as_there_is_room() {
    let state = |text: &str| TraceContext::parse(PARENT, Some(text)).unwrap().state;
    assert_eq!(state("a=1, b@c/d=x y ,").as_deref(), Some("a=1,b@c/d=x y"));
    // All that the grammar of level 2 allows in a key.
    let keys = format!("t@{}=1,a@b@c=2,2=3,a_-*/@=4", "x".repeat(20));
    assert_eq!(state(&keys).as_deref(), Some(&*keys));
    let long_key = format!("{}=1", "k".repeat(257));
    for wrong in ["", "a", "A=1", "=1", "a=", "a=b=c", "a=\u{7f}", "a=ä", "@a=1", "_=1", &long_key]
    {
        assert_eq!(state(wrong), None, "{wrong}");
        assert_eq!(state(&format!("x=1,{wrong},y=2")).as_deref(), Some("x=1,y=2"), "{wrong}");
    }
    let long = |count: usize| {
        (0..count).map(|it| format!("k{it}={}", "v".repeat(96))).collect::<Vec<_>>().join(",")
    };
    assert_eq!(state(&long(20)).as_deref(), Some(&*long(5)));
    let one = format!("{},big={},last=1", long(4), "v".repeat(140));
    assert_eq!(state(&one).as_deref(), Some(&*format!("{},last=1", long(4))), "long ones first");
    let exact = format!("a={},b={}", "v".repeat(253), "v".repeat(254));
    assert_eq!((exact.len(), state(&exact).as_deref()), (512, Some(&*exact)));
    assert_eq!(state(&long(33)), None, "more members than there may be");
}

#[test]
fn contexts_are_written_and_read_again() {
    for state in [None, Some("a=1")] {
        let context = TraceContext::parse(PARENT, state).unwrap();
        let bytes = rmp_serde::to_vec(&context).unwrap();
        assert_eq!(rmp_serde::from_slice::<TraceContext>(&bytes).unwrap(), context);
    }
}

/// Spans that are exported again must be the same spans: these numbers never change.
#[test]
fn ids_follow_from_what_they_are_of() {
    let (id, frame) = (instance(), FrameId(7));
    assert_eq!(trace_of(id).to_string(), "0190c2f18f9a7d3c9a510c6f1c1d2e3f");
    assert_eq!(span_of_instance(id).to_string(), "004e144736cc4b0e");
    assert_eq!(span_of_visit(id, frame).to_string(), "e79533ab8b8c1c0c");
    assert_eq!(span_of_delivery(id, frame, 2).to_string(), "0e9d10e8f29c9a7c");
    assert_ne!(span_of_delivery(id, frame, 1), span_of_delivery(id, frame, 2));
    assert_eq!(trace_of(InstanceId(Uuid::nil())).number(), 1, "zero stands for none");
}

#[test]
fn a_ratio_takes_its_share_though_ids_begin_with_the_time() {
    let ids = |of: u128| (0..10_000_u128).map(move |it| TraceId::new((of << 80) | (it << 22)));
    for (ratio, least, most) in
        [(0.0, 0, 0), (0.01, 60, 140), (0.5, 4_800, 5_200), (1.0, 10_000, 10_000)]
    {
        let taken = ids(0x0190_c2f1_8f9a).filter(|it| is_within_ratio(*it, ratio)).count();
        assert!((least..=most).contains(&taken), "{ratio}: {taken}");
    }
}
