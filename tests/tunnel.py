"""A proxy that ends TLS, as a company's own does: programs reach a local server by any https name.

A program that is to be run as it stands is led to the emulator by its environment alone,
HTTPS_PROXY and SSL_CERT_FILE, which any user may set.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme


class Tunnel:
    """What a program's environment has to name, and what was asked for."""

    def __init__(self, target: tuple[str, int], folder: Path) -> None:
        self.hosts: set[str] = set()
        self.url = ""
        self.certificates = folder / "certificates.pem"
        self._target = target
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(self.certificates)

    @property
    def environment(self) -> dict[str, str]:
        """Leads a program here, and has it trust what it finds."""
        return {"HTTPS_PROXY": self.url, "SSL_CERT_FILE": str(self.certificates)}

    async def serve(self, ready: threading.Event) -> None:
        """Listen until `stop` is called."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._pass_on, "127.0.0.1", 0) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await self._stopped.wait()

    def stop(self) -> None:
        """Listen no more; what is still open is hung up on."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, address, _ = head.decode().split(" ", 2)
        assert method == "CONNECT", head
        host = address.rpartition(":")[0]
        self.hosts.add(host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.start_tls(context)
        from_server, to_server = await asyncio.open_connection(*self._target)
        await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass  # whoever hangs up has what it wanted
    finally:
        writer.close()


@contextmanager
def tunnel(target: tuple[str, int], folder: Path) -> Iterator[Tunnel]:
    """A tunnel to a server, from a thread of its own."""
    made, ready = Tunnel(target, folder), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(made.serve(ready)))
    thread.start()
    try:
        assert ready.wait(10)
        yield made
    finally:
        made.stop()
        thread.join()
