"""A web server of objects in memory, whose answers can be made wrong.

It speaks HTTP with ranges and ETags, and as much of S3 as an unsigned client needs: objects at
``/bucket/key``, lists, and multipart uploads.
"""

import hashlib
import threading
import urllib.parse
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

# What can be wrong with an answer, besides a status such as "503" or "403 ExpiredToken".
CUT = "cut"  # the connection ends in the middle of the body
REFUSED = "refused"  # the connection ends before an answer
SHORT = "short"  # fewer bytes than asked for, and the headers say so
LONG = "long"  # more bytes
SHIFTED = "shifted"  # other bytes than asked for, and the headers say so
WHOLE = "whole"  # 200 and the whole object, where a range was asked for
RESIZED = "resized"  # another total size in Content-Range
GARBAGE = "garbage"  # no HTTP
HANG = "hang"  # no answer until `released` is set, or the server stops
STALL = "stall"  # half of the body, then nothing

BODY_FAULTS = frozenset({CUT, SHORT, LONG, SHIFTED, WHOLE, RESIZED, STALL})


@dataclass
class Object:
    """An object in memory. `etag` and `modified` are left out of answers where None."""

    data: bytes
    etag: str | None
    modified: float | None = 1e9


@dataclass
class Upload:
    """A multipart upload that is not complete."""

    key: str
    parts: dict[int, bytes] = field(default_factory=dict)


