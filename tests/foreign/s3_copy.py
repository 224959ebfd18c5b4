"""Copies the objects below a prefix in S3 into a folder, but for those with a part that begins with `_`. Prints how many."""

import json
import os
import sys

from pyarrow import fs

prefix, folder = sys.argv[1].removeprefix("s3://"), sys.argv[2]
store = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region="us-east-1")
listed = store.get_file_info(fs.FileSelector(prefix, recursive=True, allow_not_found=True))
visible = [one.path for one in listed if one.is_file and "/_" not in one.path.removeprefix(prefix)]
for path in visible:
    with store.open_input_stream(path) as source, open(os.path.join(folder, os.path.basename(path)), "xb") as out:
        out.write(source.read())
print(json.dumps(len(visible)), flush=True)
os._exit(0)
