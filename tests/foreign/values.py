"""Random Arrow tables for the test of conversions, and what each value of them has to become.

`values.py write FOLDER SEED TABLES` writes tables as Parquet, Delta, CSV and JSON lines, and `pipeline.yaml`, which reads each under a random schema.
`values.py compare FOLDER` reads the inputs and the outputs by pyarrow: every value has to be equal, or its row has to be rejected, and a row is
rejected only where the table of docs/conversions.md says so. The table is written down here a second time, in Python's exact numbers.
"""

import base64
import binascii
import datetime
import json
import math
import os
import random
import re
import string
import struct
import sys
from decimal import Decimal, getcontext
from fractions import Fraction

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

getcontext().prec = 120
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z", re.ASCII)
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))?)?\Z", re.ASCII)
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


class Reject(Exception):
    """The value has no place in the wanted type."""


# Types are tuples: a name and what belongs to it.
def scalar(rng):
    kind = rng.choice(["bool", "int", "int", "float32", "float64", "decimal", "text", "text", "binary", "date", "timestamp", "timestamp"])
    if kind == "int":
        return (rng.choice(INTEGERS),)
    if kind == "decimal":
        precision = rng.randint(1, 38)
        return ("decimal", precision, rng.randint(0, min(precision, 12)))
    if kind == "timestamp":
        # Delta has microseconds.
        return ("timestamp", rng.choice([*UNITS, "us", "us"]), rng.choice([None, "UTC"]), None, False)
    return (kind,)


def any_type(rng, depth=0):
    kind = rng.random()
    if depth > 1 or kind < 0.6:
        return scalar(rng)
    if kind < 0.75:
        return ("list", any_type(rng, depth + 1))
    if kind < 0.95:
        names = rng.sample(["a", "b", "c", "d"], rng.randint(1, 3))
        return ("struct", tuple((name, any_type(rng, depth + 1)) for name in names))
    return ("map", any_type(rng, depth + 1))


def near(rng, of):
    """A type that values of another one may fit into."""
    chance = rng.random()
    if of[0] == "list" and chance < 0.9:
        return ("list", near(rng, of[1]))
    if of[0] == "map" and chance < 0.9:
        return ("map", near(rng, of[1]))
    if of[0] == "struct" and chance < 0.9:
        fields = [(name, near(rng, inner)) for name, inner in of[1] if rng.random() < 0.8]
        if rng.random() < 0.3:
            fields.append(("new", scalar(rng)))
        rng.shuffle(fields)
        return ("struct", tuple(fields)) if fields else of
    if chance < 0.3:
        return of
    if chance > 0.97:
        return ("json",)
    wanted = scalar(rng)
    if wanted[0] == "timestamp":
        wanted = (*wanted[:3], rng.choice([None, *UNITS]), rng.random() < 0.3)
    return wanted


def written(of):
    """As a pipeline file writes it."""
    match of:
        case ("decimal", precision, scale):
            return f"decimal({precision}, {scale})"
        case ("timestamp", unit, zone, epoch, cut):
            parts = [unit] + [zone] * bool(zone) + [f"epoch: {epoch}"] * bool(epoch) + ["cut"] * cut
            return f"timestamp({', '.join(parts)})"
        case ("list", item):
            return f"list<{written(item)}>"
        case ("struct", fields):
            return f"struct<{', '.join(f'{name}: {written(inner)}' for name, inner in fields)}>"
        case ("map", value):
            return f"map<text, {written(value)}>"
        case (name, *_):
            return name


def arrow(of):
    match of:
        case ("decimal", precision, scale):
            return pa.decimal128(precision, scale)
        case ("timestamp", unit, zone, *_):
            return pa.timestamp(unit, zone)
        case ("list", item):
            return pa.list_(arrow(item))
        case ("struct", fields):
            return pa.struct([(name, arrow(inner)) for name, inner in fields])
        case ("map", value):
            return pa.map_(pa.string(), arrow(value))
        case ("bool",):
            return pa.bool_()
        case ("text",):
            return pa.string()
        case ("date",):
            return pa.date32()
        case (name, *_):
            return getattr(pa, name)()


