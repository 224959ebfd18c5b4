"""Prints the Parquet files below a Delta table in S3 that its newest version does not refer to, as a JSON array."""

import json
import os
import sys

from deltalake import DeltaTable
from pyarrow import fs

bucket, _, key = sys.argv[1].removeprefix("s3://").partition("/")
store = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region="us-east-1")
listed = store.get_file_info(fs.FileSelector(f"{bucket}/{key}", recursive=True))
there = {file.path for file in listed if file.path.endswith(".parquet") and "/_delta_log/" not in file.path}
known = {uri.removeprefix("s3://") for uri in DeltaTable(sys.argv[1]).file_uris()}
print(json.dumps(sorted(there - known)), flush=True)
os._exit(0)
