"""A collector of traces for tests: reads what OTLP posts by the original library's messages, and answers as it is told to.

Usage: collector.py PORT [CERTIFICATE KEY AUTHORITY]. Serves until it is ended; with the latter over TLS, and only clients whose
certificates this authority signed.

POST /v1/traces   takes spans, or answers the next of what was told
GET  /seen        what it took: `spans`, and the `requests` with their headers and status
POST /answers     a list of answers to give first: `{"status": 503, "retry_after": "1", "text": …}` or `{"rejected": 2}`
"""

import gzip
import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

lock = threading.Lock()
answers = []
seen = {"spans": [], "requests": []}


def values(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def spans(body):
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "resource": values(resource.resource.attributes),
                    "scope": scope.scope.name,
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "state": span.trace_state,
                    "flags": span.flags,
                    "name": span.name,
                    "kind": span.kind,
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "attributes": values(span.attributes),
                    "status": span.status.code,
                    "message": span.status.message,
                }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def answer(self, status, body, kind="application/json", **headers):
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with lock:
            self.answer(200, json.dumps(seen).encode())

    def do_POST(self):
        body = self.body()
        if self.path == "/answers":
            with lock:
                answers[:] = json.loads(body)
            return self.answer(200, b"{}")
        assert self.headers["content-type"] == "application/x-protobuf", self.headers["content-type"]
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        found = list(spans(body))
        with lock:
            told = answers.pop(0) if answers else {}
            status = told.get("status", 200)
            seen["requests"].append(
                {"path": self.path, "headers": dict(self.headers), "status": status, "time": time.time(), "spans": len(found)}
            )
            if status == 200:
                seen["spans"].extend(found)
        if status != 200:
            after = {"retry_after": told["retry_after"]} if "retry_after" in told else {}
            return self.answer(status, told.get("text", "").encode(), "text/plain", **after)
        response = ExportTraceServiceResponse()
        if "rejected" in told:
            response.partial_success.rejected_spans = told["rejected"]
            response.partial_success.error_message = "some are too old"
        self.answer(200, response.SerializeToString(), "application/x-protobuf")


ThreadingHTTPServer.allow_reuse_address = True
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
if len(sys.argv) > 2:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=sys.argv[4])
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
