use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::{has_answer, last_end, read};
use crate::perform::json_rpc::message::Reply;
use crate::testing::json;

fn of_type(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
}

const STREAM: &str = ": hello\n\nid: 7\nretry: 250\ndata:\n\n\
    event: message\ndata: {\"method\": \"notifications/progress\"}\n\n\
    id: 8\ndata: {\"id\": 3,\ndata: \"result\": {\"é\": 1}}\n\nid: 9\ndata: later\n\n";

#[test]
fn an_answer_is_found_in_lines_of_any_end() {
    for end in ["\n", "\r\n", "\r"] {
        let told = read(STREAM.replace('\n', end).as_bytes(), None, |_| true);
        let [Reply::Result(result)] = &*told.replies else { panic!("{end:?}") };
        assert_eq!(*result, json(r#"{"é": 1}"#));
        assert_eq!((told.last.as_deref(), told.pause), (Some("8"), Some(250)));
    }
}

#[test]
fn a_stream_that_breaks_off_tells_where_to_go_on() {
    let cut = STREAM.find("}}").unwrap_or_default();
    let told = read(&STREAM.as_bytes()[..cut], None, |_| true);
    assert!(told.replies.is_empty());
    assert_eq!((told.last.as_deref(), told.pause), (Some("8"), Some(250)));
    assert!(read(b"", None, |_| true).last.is_none());
}

#[test]
fn a_stream_is_read_no_further_than_the_answer_wherever_it_is_cut() {
    let headers = of_type("text/event-stream; charset=utf-8");
    for end in ["\n", "\r\n", "\r"] {
        let stream = STREAM.replace('\n', end);
        let after = stream.find("id: 9").unwrap_or_default();
        for size in 1..40 {
            let ends = (size..stream.len()).step_by(size).chain([stream.len()]);
            let mut parts = std::iter::once(0).chain(ends.clone()).zip(ends);
            let is_enough = |(from, to): &(usize, usize)| {
                has_answer(&headers, &stream.as_bytes()[..*to], *from)
            };
            let (_, seen) = parts.find(is_enough).unwrap_or_default();
            assert!(seen >= after - 1 && seen < after + size, "{end:?} in parts of {size}: {seen}");
        }
    }
    assert!(!has_answer(&of_type("application/json"), STREAM.as_bytes(), 0));
}

#[test]
fn a_server_that_asks_back_is_not_waited_for() {
    let asks = "data: {\"id\": 0, \"method\": \"ping\"}\n\n\
        data: {\"id\": 1, \"method\": \"elicitation/create\", \"params\": {}}\n\n";
    let told = read(asks.as_bytes(), None, |_| true);
    let [Reply::Error(error)] = &*told.replies else { panic!("{:?}", told.replies) };
    assert!(error.message.contains("elicitation/create"), "{}", error.message);
    assert!(has_answer(&of_type("text/event-stream"), asks.as_bytes(), 0));
}

#[test]
fn an_answer_to_another_request_is_passed_over() {
    let stream = "data: {\"id\": 1, \"result\": 1}\n\ndata: {\"id\": 3, \"result\": 3}\n\n";
    let told = read(stream.as_bytes(), Some(3), |_| true);
    let [Reply::Result(result)] = &*told.replies else { panic!("{:?}", told.replies) };
    assert_eq!(*result, json("3"));
    assert!(read(stream.as_bytes(), Some(4), |_| true).replies.is_empty());
}

#[test]
fn the_last_event_that_is_complete_is_found_from_the_end() {
    for (stream, end) in [
        ("", 0),
        ("data: 1", 0),
        ("data: 1\n\n", 9),
        ("data: 1\n\ndata: 2", 9),
        ("data: 1\r\n\r\ndata: 2\r\n", 11),
        ("data: 1\r\rdata: 2\n\ndata", 18),
        ("a\n\nb\r\n\r\nc", 8),
    ] {
        assert_eq!(last_end(stream.as_bytes()), end, "{stream:?}");
    }
}
