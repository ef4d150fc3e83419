//! jq's behaviour, program by program. Expectations were taken from jq 1.6 to 1.8.

#[test]
fn scratch() {
    let text = std::fs::read_to_string("/tmp/jq_truth.txt").unwrap();
    for line in text.lines() {
        let Some((program, expected)) = line.split_once("  =>  ") else { continue };
        let names = super::names();
        let ours = match super::Program::compile(&format!("[{program}]"), &names) {
            Err(e) => format!("SYNTAX {} {:?}", e.message, e.hint),
            Ok(p) => match p.evaluate(
                super::Value::Null,
                &super::Variables(vec![]),
                super::Budget::at(super::NOW),
            ) {
                Err(e) => format!("ERROR {}", e.message),
                Ok(v) => v.as_array().unwrap().iter().map(|v| v.to_json() + " ").collect(),
            },
        };
        if ours.trim() != expected.trim() && !(expected.contains("not defined")) {
            println!("{program}\n   jq   {expected}\n   ours {ours}");
        }
    }
}
