"""The whole batch as one process, for timing from outside: `python -m tests.bench.whole_batch SITE_FOLDER FILE`.

Starts a node, hands it the file, waits until every delivery is finished, stops, and prints one JSON line: records in, good, rejected, per
subscription out, and the peak memory of the node and of its largest worker. Ends 0 only when all three were delivered.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
from pathlib import Path
from typing import Any

from bus.node import running_node

UNFINISHED = {"due", "claimed", "ready_to_publish"}


def wait(operations: Any, intake: str) -> dict[str, Any]:
    """Ask until the intake is finished; the pause costs at most 20 ms of the result."""
    pause = threading.Event()
    while True:
        progress: dict[str, Any] = operations.intake_progress(intake)
        if progress["finished"]:
            return progress
        pause.wait(0.02)


def main(folder: Path, file: Path) -> int:
    with running_node(folder, watch=False, listen=False) as node:
        operations = node.parts.operations
        progress = wait(operations, operations.submit(str(file))["intake"])
    message = progress["message"] or {"records": 0, "good": {"records": 0}, "rejected": {"records": 0}}
    result = {
        "records": message["records"],
        "good": message["good"]["records"],
        "rejected": message["rejected"]["records"],
        "deliveries": {one["subscription"]: [one["state"], one["out"]["records"], one["bytes_out"]] for one in progress["deliveries"]},
        "peak_rss_bytes_node": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_rss_bytes_worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    }
    print(json.dumps(result))
    states = [state for state, _, _ in result["deliveries"].values()]
    return 0 if len(states) == 3 and set(states) == {"delivered"} else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
