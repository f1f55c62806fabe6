"""A site that reads paths as applications do: each in another way, and all of them decode.

    python3 site.py PORT

Answers `PAID` when one of them finds the request's path at or below /premium.
"""

import posixpath
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, unquote_to_bytes


def resolved(path):
    """Without empty and dot segments, as a file server resolves it."""
    return posixpath.normpath("/" + path.lstrip("/"))


def file_server(target):
    """Python's own: http.server.SimpleHTTPRequestHandler.translate_path."""
    path = target.split("?", 1)[0].split("#", 1)[0]
    return resolved(unquote(path, errors="surrogatepass"))


def wsgi(target):
    """PATH_INFO: bytes as Latin-1."""
    return resolved(unquote_to_bytes(target.split("?", 1)[0]).decode("latin-1"))


def servlet(target):
    """Parameters of segments go first, then it decodes: Tomcat, Jetty."""
    path = re.sub(r";[^/]*", "", target.split("?", 1)[0])
    return resolved(unquote(path))


def late_servlet(target):
    """The same in the other order."""
    return resolved(re.sub(r";[^/]*", "", unquote(target.split("?", 1)[0])))


def windows(target):
    """A backslash is a slash."""
    return resolved(unquote(target.split("?", 1)[0]).replace("\\", "/"))


def c_string(target):
    """A null ends it."""
    return resolved(unquote(target.split("?", 1)[0]).split("\0", 1)[0])


def twice(target):
    """Decoded by the server, and by the application once more."""
    return resolved(unquote(unquote(target.split("?", 1)[0])))


def again(target):
    """Decoded, and read as a target once more: a rewriting proxy that forgets to encode."""
    return resolved(re.split(r"[?#]", unquote(target.split("?", 1)[0]))[0])


READERS = [file_server, wsgi, servlet, late_servlet, windows, c_string, twice, again]


def paying_reader(target):
    for reader in READERS:
        path = reader(target)
        if path == "/premium" or path.startswith("/premium/"):
            return reader.__name__
    return None


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        # `self.path` has lost a leading slash of two; the line has not.
        target = self.requestline.split(" ")[1]
        reader = paying_reader(target)
        body = f"PAID: {reader} of {target}\n" if reader else "FREE\n"
        body = body.encode("utf-8", "surrogatepass")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Site).serve_forever()
