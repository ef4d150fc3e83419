#!/usr/bin/env bash
# rotel 0.0.1a15 (PyPI), a collector for OpenTelemetry, is told `--otlp-exporter-compression none` and gzips what it
# exports over OTLP/HTTP all the same: a receiver that takes identity alone cannot stand behind it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check rotel==0.0.1a15 opentelemetry-proto==1.39.1
agent=$(find venv -name rotel-agent | head -1)
cat > receive.py <<'PY'
import atexit
import http.server
import socket
import subprocess
import sys
import threading
import time
import urllib.request

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

seen = {}
both = threading.Event()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        seen[self.path] = self.headers.get("content-encoding")
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()
        if len(seen) == 2:
            both.set()

    def log_message(self, *_):
        pass


def free():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
intake = free()
collector = subprocess.Popen(
    [
        sys.argv[1], "start", "--exporter", "otlp", "--otlp-exporter-protocol", "http",
        "--otlp-exporter-endpoint", f"http://127.0.0.1:{server.server_port}",
        "--otlp-exporter-compression", "none",
        "--otlp-http-endpoint", f"127.0.0.1:{intake}", "--otlp-grpc-endpoint", f"127.0.0.1:{free()}",
    ],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
atexit.register(collector.kill)

traces = ExportTraceServiceRequest()
span = traces.resource_spans.add().scope_spans.add().spans.add()
span.trace_id, span.span_id, span.name = bytes([1] * 16), bytes([2] * 8), "a"
span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
metrics = ExportMetricsServiceRequest()
metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add()
metric.name = "b"
point = metric.gauge.data_points.add()
point.as_int, point.time_unix_nano = 1, time.time_ns()


def send(path, message):
    body = message.SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    request = urllib.request.Request(f"http://127.0.0.1:{intake}{path}", body, headers)
    for _ in range(300):
        try:
            return urllib.request.urlopen(request, timeout=10).status
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the collector does not take it")


send("/v1/traces", traces)
send("/v1/metrics", metrics)
both.wait(60)
for path in sorted(seen):
    print(path, seen[path])
PY
venv/bin/python receive.py "$agent" | tee seen
diff - seen <<'EXPECTED'
/v1/metrics gzip
/v1/traces gzip
EXPECTED
