"""One batch on one node, for timing: `python -m tests.bench.whole_batch SITE_FOLDER FILE REST_SECONDS`.

Starts a node, lets it rest, drops the file as its system does (data by rename, then the completion marker), waits until every delivery is
finished, stops, and prints one JSON line: records in, good, rejected, per subscription out, the seconds that the start took, those from the
drop to the last publication, and the peak memory of the node and of its largest worker. Ends 0 only when all three were delivered. The file
itself stays where it is.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from bus.node import running_node

UNFINISHED = {"due", "claimed", "ready_to_publish"}


def drop(folder: Path, file: Path) -> None:
    """Data under a name nobody looks at, then under its own, then the marker."""
    arriving = folder / f".{file.name}.part"
    arriving.hardlink_to(file)
    arriving.rename(folder / file.name)
    (folder / f"{file.name}.end").touch()


def wait(operations: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The message and its deliveries, once it is decided and they are finished; the pause costs at most 20 ms of the result."""
    pause = threading.Event()
    while True:
        found = operations.messages(limit=1)
        if found and found[0]["state"] != "receiving":
            deliveries = operations.deliveries(message=found[0]["id"])
            if not any(delivery["state"] in UNFINISHED for delivery in deliveries):
                return found[0], deliveries
        pause.wait(0.02)


def main(folder: Path, file: Path, rest_seconds: float) -> int:
    with running_node(folder, watch=True, listen=False) as node:
        start_seconds = time.time() - psutil.Process().create_time()
        time.sleep(rest_seconds)
        began = time.perf_counter()
        drop(folder / "drop", file)
        message, deliveries = wait(node.parts.operations)
        seconds = time.perf_counter() - began
    result = {
        "records": message["records"],
        "good": message["good"]["records"],
        "rejected": message["rejected"]["records"],
        "deliveries": {one["subscription"]: [one["state"], one["out"]["records"], one["bytes_out"]] for one in deliveries},
        "start_seconds": round(start_seconds, 3),
        "drop_to_published_seconds": round(seconds, 3),
        "peak_rss_bytes_node": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_rss_bytes_worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    }
    print(json.dumps(result))
    states = [state for state, _, _ in result["deliveries"].values()]
    return 0 if len(states) == 3 and set(states) == {"delivered"} else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))