def bounds(name):
    bits = int(name.lstrip("uint"))
    return (0, 2**bits - 1) if name[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def single(value):
    """The nearest 32-bit float."""
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def value_of(rng, of):
    """A value in the form that this script compares: numbers of times and dates, and otherwise Python's own."""
    if rng.random() < 0.1:
        return None
    match of:
        case ("bool",):
            return rng.random() < 0.5
        case ("float64",) | ("float32",):
            whole = rng.choice([0, 1, -7, 2**24 + 1, 2**53 + 2, rng.randint(-(2**40), 2**40)])
            value = rng.choice([float(whole), whole / 4, rng.uniform(-1e3, 1e3), round(rng.uniform(-99, 99), 2), 1e300, math.nan, math.inf, -0.0])
            return value if of[0] == "float64" else single(value)
        case ("decimal", precision, scale):
            digits = rng.choice([0, 5, -1200, 10**scale, 155, rng.randint(-(10**precision) + 1, 10**precision - 1)])
            return Decimal(math.copysign(abs(digits) % 10**precision, digits) if abs(digits) < 2**50 else digits).scaleb(-scale).quantize(Decimal(1).scaleb(-scale))
        case ("text",):
            plain = "".join(rng.choice(string.ascii_letters + " ,;\"'\n\t\\é😀") for _ in range(rng.randint(0, 6)))
            number = str(rng.choice([0, 7, -12, 300, 2**53 + 1, 2**64, 1.5, 1e22, -0.25]))
            time = rng.choice(["2022-07-07", "2022-07-07T00:18:41Z", "1969-12-31 23:59:59.999999999", "2024-05-01T10:00:00.001+02:00", "2022-02-30"])
            return rng.choice([plain, number, time, "True", "FALSE", "yes", " 7 ", "007", "NaN", "1,5", "AAEC", "/w=="])
        case ("binary",):
            return rng.choice([b"", b"a", b"\xff", "é".encode(), bytes(rng.randrange(256) for _ in range(3))])
        case ("date",):
            return rng.choice([0, -1, 19_000, -719_162, 2_932_896, rng.randint(-700_000, 2_900_000)])
        case ("timestamp", unit, *_):
            seconds = rng.choice([0, -1, 1_657_153_121, 86_400 * rng.randint(-20_000, 20_000), rng.randint(-(10**9), 9 * 10**9)])
            return seconds * UNITS[unit] + rng.choice([0, 0, 1, 500, rng.randrange(UNITS[unit])]) % UNITS[unit]
        case ("list", item):
            return [value_of(rng, item) for _ in range(rng.randint(0, 3))]
        case ("struct", fields):
            return {name: value_of(rng, inner) for name, inner in fields}
        case ("map", value):
            return {key: value_of(rng, value) for key in rng.sample(["k", "é\"", "", "x y"], rng.randint(0, 2))}
        case (name, *_):
            low, high = bounds(name)
            value = rng.choice([0, 1, -1, 127, 128, 300, 2**24 + 1, 2**53 + 1, low, high, rng.randint(low, high), 1_657_153_121_000])
            return min(max(value, low), high)


def to_arrow(values, of):
    """Values of this script as an array."""
    match of:
        case ("date",):
            return pa.array(values, pa.int32()).cast(pa.date32())
        case ("timestamp", unit, zone, *_):
            return pa.array(values, pa.int64()).cast(pa.timestamp(unit, zone))
        case ("list", item):
            lengths = [len(value or []) for value in values]
            offsets = [0]
            for value, length in zip(values, lengths):
                offsets.append(offsets[-1] + length)
            mask = pa.array([value is None for value in values], pa.bool_())
            items = to_arrow([item for value in values for item in value or []], item)
            return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, mask=mask)
        case ("map", inner):
            offsets = [0]
            for value in values:
                offsets.append(offsets[-1] + len(value or {}))
            keys = pa.array([key for value in values for key in value or {}], pa.string())
            items = to_arrow([item for value in values for item in (value or {}).values()], inner)
            mask = pa.array([value is None for value in values], pa.bool_())
            return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, items, mask=mask)
        case ("struct", fields):
            columns = [to_arrow([(value or {}).get(name) for value in values], inner) for name, inner in fields]
            mask = pa.array([value is None for value in values], pa.bool_())
            return pa.StructArray.from_arrays(columns, fields=[pa.field(name, arrow(inner)) for name, inner in fields], mask=mask)
    return pa.array(values, arrow(of))


