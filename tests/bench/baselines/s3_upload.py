"""Puts the files of a folder as objects below a prefix of S3, many at once."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyarrow import fs

folder, prefix = Path(sys.argv[1]), sys.argv[2].removeprefix("s3://")
store = fs.S3FileSystem(
    endpoint_override=os.environ["WASMILL_TEST_S3"], region="us-east-1",
    access_key=os.environ["WASMILL_TEST_S3_ACCESS_KEY"], secret_key=os.environ["WASMILL_TEST_S3_SECRET_KEY"],
)


def put(path: Path) -> None:
    with store.open_output_stream(f"{prefix}/{path.name}") as out:
        out.write(path.read_bytes())


with ThreadPoolExecutor(8) as pool:
    list(pool.map(put, sorted(folder.iterdir())))
sys.stdout.flush()
os._exit(0)
