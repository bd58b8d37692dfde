"""HTTP/1.1 on a loopback port, with TLS or without, one thread for each connection.

Owns: sockets, what a request is, how long an answer takes. Must not know what is asked. Threads and not an event loop,
because a loop's timers are whole milliseconds and a quarter of one is wanted; the interpreter's lock is free while a
thread waits for its socket, for OpenSSL or for the answer's time.
"""

import contextlib
import importlib.util
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
REASONS = {200: "OK", 202: "Accepted", 400: "Bad Request"}


@dataclass
class Asked:
    """One request, and when it was read, answered and written (monotonic seconds)."""

    service: str
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float
    ready: float = 0.0  # the answer was there, and from here on only time had to pass
    end: float = 0.0
    action: str = ""
    detail: object = None  # what the answering side noted of it


@dataclass
class Reply:
    body: bytes
    kind: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[Asked], Reply | None]  # none: the connection ends


class Listener:
    """A port that hands each request to `answer`. Its reply leaves `latency()` seconds after the request was read."""

    def __init__(
        self, service: str, answer: Answer, *, tls: ssl.SSLContext | None = None, latency: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._service, self._answer, self._tls, self._latency = service, answer, tls, latency
        self._connections: set[socket.socket] = set()
        self.accepted = 0
        self._socket = socket.create_server((HOST, 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    def close(self) -> None:
        for each in [self._socket, *self._connections]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(connection)
        try:
            with contextlib.suppress(OSError, ValueError):
                if self._tls:
                    plain, connection = connection, self._tls.wrap_socket(connection, server_side=True)
                    self._connections.discard(plain)
                    self._connections.add(connection)
                while self._one(connection):
                    pass
        finally:
            self._connections.discard(connection)
            connection.close()

    def _one(self, connection: socket.socket) -> bool:
        head, rest = _until(connection, b"", b"\r\n\r\n")
        if not head:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = _body(connection, headers, rest)
        asked = Asked(self._service, method, path, headers, body, time.monotonic())
        due = asked.at + self._latency()
        reply = self._answer(asked)
        asked.ready = time.monotonic()
        if reply is None:
            return False
        if due > asked.ready:
            time.sleep(due - asked.ready)
        fields = {"content-type": reply.kind, "content-length": str(len(reply.body)), **reply.headers}
        top = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        connection.sendall(f"HTTP/1.1 {reply.status} {REASONS[reply.status]}\r\n{top}\r\n".encode() + reply.body)
        asked.end = time.monotonic()
        return True


def _until(connection: socket.socket, read: bytes, mark: bytes) -> tuple[bytes, bytes]:
    """What stands before the mark and what was read after it; nothing when the other side is gone."""
    while mark not in read:
        more = connection.recv(65536)
        if not more:
            return b"", b""
        read += more
    before, _, after = read.partition(mark)
    return before, after


def _body(connection: socket.socket, headers: dict[str, str], read: bytes) -> bytes:
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            size, read = _until(connection, read, b"\r\n")
            chunk, read = _exactly(connection, read, int(size, 16) + 2)
            if chunk == b"\r\n":
                return body
            body += chunk[:-2]
    return _exactly(connection, read, int(headers.get("content-length", 0)))[0]


def _exactly(connection: socket.socket, read: bytes, size: int) -> tuple[bytes, bytes]:
    while len(read) < size:
        more = connection.recv(65536)
        if not more:
            raise OSError("the connection ended inside a body")
        read += more
    return read[:size], read[size:]


# --- TLS ------------------------------------------------------------------------------------------------------------------


def authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate authority of this run: the file that clients have to trust, and what the server shows them.

    The authority stands in that file among those that everybody trusts, since reading them all costs a client time.
    """
    now = datetime.now(timezone.utc)

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, issuer: str) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(_named(name)).issuer_name(_named(issuer))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    trusted = certificate("bench authority", root, "bench authority")
    trusted = trusted.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    trusted = trusted.add_extension(x509.SubjectKeyIdentifier.from_public_key(root.public_key()), critical=False)
    signs = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    trusted = trusted.add_extension(signs, critical=True).sign(root, hashes.SHA256())
    shown = certificate("canned AWS", leaf, "bench authority")
    shown = shown.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    shown = shown.add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOST))]), critical=False)
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
    shown = shown.add_extension(by, critical=False).sign(root, hashes.SHA256())

    pem = serialization.Encoding.PEM
    trusted_file, chain = folder / "authority.pem", folder / "server.pem"
    (botocore,) = importlib.util.find_spec("botocore").submodule_search_locations
    trusted_file.write_bytes(trusted.public_bytes(pem) + (Path(botocore) / "cacert.pem").read_bytes())
    private = leaf.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(private + shown.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return trusted_file, context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
