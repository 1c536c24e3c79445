"""A small service for the flow beside it: the laureates of `examples/data/nobel.csv`, a hundred to a page.

    python examples/prizes/serve.py [PORT]

`GET /laureates?after=CURSOR` answers `{"laureates": [...], "next": CURSOR or null}`. Port 0 takes a free one; the first
line on stdout is the address.
"""

from __future__ import annotations

import csv
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = 100
FACTS = Path(__file__).resolve().parents[1] / "data" / "nobel.csv"


def laureates() -> list[dict[str, object]]:
    with FACTS.open(encoding="utf-8", newline="") as file:
        return [{**row, "year": int(row["year"]), "born": int(row["born"])} for row in csv.DictReader(file)]


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rows = laureates()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        start = int(parse_qs(parts.query).get("after", ["0"])[0])
        following = start + PAGE if start + PAGE < len(self.rows) else None
        page = {"laureates": self.rows[start : start + PAGE], "next": following}
        found = parts.path == "/laureates"
        body = json.dumps(page if found else {"error": "no such page"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing of each request."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8901), Service)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