def from_arrow(array, of):
    """The values of an array of a type in the form of this script. Parquet has no seconds: pyarrow then reads milliseconds."""
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in from_arrow(chunk, of)]
    kind = array.type
    valid = array.is_valid().to_pylist()
    if pa.types.is_map(kind):
        keys, items, offsets = from_arrow(array.keys, ("text",)), from_arrow(array.items, of[1]), array.offsets.to_pylist()
        return [dict(zip(keys[a:b], items[a:b])) if here else None for here, a, b in zip(valid, offsets, offsets[1:])]
    if pa.types.is_list(kind):
        items, offsets = from_arrow(array.values, of[1]), array.offsets.to_pylist()
        return [items[a:b] if here else None for here, a, b in zip(valid, offsets, offsets[1:])]
    if pa.types.is_struct(kind):
        columns = {name: from_arrow(array.field(name), inner) for name, inner in of[1]}
        return [{name: column[row] for name, column in columns.items()} if valid[row] else None for row in range(len(array))]
    if pa.types.is_timestamp(kind):
        scale = Fraction(UNITS[of[1]], UNITS[kind.unit])
        return [None if value is None else whole(value * scale, "int64") for value in array.cast(pa.int64()).to_pylist()]
    if pa.types.is_date32(kind):
        return array.cast(pa.int32()).to_pylist()
    return array.to_pylist()


# The table of conversions.
def shortest(value, of):
    """The shortest digits of a float that lead back to it."""
    if of[0] == "float64":
        return repr(value)
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if single(float(text)) == value:
            return text
    return repr(value)


def whole(value, name):
    """An exact number as an integer."""
    if value.denominator != 1:
        raise Reject("fraction")
    low, high = bounds(name)
    if not low <= value <= high:
        raise Reject("range")
    return int(value)


def decimal(value, precision, scale):
    scaled = value * 10**scale
    if scaled.denominator != 1 or abs(scaled) >= 10**precision:
        raise Reject("decimal")
    return Decimal(int(scaled)).scaleb(-scale)


def nearest(text, name):
    """The nearest float of a number's text."""
    value = float(text)
    value = single(value) if name == "float32" else value
    if math.isinf(value):
        raise Reject("range")
    printed = Fraction(Decimal(shortest(value, (name,))))
    if not re.search(r"[.eE]", text) and Fraction(text) not in (Fraction(value), printed):
        raise Reject("digits")
    return value


def count(seconds, of):
    """Exact seconds since 1970 in the unit of a timestamp."""
    _, unit, _, _, cut = of
    value = seconds * UNITS[unit]
    if value.denominator != 1 and not cut:
        raise Reject("digits of a second")
    value = math.floor(value)
    if not -(2**63) <= value < 2**63:
        raise Reject("range")
    return value


def from_number(value, text, of):
    """An exact number, and its text."""
    match of:
        case ("float32",) | ("float64",):
            return nearest(text, of[0])
        case ("decimal", precision, scale):
            return decimal(value, precision, scale)
        case ("timestamp", _, _, epoch, _) if epoch:
            return count(value / UNITS[epoch], of)
        case ("bool",) | ("date",) | ("binary",) | ("timestamp", *_) | ("list", *_) | ("struct", *_) | ("map", *_):
            raise Reject("kind")
        case ("text",) | ("json",):
            return text
        case (name, *_):
            return whole(value, name)


def days_of(year, month, day):
    try:
        return datetime.date(year, month, day).toordinal() - 719_163
    except ValueError:
        raise Reject("no day") from None


