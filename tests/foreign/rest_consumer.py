"""Reads a topic through a consumer instance of Kafka's REST proxy: creates it, subscribes, polls until there are enough records, commits, deletes it.

    rest_consumer.py URL GROUP TOPIC COUNT

Prints one line of JSON: the records, the committed offsets, and the statuses of what was asked.
"""

import json
import sys
import time

import requests

V2 = {"Content-Type": "application/vnd.kafka.v2+json"}
JSON = {"Accept": "application/vnd.kafka.json.v2+json"}


def main():
    url, group, topic, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    session, statuses = requests.Session(), {}
    options = {"name": "reader", "format": "json", "auto.offset.reset": "earliest", "auto.commit.enable": "false"}
    created = session.post(f"{url}/consumers/{group}", headers=V2, data=json.dumps(options), timeout=60)
    statuses["create"] = created.status_code
    statuses["create again"] = session.post(f"{url}/consumers/{group}", headers=V2, data=json.dumps(options), timeout=60).json()["error_code"]
    base = created.json()["base_uri"]
    statuses["before"] = session.get(f"{base}/records", headers=JSON, timeout=60).json()["error_code"]
    statuses["subscribe"] = session.post(f"{base}/subscription", headers=V2, data=json.dumps({"topics": [topic]}), timeout=60).status_code
    statuses["topics"] = session.get(f"{base}/subscription", headers=V2, timeout=60).json()["topics"]
    places = {"partitions": [{"topic": topic, "partition": 0}]}
    statuses["assign"] = session.post(f"{base}/assignments", headers=V2, data=json.dumps(places), timeout=60).json()["error_code"]
    records, deadline = [], time.monotonic() + 60
    while len(records) < count and time.monotonic() < deadline:
        answer = session.get(f"{base}/records", params={"timeout": 3000, "max_bytes": 300000}, headers=JSON, timeout=60)
        assert answer.status_code == 200, answer.text
        records += answer.json()
    statuses["wrong format"] = session.get(
        f"{base}/records", headers={"Accept": "application/vnd.kafka.binary.v2+json"}, timeout=60
    ).json()["error_code"]
    statuses["commit"] = session.post(f"{base}/offsets", headers=V2, timeout=60).status_code
    committed = session.request("GET", f"{base}/offsets", headers=V2, data=json.dumps(places), timeout=60).json()["offsets"]
    seek = {"partitions": [{"topic": topic, "partition": 0}]}
    statuses["rewind"] = session.post(f"{base}/positions/beginning", headers=V2, data=json.dumps(seek), timeout=60).status_code
    again = session.get(f"{base}/records", params={"timeout": 10000, "max_bytes": 1}, headers=JSON, timeout=60).json()
    statuses["delete"] = session.delete(base, headers=V2, timeout=60).status_code
    statuses["gone"] = session.get(f"{base}/records", headers=JSON, timeout=60).json()["error_code"]
    print(json.dumps({"records": records, "committed": committed, "again": again[:1], "statuses": statuses}))


main()
