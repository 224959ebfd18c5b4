"""Prints the keys of all objects below a prefix in S3, hidden ones too, without the prefix, sorted."""

import json
import os
import sys

from pyarrow import fs

prefix = sys.argv[1].removeprefix("s3://")
store = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region="us-east-1")
listed = store.get_file_info(fs.FileSelector(prefix, recursive=True, allow_not_found=True))
print(json.dumps(sorted(one.path.removeprefix(prefix + "/") for one in listed if one.is_file)), flush=True)
os._exit(0)
