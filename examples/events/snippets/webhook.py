"""Receive webhooks with Python's own web server: verify first, store, answer at once."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from renkei_client import WebhookRefused, verify_webhook

SECRETS = [Path(os.environ.get("WEBHOOK_SECRET", "secrets/welfare")).read_text()]  # two while the secret is changed
MOST_BYTES = 1024 * 1024


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        if length > MOST_BYTES:
            self.send_error(413)
            return
        try:
            event = verify_webhook(dict(self.headers), self.rfile.read(length), SECRETS)
        except WebhookRefused as refused:
            self.send_error(400, str(refused))
            return
        # Here: store the event and event.delivery in one transaction; a delivery that is there already changes nothing.
        print(event.delivery, event.type, flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8088"))), Receiver)
    print("listening", flush=True)
    server.serve_forever()
