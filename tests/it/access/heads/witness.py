"""Keeps what is delivered and signed by who knows the secret, a line each; refuses the first."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

secret, kept = sys.argv[1], sys.argv[2]
refused = False


class Witness(BaseHTTPRequestHandler):
    def do_POST(self):
        global refused
        body = self.rfile.read(int(self.headers["content-length"]))
        if not refused:
            refused = True
            return self.answer(503)
        try:
            Webhook(secret).verify(body, dict(self.headers))
        except WebhookVerificationError as error:
            print(f"refused: {error}", file=sys.stderr, flush=True)
            return self.answer(400)
        with open(kept, "ab") as file:
            file.write(body + b"\n")
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Witness)
print(f"listening on {server.server_port}", file=sys.stderr, flush=True)
server.serve_forever()
