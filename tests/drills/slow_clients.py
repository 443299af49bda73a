"""Many slow clients at once, and how long others wait meanwhile.

By hand, against a running site: `python -m tests.drills.slow_clients --port 8000 --file /api/v1/photos/ID/original/ --token TOKEN
[--bodies 200 --readers 200 --pollers 200 --seconds 30]`. Prints the waiting times of `health/live` and of the sign-in page.
"""

import argparse
import asyncio
import json
import random
import time
from dataclasses import dataclass, field


@dataclass
class Site:
    """Where it listens, and who asks."""

    port: int
    token: str = ""
    waited: dict[str, list[float]] = field(default_factory=dict)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 16)

    def request(self, method: str, path: str, *headers: str) -> bytes:
        own = [f"Authorization: Token {self.token}"] if self.token else []
        return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *own, *headers, "", ""]).encode()

    async def ask(self, path: str) -> tuple[int, float]:
        """Ask once, over a connection of its own; return the status and the seconds until the answer was whole."""
        begun = time.monotonic()
        reader, writer = await self.connect()
        try:
            writer.write(self.request("GET", path, "Connection: close"))
            answer = await reader.read()
            return int(answer.split(b" ", 2)[1]), time.monotonic() - begun
        finally:
            writer.close()


async def slow_body(site: Site, path: str, until: float) -> str:
    """Claim a body and send a byte of it now and then; return the status that ended it, or "held"."""
    while time.monotonic() < until:
        reader, writer = await site.connect()
        try:
            writer.write(site.request("POST", path, "Content-Type: application/json", "Content-Length: 1000000"))
            while time.monotonic() < until:
                writer.write(b"x")
                await writer.drain()
                try:
                    line = await asyncio.wait_for(reader.readline(), 3)
                except TimeoutError:
                    continue
                if line:
                    site.waited.setdefault(f"slow body: {line.split()[1].decode()}", []).append(0.0)
                break
        except OSError:
            await asyncio.sleep(0.2)
        finally:
            writer.close()
    return "held"


async def slow_reader(site: Site, path: str, until: float) -> None:
    """Ask for a large file and take a little of it now and then."""
    reader, writer = await site.connect()
    try:
        writer.write(site.request("GET", path))
        while time.monotonic() < until and await reader.read(512):
            await asyncio.sleep(2)
    finally:
        writer.transport.abort()


async def poller(site: Site, path: str, until: float) -> None:
    """Ask again and again."""
    await asyncio.sleep(random.random() * 5)
    while time.monotonic() < until:
        try:
            status, seconds = await site.ask(path)
            site.waited.setdefault(f"poll {status}", []).append(seconds)
        except (OSError, IndexError):
            site.waited.setdefault("poll: broken", []).append(0.0)
        await asyncio.sleep(5)


async def watch(site: Site, name: str, path: str, until: float) -> None:
    """Measure how long one request at a time takes."""
    while time.monotonic() < until:
        status, seconds = await site.ask(path)
        site.waited.setdefault(f"{name} {status}", []).append(seconds)
        await asyncio.sleep(0.2)


async def drill(
    site: Site, *, bodies: int, readers: int, pollers: int, seconds: float, file: str
) -> dict[str, list[float]]:
    """Let all of them loose for so long; return the waiting times by name."""
    until = time.monotonic() + seconds
    clients = [slow_body(site, random.choice(["/api/v1/auth/devices/", "/sign-in/"]), until) for _ in range(bodies)]
    clients += [slow_reader(site, file, until) for _ in range(readers if file else 0)]
    clients += [poller(site, "/api/v1/events/poll", until) for _ in range(pollers)]
    others = asyncio.gather(*clients, return_exceptions=True)
    await asyncio.sleep(min(3.0, seconds / 3))
    await asyncio.gather(watch(site, "live", "/api/v1/health/live", until), watch(site, "page", "/sign-in/", until))
    await others
    return site.waited


def main() -> None:
    """Run the drill and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--token", default="")
    parser.add_argument("--file", default="")
    parser.add_argument("--seconds", type=float, default=30)
    for name in ("bodies", "readers", "pollers"):
        parser.add_argument(f"--{name}", type=int, default=200)
    given = parser.parse_args()
    options = {name: getattr(given, name) for name in ("bodies", "readers", "pollers", "seconds", "file")}
    waited = asyncio.run(drill(Site(given.port, given.token), **options))
    for name, times in sorted(waited.items()):
        ordered = sorted(times)
        p95 = ordered[int(len(ordered) * 0.95)] if ordered else 0
        print(
            json.dumps(
                {
                    "what": name,
                    "count": len(times),
                    "median_ms": round(ordered[len(ordered) // 2] * 1000),
                    "p95_ms": round(p95 * 1000),
                }
            )
        )


if __name__ == "__main__":
    main()