class FaultyServer:
    """The server.

    Attributes
    ----------
    objects : by path, without a leading slash, decoded
    uploads : that are neither complete nor aborted
    faults : of the next requests, one after another; None: a right answer. HEAD and GET both count.
    always : the fault of each request when `faults` is empty
    every : a fault of every n-th request: (n, fault)
    redirects : by path: the URL that GET is sent to
    delay : seconds before each answer
    check_match : heed If-Match, If-Unmodified-Since
    requests, sent : number and bytes of answers, by method and path
    headers, query : those of the last request
    waiting : set while or after a request hangs
    released : to be set to have hanging requests end, without an answer
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.objects: dict[str, Object] = {}
        self.uploads: dict[str, Upload] = {}
        self.redirects: dict[str, str] = {}
        self.faults: deque[str | None] = deque()
        self.always: str | None = None
        self.every: tuple[int, str] | None = None
        self.delay = 0.0
        self.check_match = True
        self.requests: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.headers: dict[str, str] = {}
        self.query = ""
        self.waiting = threading.Event()
        self.released = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,))

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def s3_options(self) -> dict[str, object]:
        """`storage_options` for ``s3://``."""
        return {
            "endpoint": self.url, "region": "us-east-1", "skip_signature": True,
            "allow_http": True, "virtual_hosted_style_request": False,
        }  # fmt: skip

    def put(self, path: str, data: bytes, etag: bool = True) -> None:
        """Add an object, or replace one."""
        digest = '"' + hashlib.md5(data).hexdigest() + '"'
        self.objects[path] = Object(data, digest if etag else None)

    def total(self) -> int:
        """The number of requests so far."""
        return sum(self.requests.values())

    def count(self, request: str) -> str | None:
        """Count a request, and choose its fault."""
        with self.lock:
            self.requests[request] += 1
            if self.faults:
                return self.faults.popleft()
            if self.every and self.total() % self.every[0] == 0:
                return self.every[1]
            return self.always

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    """Run a server."""
    server = FaultyServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, owner: FaultyServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: _Server

    def log_message(self, *arguments: object) -> None:
        pass

    def handle(self) -> None:
        """All requests of a connection, until the client goes away."""
        with suppress(OSError):
            super().handle()

    def finish(self) -> None:
        """Close what is open also if the client has gone: what is left open is a warning, in
        whichever test runs when it is collected.
        """
        for each in (self.wfile, self.rfile):
            with suppress(OSError):
                each.close()

    def handle_one_request(self) -> None:
        """One request; all methods alike."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        owner = self.server.owner
        path, _, query = self.path.partition("?")
        self.key = urllib.parse.unquote(path).lstrip("/")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        if len(self.body) < length:  # the client has gone: no request, which takes no fault
            self.close_connection = True
            return
        fault = owner.count(f"{self.command} {self.key}")
        owner.headers, owner.query = dict(self.headers), query
        if owner.delay:
            owner.stopping.wait(owner.delay)
        if fault == HANG:
            owner.waiting.set()
            owner.released.wait()
        if fault in (HANG, REFUSED):
            self.close_connection = True
        elif fault == GARBAGE:
            self.wfile.write(b"\x00\x01 no HTTP\r\n\r\n")
            self.close_connection = True
        elif fault is not None and fault not in BODY_FAULTS:
            status, _, code = fault.partition(" ")
            self.error(int(status), code or ("SlowDown" if status == "503" else ""))
        else:
            self.serve(fault)
        self.wfile.flush()

    def serve(self, fault: str | None) -> None:
        owner, method = self.server.owner, self.command
        if method in ("GET", "HEAD"):
            if "list-type" in self.query:
                self.list()
            elif self.key in owner.redirects:
                self.reply(302, {"Location": owner.redirects[self.key]})
            else:
                self.get(fault)
        elif method == "POST" and "delete" in self.query:
            self.delete_several()
        elif method == "POST" and "uploads" in self.query:
            name = f"upload{len(owner.requests)}-{owner.total()}"
            owner.uploads[name] = Upload(self.key)
            self.xml(
                "<InitiateMultipartUploadResult>"
                f"<UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
            )
        elif "uploadId" in self.query and self.query["uploadId"] not in owner.uploads:
            self.error(404, "NoSuchUpload")
        elif method == "POST":
            upload = owner.uploads.pop(self.query["uploadId"])
            owner.put(upload.key, b"".join(data for _, data in sorted(upload.parts.items())))
            self.xml(
                '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>'
            )
        elif method == "PUT" and "uploadId" in self.query:
            owner.uploads[self.query["uploadId"]].parts[int(self.query["partNumber"])] = self.body
            self.reply(200, {"ETag": '"part"'})
        elif method == "PUT":
            owner.put(self.key, self.body)
            self.reply(200, {"ETag": '"x"'})
        elif method == "DELETE":
            if "uploadId" in self.query:
                del owner.uploads[self.query["uploadId"]]
            else:
                owner.objects.pop(self.key, None)
            self.reply(204, {})
        else:
            self.error(405, "MethodNotAllowed")

    def get(self, fault: str | None) -> None:
        """Answer GET or HEAD of an object."""
        owner = self.server.owner
        found = owner.objects.get(self.key)
        if found is None:
            self.error(404, "NoSuchKey")
            return
        headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if found.etag is not None:
            headers["ETag"] = found.etag
        if found.modified is not None:
            headers["Last-Modified"] = formatdate(found.modified, usegmt=True)
        match = self.headers.get("If-Match")
        since = self.headers.get("If-Unmodified-Since")
        changed = match is not None and match != found.etag
        changed |= match is None and since is not None and since != headers.get("Last-Modified")
        if changed and owner.check_match:
            self.error(412, "PreconditionFailed")
            return
        data, size, status = found.data, len(found.data), 200
        asked = self.headers.get("Range")
        if asked is not None and fault != WHOLE:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin = int(first) if first else max(size - int(last), 0)
            end = min(int(last) + 1, size) if first and last else size
            if begin >= end:
                self.error(416, "InvalidRange")
                return
            told = (begin, end)
            if fault == SHORT:
                told = (begin, end - 1)
            elif fault == LONG:
                told = (begin, end + 1)
            elif fault == SHIFTED:
                told = (begin + 1, end + 1)
            data, status = found.data[told[0] : told[1]].ljust(told[1] - told[0], b"\0"), 206
            total = size + 1 if fault == RESIZED else size
            headers["Content-Range"] = f"bytes {told[0]}-{told[1] - 1}/{total}"
        self.reply(status, headers, data, fault)

    def list(self) -> None:
        """Answer ListObjectsV2, in pages of three entries at most."""
        objects = self.server.owner.objects
        bucket = self.key.rstrip("/") + "/"
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter")
        after = self.query.get("continuation-token", self.query.get("start-after", ""))
        entries: dict[str, int | None] = {}  # None: a common prefix
        for key in sorted(path[len(bucket) :] for path in objects if path.startswith(bucket)):
            rest = key[len(prefix) :]
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                entries[prefix + rest.partition(delimiter)[0] + delimiter] = None
            else:
                entries[key] = len(objects[bucket + key].data)
        left = [name for name in entries if name > after]
        page = left[:3]
        text = ""
        for name in page:
            size, shown = entries[name], escape(name)
            if size is None:
                text += f"<CommonPrefixes><Prefix>{shown}</Prefix></CommonPrefixes>"
                continue
            text += (
                f"<Contents><Key>{shown}</Key><LastModified>2020-01-01T00:00:00.000Z"
                f'</LastModified><ETag>"x"</ETag><StorageClass>STANDARD</StorageClass>'
                f"<Size>{size}</Size></Contents>"
            )
        more = len(left) > len(page)
        if more:
            text += f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>"
        self.xml(
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"<KeyCount>{len(page)}</KeyCount>{text}</ListBucketResult>"
        )

    def delete_several(self) -> None:
        """Answer DeleteObjects."""
        text = self.body.decode()
        bucket = self.key.rstrip("/") + "/"
        keys = [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]
        for key in keys:
            self.server.owner.objects.pop(bucket + key, None)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self.xml(f"<DeleteResult>{deleted}</DeleteResult>")

    def xml(self, text: str, status: int = 200) -> None:
        data = b'<?xml version="1.0" encoding="UTF-8"?>' + text.encode()
        self.reply(status, {"Content-Type": "application/xml"}, data)

    def error(self, status: int, code: str) -> None:
        """Answer as S3 does, or, without a code, by nothing but the status."""
        if not code:
            self.reply(status, {})
            return
        self.xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)

    def reply(
        self, status: int, headers: dict[str, str], data: bytes = b"", fault: str | None = None
    ) -> None:
        owner = self.server.owner
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault in (CUT, STALL):
            data = data[: len(data) // 2]
            self.close_connection = True
        self.wfile.write(data)
        with owner.lock:
            owner.sent[f"{self.command} {self.key}"] += len(data)
        if fault == STALL:
            self.wfile.flush()
            owner.waiting.set()
            owner.stopping.wait()
