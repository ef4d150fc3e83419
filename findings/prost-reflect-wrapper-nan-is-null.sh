#!/usr/bin/env bash
# prost-reflect 0.16.5 (crates.io) writes a DoubleValue or FloatValue that holds NaN or an infinity as JSON null, which
# is a wrapper that is not there; a plain field of type double it writes as "NaN" or "Infinity", as the JSON mapping of
# Protocol Buffers has it for both. Python's protobuf writes "NaN" for the wrapper too. Nothing tells of the loss.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
prost-reflect = { version = "=0.16.5", features = ["serde"] }
serde_json = "1"
TOML
cat > src/main.rs <<'RS'
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

fn main() {
    let kind = DescriptorPool::global().get_message_by_name("google.protobuf.DoubleValue").unwrap();
    let mut wrapper = DynamicMessage::new(kind);
    wrapper.set_field_by_name("value", Value::F64(f64::NAN));
    println!("prost-reflect: {}", serde_json::to_string(&wrapper).unwrap());
}
RS
cargo run --quiet | tee seen
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check protobuf==7.36.2
venv/bin/python - <<'PY' | tee -a seen
from google.protobuf import json_format, wrappers_pb2
print("python:", json_format.MessageToJson(wrappers_pb2.DoubleValue(value=float("nan"))))
PY
diff - seen <<'EXPECTED'
prost-reflect: null
python: "NaN"
EXPECTED
