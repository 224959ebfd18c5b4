"""Prints the uploads below a prefix that are neither completed nor aborted. Signs its requests by itself: no library of ours, none to install."""

import datetime
import hashlib
import hmac
import json
import os
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

ENDPOINT, BUCKET = os.environ["WASMILL_TEST_S3"], os.environ["WASMILL_TEST_S3_BUCKET"]
KEY, SECRET = os.environ["WASMILL_TEST_S3_ACCESS_KEY"], os.environ["WASMILL_TEST_S3_SECRET_KEY"]


def get(query: dict[str, str]) -> bytes:
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    host, empty = ENDPOINT.split("://")[1], hashlib.sha256(b"").hexdigest()
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    text = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in sorted(query.items()))
    headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": now}
    signed = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"GET\n/{BUCKET}\n{text}\n{lines}\n{signed}\n{empty}"
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={signed}, Signature={signature}"
    with urllib.request.urlopen(urllib.request.Request(f"{ENDPOINT}/{BUCKET}?{text}", headers=headers), timeout=30) as answer:
        return answer.read()


# MinIO lists uploads for a whole key, and all that it knows of where there is no prefix.
prefix = "" if ENDPOINT == os.environ.get("WASMILL_TEST_MINIO") else sys.argv[1]
root = ElementTree.fromstring(get({"uploads": "", "prefix": prefix, "max-uploads": "1000"}))
space = root.tag.split("}")[0] + "}" if "}" in root.tag else ""
assert root.findtext(f"{space}IsTruncated") != "true"
uploads = [(one.findtext(f"{space}Key"), one.findtext(f"{space}UploadId")) for one in root.iter(f"{space}Upload")]
print(json.dumps([upload for upload in uploads if upload[0].startswith(sys.argv[1])]))
