"""A gRPC server of grpcio, which tells each call and its end on its standard output.

With `--reflect` it tells clients of its types as well, with `--guarded` only those with a token.
"""

import json
import sys
import threading
from concurrent import futures

import grpc

PACKAGE = "acme/echo/v1/echo.proto"


def tell(**what):
    print(json.dumps(what), flush=True)


def codes():
    return {code.value[0]: code for code in grpc.StatusCode}


def begin(method, context):
    metadata = [[key, str(value)] for key, value in context.invocation_metadata()]
    left = context.time_remaining()
    # An endless deadline comes as a huge number.
    left = left if left is not None and left < 1e9 else None
    tell(event="call", method=method, metadata=metadata, left=left)


def reflect(server, is_guarded):
    from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

    class Reflection(reflection.ReflectionServicer):
        def ServerReflectionInfo(self, requests, context):
            begin("ServerReflectionInfo", context)
            token = dict(context.invocation_metadata()).get("authorization")
            if is_guarded and token != "Bearer g00d-token":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, f"nothing for {token}")
            yield from super().ServerReflectionInfo(requests, context)

    servicer = Reflection(["acme.echo.v1.Echo", reflection.SERVICE_NAME])
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)


def main(folder, *arguments):
    flags = {it for it in arguments if it.startswith("--")}
    certificate, key, authority = ([it for it in arguments if it not in flags] + [None] * 3)[:3]
    sys.path.insert(0, folder)
    types, services = grpc.protos_and_services(PACKAGE)

    class Echo(services.EchoServicer):
        waited = False

        def Say(self, request, context):
            begin("Say", context)
            if request.text == "denied":
                token = dict(context.invocation_metadata()).get("authorization")
                if token != "Bearer g00d-token":
                    context.abort(grpc.StatusCode.UNAUTHENTICATED, f"not with {token}")
            return request

        def All(self, request, context):
            begin("All", context)
            return request

        def Fail(self, request, context):
            begin("Fail", context)
            context.abort(codes()[request.status], request.message)

        def Wait(self, request, context):
            ended = threading.Event()
            context.add_callback(ended.set)
            begin("Wait", context)
            if request.text == "once" and self.waited:
                return request
            self.waited = True
            ended.wait()
            tell(event="end", method="Wait", text=request.text)
            return request

        def Fill(self, request, context):
            begin("Fill", context)
            return types.Words(text="x" * request.upTo)

        def Count(self, request, context):
            begin("Count", context)
            for value in range(request.upTo):
                yield types.Number(value=value)
            if request.status:
                context.abort(codes()[request.status], "enough")

        def Sum(self, requests, context):
            begin("Sum", context)
            return types.Number(value=sum(it.value for it in requests))

        def Chat(self, requests, context):
            begin("Chat", context)
            for request in requests:
                yield types.Words(text=request.text.upper())

    server = grpc.server(
        futures.ThreadPoolExecutor(32), options=[("grpc.max_send_message_length", -1)]
    )
    services.add_EchoServicer_to_server(Echo(), server)
    if "--reflect" in flags:
        reflect(server, "--guarded" in flags)
    if certificate:
        with open(certificate, "rb") as chain, open(key, "rb") as private:
            pair = (private.read(), chain.read())
        trusted = open(authority, "rb").read() if authority else None
        # Clients have to show a certificate where there is an authority for them.
        credentials = grpc.ssl_server_credentials([pair], trusted, authority is not None)
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    tell(event="listening", port=port)
    server.wait_for_termination()


main(*sys.argv[1:])
