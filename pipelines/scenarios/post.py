#!/usr/bin/env python3
"""Posts rows of the three tables, one of each in turn, with `requests` and in the formats of the emulator scripts of such stacks.

    post.py ingest  URL     [--data FOLDER]     POST URL/ingest/pin: the row as JSON; posts only
    post.py kafka   URL ID  [--data FOLDER]     POST URL/topics/ID.pin: {"records": [{"value": {…}}]}
    post.py kinesis URL ID  [--data FOLDER]     PUT URL/streams/streaming-ID-pin/record: {"StreamName": …, "Data": {…}, "PartitionKey": …}

Rows come from the JSON lines in FOLDER/pin, FOLDER/geo and FOLDER/user, or from standard input, a row of each table in turn, as `wasmill emulate` prints
them. `--per-request N` puts as many rows of a table into a request; `/streams/…/records` then takes them. Ends with 1 at the first answer that is not 200.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

TABLES = ("pin", "geo", "user")


def from_folder(folder):
    """The rows of each table in turn, as long as one has any."""
    lines = [itertools.chain.from_iterable(path.open(encoding="utf-8") for path in sorted((folder / table).glob("*.jsonl"))) for table in TABLES]
    for step in itertools.zip_longest(*lines):
        yield from ((table, line) for table, line in zip(TABLES, step) if line)


def batches(rows, size):
    """Rows of a table, together as soon as there are enough."""
    waiting = {table: [] for table in TABLES}
    for table, line in rows:
        waiting[table].append(json.loads(line))
        if len(waiting[table]) == size:
            yield table, waiting[table]
            waiting[table] = []
    yield from ((table, rest) for table, rest in waiting.items() if rest)


def ingest(options, table, rows):
    if table != "pin":
        return None
    body = rows[0] if len(rows) == 1 else rows
    return "POST", f"{options.url}/ingest/{table}", "application/json", body


def kafka(options, table, rows):
    body = {"records": [{"value": row} for row in rows]}
    return "POST", f"{options.url}/topics/{options.id}.{table}", "application/vnd.kafka.json.v2+json", body


def kinesis(options, table, rows):
    stream = f"streaming-{options.id}-{table}"
    if options.per_request == 1:
        body = {"StreamName": stream, "Data": rows[0], "PartitionKey": "partition-1"}
        return "PUT", f"{options.url}/streams/{stream}/record", "application/json", body
    body = {"records": [{"data": row, "partition-key": "partition-1"} for row in rows]}
    return "PUT", f"{options.url}/streams/{stream}/records", "application/json", body


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("api", choices=["ingest", "kafka", "kinesis"])
    parser.add_argument("url")
    parser.add_argument("id", nargs="?", default="")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--per-request", type=int, default=1)
    options = parser.parse_args()
    request_of = {"ingest": ingest, "kafka": kafka, "kinesis": kinesis}[options.api]
    rows = from_folder(options.data) if options.data else zip(itertools.cycle(TABLES), sys.stdin)
    # A gateway that is just being started is waited for; what was sent is never sent again.
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=Retry(total=8, connect=8, read=0, status=0, other=0, backoff_factor=0.1)))
    posted = dict.fromkeys(TABLES, 0)
    for table, some in batches(rows, options.per_request):
        asked = request_of(options, table, some)
        if asked is None:
            continue
        method, url, content_type, body = asked
        answer = session.request(method, url, headers={"Content-Type": content_type}, data=json.dumps(body, default=str), timeout=60)
        if answer.status_code != 200 or answer.json().get("FailedRecordCount"):
            sys.exit(f"{url}: {answer.status_code} {answer.text[:500]}")
        posted[table] += len(some)
    print("posted " + ", ".join(f"{count} {table}" for table, count in posted.items() if count))


main()