def from_text(text, of, plain_binary):
    match of:
        case ("text",):
            return text
        case ("bool",):
            if text.lower() not in ("true", "false") or not text.isascii():
                raise Reject("bool")
            return text.lower() == "true"
        case ("binary",):
            if plain_binary:
                return text.encode()
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise Reject("base64") from None
        case ("date",):
            found = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text, re.ASCII)
            if not found:
                raise Reject("date")
            return days_of(*map(int, found.groups()))
        case ("timestamp", _, _, epoch, _):
            if epoch and NUMBER.match(text):
                return count(Fraction(Decimal(text)) / UNITS[epoch], of)
            found = TIME.match(text)
            if not found:
                raise Reject("time")
            year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
            seconds = Fraction(days_of(int(year), int(month), int(day)) * 86_400)
            if hour:
                if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
                    raise Reject("time")
                seconds += int(hour) * 3600 + int(minute) * 60 + int(second) + Fraction(int(fraction or 0), 10 ** len(fraction or ""))
            if sign:
                offset = int(hours) * 3600 + int(minutes) * 60
                seconds -= offset if sign == "+" else -offset
            return count(seconds, of)
        case ("list", *_) | ("struct", *_) | ("map", *_):
            raise Reject("kind")
    if of[0].startswith("float") and text in ("NaN", "Infinity", "-Infinity"):
        return float(text.replace("Infinity", "inf"))
    if not NUMBER.match(text):
        raise Reject("number")
    return from_number(Fraction(Decimal(text)), text, of)


def civil(days):
    """Year, month and day, also of years that Python's calendar does not have."""
    cycles, rest = divmod(days + 719_162, 146_097)
    date = datetime.date.fromordinal(rest + 1)
    year = date.year + 400 * cycles
    shown = f"{year:04}" if 0 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):04}"
    return f"{shown}-{date.month:02}-{date.day:02}"


def time_text(value, unit, zone):
    seconds, fraction = divmod(value, UNITS[unit])
    days, second = divmod(seconds, 86_400)
    text = f"{civil(days)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    if fraction:
        nanos = f"{fraction * (10**9 // UNITS[unit]):09}"
        while nanos.endswith("000"):
            nanos = nanos[:-3]
        text += f".{nanos}"
    return text + ("Z" if zone else "")


def bare(value, of):
    """The text of a value that is no text."""
    match of:
        case ("bool",):
            return "true" if value else "false"
        case ("float32",) | ("float64",):
            if math.isfinite(value):
                return ("float", of[0], value)
            return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
        case ("date",):
            return civil(value)
        case ("timestamp", unit, zone, *_):
            return time_text(value, unit, zone)
    return str(value) if of[0] != "decimal" else f"{value:f}"


def as_json(value, of):
    """A value as JSON says it, for comparison with parsed text."""
    if value is None:
        return None
    match of:
        case ("list", item):
            return [as_json(inner, item) for inner in value]
        case ("struct", fields):
            return {name: as_json(value[name], inner) for name, inner in fields}
        case ("map", inner):
            return {key: as_json(item, inner) for key, item in value.items()}
        case ("bool",) | ("text",):
            return value
        case ("binary",):
            return base64.b64encode(value).decode()
        case ("float32",) | ("float64",) if math.isfinite(value):
            return ("float", of[0], value)
        case (name, *_) if name in INTEGERS:
            return value
    return bare(value, of)


def convert(value, of, to):
    """A value of an Arrow type as another one."""
    if value is None:
        return None
    if to == ("json",):
        return ("json", as_json(value, of))
    match of, to:
        case ("list", item), ("list", wanted):
            return [convert(inner, item, wanted) for inner in value]
        case ("map", inner), ("map", wanted):
            return {key: convert(item, inner, wanted) for key, item in value.items()}
        case ("struct", fields), ("struct", wanted):
            there = dict(fields)
            if not any(name in there for name, _ in wanted):
                raise Reject("no field")
            return {name: convert(value[name], there[name], inner) if name in there else None for name, inner in wanted}
        case ("list" | "struct" | "map", *_), _:
            raise Reject("kind")
        case ("text",), _:
            return from_text(value, to, True)
        case _, ("list" | "struct" | "map", *_):
            raise Reject("kind")
        case ("binary",), ("binary",):
            return value
        case ("binary",), ("text",):
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise Reject("utf-8") from None
        case (("binary",), _) | (_, ("binary",)):
            raise Reject("kind")
        case _, ("text",):
            return bare(value, of)
        case ("bool",), ("bool",):
            return value
        case (("bool",), _) | (_, ("bool",)):
            raise Reject("kind")
        case ("date",), ("date",):
            return value
        case ("date",), ("timestamp", *_):
            return count(Fraction(value * 86_400), to)
        case ("timestamp", unit, *_), ("timestamp", *_):
            return count(Fraction(value, UNITS[unit]), to)
        case ("timestamp", unit, *_), ("date",):
            days = Fraction(value, UNITS[unit] * 86_400)
            if days.denominator != 1:
                raise Reject("midnight")
            return int(days)
        case (("date" | "timestamp", *_), _) | (_, ("date",)):
            raise Reject("kind")
        case ("float32" | "float64",), ("float32" | "float64",):
            if to[0] == "float32" and not math.isnan(value) and single(value) != value:
                raise Reject("digits")
            return value
        case ("float32" | "float64",), _:
            if to[0] == "timestamp" and not to[3]:
                raise Reject("epoch")
            if not math.isfinite(value):
                raise Reject("no number")
            exact = Fraction(Decimal(shortest(value, of)))
            return from_number(Fraction(value) if to[0] in INTEGERS else exact, "", to)
        case ("decimal", *_), ("float32" | "float64",):
            nearby = float(value) if to[0] == "float64" else single(float(value))
            if math.isinf(nearby) or Decimal(shortest(nearby, to)) != value:
                raise Reject("digits")
            return nearby
        case ("decimal", *_), _:
            return from_number(Fraction(value), "", to)
        case _, ("float32" | "float64",):
            nearby = float(value) if to[0] == "float64" else single(float(value))
            if Fraction(nearby) != value:
                raise Reject("digits")
            return nearby
    return from_number(Fraction(value), "", to)


