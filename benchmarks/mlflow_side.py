"""MLflow's part of the benchmark `finding`; runs in an environment that has MLflow.

Reads a JSON request a line, and answers with a JSON line: `{"save": [record, ...]}` logs runs,
`{"filter": ..., "limit": ...}` searches and says the names found and the median time.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.entities import Metric, Param


@sa.event.listens_for(sa.engine.Engine, "connect")
def flush_nothing(connection: sqlite3.Connection, _record: object) -> None:
    # As the other stores are filled; searching is not changed by it.
    connection.execute("PRAGMA synchronous = OFF")


class Side:
    def __init__(self, uri: str) -> None:
        self._client = MlflowClient(tracking_uri=uri)
        self._experiment = self._client.create_experiment("benchmark")

    def save(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        for record in records:
            text = "\n".join((record["name"], record["notes"], record["input_text"]))
            run = self._client.create_run(
                self._experiment,
                start_time=1_700_000_000_000 + record["number"],
                run_name=record["name"],
                tags=dict.fromkeys(record["tags"], "1") | {"text": text},
            )
            numbers = [Metric(key, record[key], 0, 0) for key in ("num_tokens", "num_layers")]
            model = [Param("model_name", record["model_name"])]
            self._client.log_batch(run.info.run_id, metrics=numbers, params=model)
        return {"saved": len(records)}

    def search(self, wanted: str, limit: int) -> dict[str, Any]:
        times = []
        for _ in range(8):
            start = time.perf_counter()
            runs = self._client.search_runs(
                [self._experiment], wanted, max_results=limit, order_by=["start_time DESC"]
            )
            times.append(time.perf_counter() - start)
        names = [run.info.run_name for run in runs]
        return {"names": names, "seconds": statistics.median(times[1:])}


def answers(uri: str) -> Iterator[dict[str, Any]]:
    side = Side(uri)
    for line in sys.stdin:
        request = json.loads(line)
        if "save" in request:
            yield side.save(request["save"])
        else:
            yield side.search(request["filter"], request["limit"])


if __name__ == "__main__":
    # Standard output is for the answers.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    for answer in answers(sys.argv[1]):
        print(json.dumps(answer), flush=True)
