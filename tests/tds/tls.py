"""TLS as TDS has it: the handshake in packets, what follows as it is."""

import asyncio
import ssl

from local.certificates import Certificate
from tests.tds.packets import PRELOGIN, message, read_message


class TlsStream:
    """Reads and writes behind a handshake."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, certificate: Certificate
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        # A newer one would send more behind its handshake, which is not in packets any more.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._reader = reader
        self._writer = writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._read = bytearray()

    async def handshake(self) -> None:
        """Raises `SSLError` where the client does not trust the certificate."""
        while True:
            try:
                self._tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                self._send_handshake()
                _, body = await read_message(self._reader)
                self._incoming.write(body)
            finally:
                self._send_handshake()

    async def readexactly(self, size: int) -> bytes:
        while len(self._read) < size:
            try:
                self._read += self._tls.read(65536)
            except ssl.SSLWantReadError:
                data = await self._reader.read(65536)
                if not data:
                    raise asyncio.IncompleteReadError(bytes(self._read), size) from None
                self._incoming.write(data)
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    def write(self, data: bytes) -> None:
        self._tls.write(data)
        self._writer.write(self._outgoing.read())

    def _send_handshake(self) -> None:
        if data := self._outgoing.read():
            self._writer.write(message(data, PRELOGIN))