class Number(str):
    """A number of JSON as it is written."""


def convert_json(value, to):
    """A value that was read from JSON."""
    if value is None:
        return None
    if to == ("json",):
        return ("json", value)
    if isinstance(value, Number):
        return from_number(Fraction(Decimal(value)), str(value), to)
    if isinstance(value, bool):
        if to == ("text",):
            return "true" if value else "false"
        if to != ("bool",):
            raise Reject("kind")
        return value
    if isinstance(value, str):
        return from_text(value, to, False)
    if isinstance(value, list):
        if to[0] != "list":
            raise Reject("kind")
        return [convert_json(item, to[1]) for item in value]
    if to[0] == "struct":
        return {name: convert_json(value.get(name), inner) for name, inner in to[1]}
    if to[0] != "map":
        raise Reject("kind")
    return {key: convert_json(item, to[1]) for key, item in value.items()}


def equal(ours, expected, to):
    if ours is None or expected is None:
        return ours is expected
    if isinstance(expected, tuple) and expected[0] == "json":
        return same_json(json.loads(ours, parse_int=Number, parse_float=Number), expected[1])
    if isinstance(expected, tuple) and expected[0] == "float":
        value = float(ours)
        return NUMBER.match(ours) is not None and (single(value) if expected[1] == "float32" else value) == expected[2]
    match to:
        case ("list", item):
            return len(ours) == len(expected) and all(equal(a, b, item) for a, b in zip(ours, expected))
        case ("map", inner):
            return list(ours) == list(expected) and all(equal(ours[key], expected[key], inner) for key in ours)
        case ("struct", fields):
            return all(equal(ours[name], expected[name], inner) for name, inner in fields)
        case ("float32",) | ("float64",):
            return ours == expected or (math.isnan(ours) and math.isnan(expected))
    return ours == expected


def same_json(ours, expected):
    if isinstance(expected, tuple):
        value = float(ours)
        return (single(value) if expected[1] == "float32" else value) == expected[2]
    if isinstance(expected, bool) or isinstance(ours, bool):
        return ours is expected
    if isinstance(expected, int):
        return int(ours) == expected
    if isinstance(expected, list):
        return isinstance(ours, list) and len(ours) == len(expected) and all(map(same_json, ours, expected))
    if isinstance(expected, dict):
        return list(ours) == list(expected) and all(same_json(ours[key], expected[key]) for key in expected)
    return ours == expected and type(ours) in (str, Number, type(None))


# Files.
def json_value(value, of):
    """As a producer of JSON writes it: floats that are no numbers as texts."""
    if isinstance(value, tuple):
        return value[2]
    if isinstance(value, list):
        return [json_value(item, of) for item in value]
    if isinstance(value, dict):
        return {key: json_value(item, of) for key, item in value.items()}
    return value


def is_flat(of):
    return of[0] not in ("list", "struct", "map")


