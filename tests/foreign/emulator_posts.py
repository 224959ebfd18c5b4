"""Posts rows as the emulator scripts of Pinterest pipelines do: with `requests`, to a REST proxy of Kafka or to Kinesis behind an API gateway.

    emulator_posts.py kafka URL ID < rows.jsonl
    emulator_posts.py kinesis URL ID < rows.jsonl

Each line is `{"table": "pin"|"geo"|"user", "row": {...}}`. Prints the status and the body of each answer as a line of JSON. Headers of
the environment variable `HEADERS` (JSON) are added to each request, and `VERIFY` names the certificates to trust.
"""

import json
import os
import sys

import requests


def kafka(url, identity, table, row, headers, verify):
    invoke_url = f"{url}/topics/{identity}.{table}"
    payload = json.dumps({"records": [{"value": row}]}, default=str)
    headers = {"Content-Type": "application/vnd.kafka.json.v2+json", **headers}
    return requests.request("POST", invoke_url, headers=headers, data=payload, verify=verify, timeout=60)


def kinesis(url, identity, table, row, headers, verify):
    stream = f"streaming-{identity}-{table}"
    invoke_url = f"{url}/streams/{stream}/record"
    payload = json.dumps({"StreamName": stream, "Data": row, "PartitionKey": "partition-1"}, default=str)
    headers = {"Content-Type": "application/json", **headers}
    return requests.request("PUT", invoke_url, headers=headers, data=payload, verify=verify, timeout=60)


def main():
    post = {"kafka": kafka, "kinesis": kinesis}[sys.argv[1]]
    url, identity = sys.argv[2:4]
    headers = json.loads(os.environ.get("HEADERS", "{}"))
    verify = os.environ.get("VERIFY", True)
    for line in sys.stdin:
        posted = json.loads(line)
        answer = post(url, identity, posted["table"], posted["row"], headers, verify)
        print(json.dumps({"status": answer.status_code, "body": answer.json()}), flush=True)


main()
