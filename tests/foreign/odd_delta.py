"""Makes a Delta table of 100 rows with a deletion vector, mapped columns and partitions, as few writers do: `n` (0 to 99, but for 3 and 50 which are deleted), `text`,
and the partition column `half` ("a" below 50, "b" from there)."""

import json
import os
import struct
import sys

import pyarrow as pa
import pyarrow.parquet as pq

folder = sys.argv[1]
log = os.path.join(folder, "_delta_log")
os.makedirs(log)

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def z85(data):
    text = ""
    for (word,) in struct.iter_unpack(">I", data):
        digits = []
        for _ in range(5):
            word, digit = divmod(word, 85)
            digits.append(Z85[digit])
        text += "".join(reversed(digits))
    return text


def vector(row):
    """One deleted row, inline: a 64-bit Roaring bitmap of one array container."""
    bitmap = struct.pack("<IIHHIH", 12346, 1, 0, 0, 16, row)
    data = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    size = len(data)
    data += b"\0" * (-size % 4)
    return {"storageType": "i", "pathOrInlineDv": z85(data), "sizeInBytes": size, "cardinality": 1}


def field(name, kind, number):
    mapped = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"}
    return {"name": name, "type": kind, "nullable": True, "metadata": mapped}


schema = {"type": "struct", "fields": [field("n", "long", 1), field("text", "string", 2), field("half", "string", 3)]}
features = ["deletionVectors", "columnMapping"]
entry = [
    {"commitInfo": {"timestamp": 1700000000000, "operation": "WRITE", "engineInfo": "odd"}},
    {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}},
    {"metaData": {"id": "0b5a1d9e-6b0c-4b0f-9f4e-0d6a0c0f3c11", "format": {"provider": "parquet", "options": {}},
                  "schemaString": json.dumps(schema), "partitionColumns": ["half"], "createdTime": 1700000000000,
                  "configuration": {"delta.columnMapping.mode": "name", "delta.enableDeletionVectors": "true",
                                    "delta.columnMapping.maxColumnId": "3"}}},
]
for half, first, deleted in [("a", 0, 3), ("b", 50, 0)]:
    fields = [pa.field("col-1", pa.int64(), metadata={"PARQUET:field_id": "1"}), pa.field("col-2", pa.string(), metadata={"PARQUET:field_id": "2"})]
    rows = pa.table([list(range(first, first + 50)), [f"text {n}" for n in range(first, first + 50)]], schema=pa.schema(fields))
    name = f"part-{half}.parquet"
    pq.write_table(rows, os.path.join(folder, name), row_group_size=20)
    size = os.path.getsize(os.path.join(folder, name))
    entry.append({"add": {"path": name, "partitionValues": {"col-3": half}, "size": size, "modificationTime": 1700000000000,
                          "dataChange": True, "stats": json.dumps({"numRecords": 50}), "deletionVector": vector(deleted)}})
with open(os.path.join(log, f"{0:020}.json"), "w") as file:
    file.writelines(json.dumps(line) + "\n" for line in entry)