def csv_rows(path):
    """The records of a CSV file: None for a field that is empty and has no quotes."""
    with open(path, newline="", encoding="utf-8") as file:
        text = file.read()
    rows, row, at = [], [], 0
    while at < len(text):
        if text[at] == '"':
            end, field = at + 1, ""
            while True:
                close = text.index('"', end)
                field += text[end:close]
                if text[close + 1 : close + 2] != '"':
                    break
                field, end = field + '"', close + 2
            at = close + 1
        else:
            end = min(place for place in (text.find(",", at), text.find("\n", at), len(text)) if place >= 0)
            field, at = text[at:end] or None, end
        row.append(field)
        if text[at : at + 1] == "\n" or at >= len(text):
            rows.append(row)
            row = []
        elif text[at] == "," and text[at + 1 : at + 2] in ("\n", ""):
            row.append(None)
            rows.append(row)
            row, at = [], at + 1
        at += 1
    return rows


def write(folder, seed, tables):
    rng = random.Random(seed)
    manifest, sources, sinks = [], [], []
    os.makedirs(f"{folder}/in", exist_ok=True)
    for number in range(tables):
        columns = [(f"c{index}", any_type(rng)) for index in range(2)]
        rows = rng.randint(1, 40)
        values = {name: [value_of(rng, of) for _ in range(rows)] for name, of in columns}
        ids = pa.array(range(rows), pa.int64())
        table = pa.table({"id": ids, **{name: to_arrow(values[name], of) for name, of in columns}})
        wanted = [(name, near(rng, of)) for name, of in columns]
        for form in ("parquet", "delta", "csv", "jsonl"):
            name, kept, schema = f"t{number}_{form}", columns, wanted
            path = f"in/{name}.{form}" if form != "delta" else f"in/{name}"
            if form == "parquet":
                pq.write_table(table, f"{folder}/{path}", row_group_size=rng.choice([7, 1000]), use_dictionary=rng.random() < 0.5)
            elif form == "delta":
                # Types that Delta has; the others lie in Parquet only.
                kept = [(name, of) for name, of in columns if in_delta(of)]
                schema = [(name, to) for name, to in wanted if name in dict(kept)]
                written_table = table.select(["id", *(name for name, _ in kept)])
                # `deltalake` names the feature that times without a zone need only for a column of them, and not where they are nested.
                written_table = written_table.append_column("no_zone", pa.array([None] * rows, pa.timestamp("us")))
                write_deltalake(f"{folder}/{path}", written_table)
            elif form == "csv":
                kept = [(name, of) for name, of in columns if is_flat(of) and of[0] != "binary"]
                schema = [(name, to) for name, to in wanted if name in dict(kept) and is_flat(to) and to != ("json",)]
                pacsv.write_csv(table.select(["id", *(name for name, _ in kept)]), f"{folder}/{path}")
            else:
                with open(f"{folder}/{path}", "w", encoding="utf-8") as file:
                    for row in range(rows):
                        record = {name: json_value(as_json(values[name][row], of), of) for name, of in columns}
                        print(json.dumps({"id": row, **record}, ensure_ascii=rng.random() < 0.5), file=file)
            typed = [("id", ("int64",)), *schema]
            types = ", ".join(f"{name}: {json.dumps(written(to))}" for name, to in typed)
            picked = ", ".join(name for name, _ in typed)
            place = f"delta: {{ uri: {path} }}" if form == "delta" else f"files: {{ path: {path} }}"
            sources.append(f"  {name}: {{ {place}, schema: {{ {types} }}, columns: [{picked}], max_reject_share: 100% }}")
            sinks.append(f"  o_{name}: {{ from: {name}, files: {{ path: out/{name}, format: parquet }} }}")
            manifest.append({"name": name, "form": form, "path": path, "columns": kept, "schema": schema})
    with open(f"{folder}/pipeline.yaml", "w", encoding="utf-8") as file:
        lines = ["name: values", "lanes: 2", "batch_rows: 16", "sources:", *sources, "sinks:", *sinks]
        print("\n".join([*lines, "dead_letters: { files: { path: out/dead, format: jsonl } }"]), file=file)
    with open(f"{folder}/manifest.json", "w", encoding="utf-8") as file:
        json.dump(manifest, file)


