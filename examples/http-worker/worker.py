#!/usr/bin/env python3
"""A Windlass worker over HTTP, of Python's standard library alone: no NATS, nothing to install.

Copy this file and replace the functions at its end. It takes turns as docs/workers.md says.

    windlass dev                      # or a coordinator, and WINDLASS_URL and WINDLASS_TOKEN
    python3 worker.py
"""

import http.client, json, os, secrets, signal, socket, sys, threading, time, urllib.error, urllib.request

URL = os.environ.get("WINDLASS_URL", "http://127.0.0.1:7400").rstrip("/")
TOKEN = os.environ.get("WINDLASS_TOKEN")
MOST = 8 << 20  # bytes of the reports in one turn: a body of more than 16 MiB is refused


# The server is away, or was ended in the middle of an answer.
AWAY = (OSError, http.client.HTTPException, ValueError, KeyError)


class Problem(Exception):
    """Raise it to end the task with an error of this type; definitions catch it with `try`."""

    def __init__(self, type, status, detail=None, title=None):
        super().__init__(detail or title or type)
        fields = {"type": type, "status": status, "title": title, "detail": detail}
        self.fields = {name: it for name, it in fields.items() if it is not None}


def ask(path, body):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {TOKEN}"} if TOKEN else {})
    request = urllib.request.Request(URL + path, json.dumps(body, allow_nan=False).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Worker:
    """Serves the functions of a dict: name to `def function(arguments, call)`."""

    def __init__(self, functions, concurrency=8):
        identity = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self.me = {"identity": identity, "functions": list(functions), "concurrency": concurrency}
        self.functions, self.lock, self.leaving = functions, threading.Lock(), threading.Event()
        # By delivery: nothing while it runs, then its report and how long that is, until it is settled.
        self.held = {}
        self.cancelled, self.session, self.seen = set(), None, 0

    def run(self):
        """Works until SIGTERM or SIGINT, then finishes what runs."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.leaving.set())
        while not (self.leaving.is_set() and not self.held):
            try:
                if self.session is None:
                    self.join()
                self.turn()
            except urllib.error.HTTPError as error:
                if error.code == 404 and self.session:
                    self.session = None  # join again: what is held stays held
                elif error.code in (401, 403) or self.session is None and error.code in (400, 409):
                    sys.exit(f"refused: {error.read().decode()}")
                else:
                    # Also what is wrong with a turn: other calls run, and must not end with it.
                    print(f"refused: {error.read().decode()}", file=sys.stderr, flush=True)
                    time.sleep(0.5)
            except AWAY:
                time.sleep(0.5)  # the server is away, or the connection broke: the turn is repeated
        if self.session:
            try:
                ask(f"/v1/worker-sessions/{self.session}/turns", {"goodbye": True})
            except AWAY:
                pass  # then its silence tells

    def join(self):
        session = ask("/v1/worker-sessions", self.me)["session"]
        with self.lock:
            self.session, self.seen = session, 0
        print("joined as", session, file=sys.stderr, flush=True)

    def reports(self):
        """As many reports as one turn carries; the others are for the next ones."""
        room = MOST
        for report, length in filter(None, self.held.values()):
            room -= length
            if room >= 0:
                yield report

    def turn(self, **more):
        """Says what is held and what came of it; takes what there is to do."""
        with self.lock:
            session, reports = self.session, list(self.reports())
            turn = {"seen": self.seen, "held": list(self.held), "reports": reports,
                    "leaving": self.leaving.is_set(), **more}
        answer = ask(f"/v1/worker-sessions/{session}/turns", turn)
        for refused in answer.get("refused", []):
            print("a report was refused:", refused, file=sys.stderr, flush=True)
        with self.lock:
            if session != self.session or answer["number"] <= self.seen:
                return  # nothing new, or a repeat of what was taken
            self.seen = answer["number"]
            for settled in answer["settled"]:
                self.held.pop(settled["delivery"], None)
            self.cancelled |= {it for it in answer["cancelled"] if it in self.held}
            for call in answer["calls"]:
                self.held[call["delivery"]] = None
                threading.Thread(target=self.perform, args=[call], daemon=True).start()

    def perform(self, call):
        delivery = call["delivery"]
        try:
            try:
                report = {"output": self.functions[call["function"]](call["arguments"], call)}
            except Problem as problem:
                report = {"error": problem.fields}
            length = len(json.dumps(report, allow_nan=False))
            if length > MOST - 1024:
                raise ValueError(f"the result is {length} bytes of JSON, more than {MOST - 1024}")
        except Exception as error:
            runtime = "https://serverlessworkflow.io/spec/1.0.0/errors/runtime"
            detail = f"{type(error).__name__}: {error}"[:4096]
            report, length = {"error": {"type": runtime, "status": 500, "detail": detail}}, 32768
        with self.lock:
            if delivery in self.cancelled:
                self.cancelled.discard(delivery)
                del self.held[delivery]
                return
            self.held[delivery] = ({"delivery": delivery, **report}, length + 1024)
        try:
            self.turn(waitMs=0)  # at once; where it fails, the next turn says it again
        except AWAY:
            pass


def price(arguments, call):
    if arguments["price"] < 0:
        raise Problem("https://example.com/errors/price", 422, "a price is not negative")
    return {"gross": round(arguments["price"] * 1.2, 2)}


if __name__ == "__main__":
    Worker({"price": price}).run()
