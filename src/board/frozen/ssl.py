# SPDX-License-Identifier: MIT
# ssl over the built-in tls module: names of files beside data, and the host's own certificates where a
# client has to verify its server and was given no others.
import tls
from tls import CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED, MBEDTLS_VERSION  # noqa: F401
from tls import PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER

try:
    from tls import PROTOCOL_DTLS_CLIENT, PROTOCOL_DTLS_SERVER  # noqa: F401
except ImportError:
    pass


# A str names a file, bytes are the certificate or key itself, PEM or DER.
def _data(x):
    if isinstance(x, str):
        with open(x, "rb") as f:
            return f.read()
    return x


class SSLContext:
    def __init__(self, protocol):
        self._context = tls.SSLContext(protocol)
        self._has_ca = False

    @property
    def verify_mode(self):
        return self._context.verify_mode

    @verify_mode.setter
    def verify_mode(self, mode):
        self._context.verify_mode = mode

    @property
    def verify_callback(self):
        return self._context.verify_callback

    @verify_callback.setter
    def verify_callback(self, callback):
        self._context.verify_callback = callback

    def get_ciphers(self):
        return self._context.get_ciphers()

    def set_ciphers(self, ciphers):
        self._context.set_ciphers(ciphers)

    def load_cert_chain(self, certfile, keyfile):
        self._context.load_cert_chain(_data(certfile), _data(keyfile))

    def load_verify_locations(self, cafile=None, cadata=None):
        self._context.load_verify_locations(_data(cafile) if cadata is None else cadata)
        self._has_ca = True

    # Those of this host (Debian's package ca-certificates).
    def load_default_certs(self):
        import _board

        try:
            self._context.load_verify_locations(_board.ca_certificates())
        except OSError:
            return  # none installed: then nobody is trusted
        self._has_ca = True

    def wrap_socket(
        self, sock, server_side=False, do_handshake_on_connect=True, server_hostname=None
    ):
        if not server_side and not self._has_ca and self.verify_mode == CERT_REQUIRED:
            self.load_default_certs()
        return self._context.wrap_socket(
            sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            server_hostname=server_hostname,
        )


def create_default_context(*, cafile=None, cadata=None):
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    if cafile is not None or cadata is not None:
        context.load_verify_locations(cafile, cadata)
    return context


# The older way: no verification unless it is asked for.
def wrap_socket(
    sock,
    server_side=False,
    key=None,
    cert=None,
    cert_reqs=CERT_NONE,
    cadata=None,
    server_hostname=None,
    do_handshake=True,
):
    context = SSLContext(PROTOCOL_TLS_SERVER if server_side else PROTOCOL_TLS_CLIENT)
    context.verify_mode = cert_reqs
    if cert or key:
        context.load_cert_chain(cert, key)
    if cadata:
        context.load_verify_locations(cadata=cadata)
    return context.wrap_socket(
        sock,
        server_side=server_side,
        do_handshake_on_connect=do_handshake,
        server_hostname=server_hostname,
    )
