"""Storage that answers late, as it does on a machine where many tasks start at once: a worker waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from pyiceberg.io import load_file_io

from eventlake.settings import Settings
from eventlake_aws.iceberg_catalog import open_catalog

# Arrow would give up after 3
ANSWERS_AFTER_SECONDS = 3.5


class LateStorage(BaseHTTPRequestHandler):
    """Every object is there, and has five bytes."""

    def do_HEAD(self) -> None:
        time.sleep(ANSWERS_AFTER_SECONDS)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def late_endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), LateStorage)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_worker_waits_for_storage_that_answers_late(late_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", late_endpoint)
    files = load_file_io(open_catalog(Settings()).properties)
    assert len(files.new_input("s3://bucket/object")) == 5
