"""Prints how many rows a Delta table has, as a foreign reader counts them."""

import os
import sys

from deltalake import DeltaTable

print(DeltaTable(sys.argv[1]).to_pyarrow_dataset().count_rows(), flush=True)
os._exit(0)