def in_delta(of):
    """Whether a table by `deltalake` holds a type."""
    match of:
        case ("list", item) | ("map", item):
            return in_delta(item)
        case ("struct", fields):
            return all(in_delta(inner) for _, inner in fields)
        case ("timestamp", unit, *_):
            return unit == "us"
        case (name, *_):
            return name[0] != "u"


def tuples(value):
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value


def expected_rows(folder, entry):
    """For each row its number and, for each wanted column, a function that gives the value or raises."""
    columns, schema = dict(tuples(entry["columns"])), tuples(entry["schema"])
    path = f"{folder}/{entry['path']}"
    if entry["form"] in ("parquet", "delta"):
        table = pq.read_table(path) if entry["form"] == "parquet" else pa.table(DeltaTable(path).to_pyarrow_table())
        read = {name: from_arrow(table.column(name), of) for name, of in [("id", ("int64",)), *columns.items()]}
        for row, number in enumerate(read["id"]):
            yield number, {name: (lambda name=name, to=to: convert(read[name][row], columns[name], to)) for name, to in schema}
    elif entry["form"] == "csv":
        header, *rows = csv_rows(path)
        for row in rows:
            fields = dict(zip(header, row))
            yield int(fields["id"]), {name: (lambda name=name, to=to: from_field(fields[name], to)) for name, to in schema}
    else:
        with open(path, encoding="utf-8") as file:
            for line in file:
                record = json.loads(line, parse_int=Number, parse_float=Number)
                yield int(record["id"]), {name: (lambda name=name, to=to: convert_json(record.get(name), to)) for name, to in schema}


def from_field(text, to):
    if text is None or (text == "" and to[0] not in ("text", "binary")):
        return None
    return from_text(text, to, False)


def compare(folder):
    with open(f"{folder}/manifest.json", encoding="utf-8") as file:
        manifest = json.load(file)
    dead = {}
    for parent, _, files in os.walk(f"{folder}/out/dead"):
        for name in files:
            if name.endswith(".jsonl") and not name.startswith("."):
                with open(os.path.join(parent, name), encoding="utf-8") as file:
                    for line in file:
                        letter = json.loads(line)
                        record = letter["record"]
                        number = int(re.match(r'\{"id": ?(\d+)|(\d+)', record).group(1) or re.match(r"\d+", record).group(0))
                        dead.setdefault(letter["source"], {})[number] = letter
    wrong, kept, rejected = [], 0, 0
    for entry in manifest:
        schema = tuples(entry["schema"])
        files = [name for name in os.listdir(f"{folder}/out/{entry['name']}") if name.endswith(".parquet")] if os.path.isdir(f"{folder}/out/{entry['name']}") else []
        ours = {}
        for name in files:
            table = pq.read_table(f"{folder}/out/{entry['name']}/{name}")
            read = {name: from_arrow(table.column(name), of) for name, of in [("id", ("int64",)), *schema]}
            for row, number in enumerate(read["id"]):
                if number in ours:
                    wrong.append(f"{entry['name']}: row {number} came twice")
                ours[number] = {name: column[row] for name, column in read.items()}
        letters = dead.get(entry["name"], {})
        for number, row in expected_rows(folder, entry):
            values, why = {}, None
            for name, value in row.items():
                try:
                    values[name] = value()
                except Reject as reject:
                    why = why or f"{name} {reject}"
            place = f"{entry['name']} row {number}"
            if (number in ours) == (number in letters):
                wrong.append(f"{place}: {'in both places' if number in ours else 'is gone'}")
            elif why and number in ours:
                wrong.append(f"{place}: came through and should not: {why}: {ours[number]} of {entry}")
            elif not why and number in letters:
                letter = letters[number]
                wrong.append(f"{place}: was rejected and should not: {letter['column']} {letter['message']} of {letter['record']}: {schema}")
            elif not why:
                kept += 1
                for name, to in schema:
                    if not equal(ours[number][name], values[name], to):
                        wrong.append(f"{place}: {name} is {ours[number][name]!r}, not {values[name]!r}; wanted {to}, was {entry['columns']}")
            else:
                rejected += 1
    print(f"{kept} rows kept, {rejected} rejected, {len(wrong)} wrong")
    for line in wrong[:20]:
        print(line)
    if wrong or not kept or not rejected:
        sys.exit(1)


if sys.argv[1] == "write":
    write(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    compare(sys.argv[2])
sys.stdout.flush()
