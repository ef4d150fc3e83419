#!/usr/bin/env bash
# grpcio-reflection 1.85.1 (PyPI), the official Python server reflection, answers on grpc.reflection.v1alpha and not on
# grpc.reflection.v1, which replaced it: a client that speaks v1 alone gets UNIMPLEMENTED and must fall back. Asked for the
# file that has a symbol, it finds a service and not the service's method.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.1 grpcio-reflection==1.85.1 grpcio-health-checking==1.85.1
cat > ask.py <<'PY'
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

server = grpc.server(futures.ThreadPoolExecutor())
health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
reflection.enable_server_reflection(["grpc.health.v1.Health", reflection.SERVICE_NAME], server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")


def ask(package, symbol):
    method = channel.stream_stream(
        f"/grpc.reflection.{package}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    question = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    try:
        return next(method(iter([question]), timeout=30)).WhichOneof("message_response")
    except grpc.RpcError as error:
        return error.code().name


for package, symbol in [
    ("v1", "grpc.health.v1.Health"),
    ("v1alpha", "grpc.health.v1.Health"),
    ("v1alpha", "grpc.health.v1.Health.Check"),
]:
    print(package, symbol, ask(package, symbol))
server.stop(None)
PY
venv/bin/python ask.py | tee seen
diff - seen <<'EXPECTED'
v1 grpc.health.v1.Health UNIMPLEMENTED
v1alpha grpc.health.v1.Health file_descriptor_response
v1alpha grpc.health.v1.Health.Check error_response
EXPECTED
