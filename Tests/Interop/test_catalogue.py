"""dataset.json and index.arrow say what is so."""
import json
import struct

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
import xxhash

import decode
from conftest import ROOT, SAMPLE, aoj_files, convert, each_file, run
from test_readers import read, whole

SCHEMA = json.loads((ROOT / "schemas/dataset.schema.json").read_text())


def digest(data):
    return xxhash.xxh3_64_hexdigest(data)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Several shards of several record batches each."""
    folder = tmp_path_factory.mktemp("many")
    options = ["--shard-size", "512KiB", "--batch-rows", "128"]
    return convert(folder / "many.pando", aoj_files(), *options)


def validate(catalogue):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(catalogue)


@each_file
def test_the_catalogue_follows_its_schema(converted, path):
    validate(converted(path).catalogue)


def test_catalogues_of_other_options_follow_it_too(tmp_path, many):
    validate(many.catalogue)
    for number, options in enumerate([["--no-parity"], ["--codec", "none", "--offsets", "separate"], ["--task", "1/2"]]):
        validate(convert(tmp_path / f"{number}.pando", [SAMPLE], *options).catalogue)


def test_inputs_that_were_left_out_are_named(tmp_path):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(SAMPLE.read_bytes()[:100_000])
    out = tmp_path / "out.pando"
    run("convert", SAMPLE, broken, out, "--quiet", "--on-bad-input", "skip", status=3)
    catalogue = json.loads((out / "dataset.json").read_text())
    validate(catalogue)
    assert catalogue["rows"] == 1727 and [gap["input"] for gap in catalogue["missing"]] == [str(broken)]
    run("convert", SAMPLE, broken, tmp_path / "none.pando", "--quiet", status=1)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("shards"),
        lambda c: c.update(rows=-1),
        lambda c: c.update(format="other"),
        lambda c: c["shards"][0].update(digest="12"),
        lambda c: c["columns"][0].update(codec="magic"),
        lambda c: c["encoding"]["fields"][0].update(storage="float8"),
        lambda c: c["shards"][0].update(file="/absolute.arrow"),
    ],
)
def test_the_schema_refuses_what_is_wrong(sample, change):
    catalogue = sample.catalogue
    change(catalogue)
    with pytest.raises(jsonschema.ValidationError):
        validate(catalogue)


def test_digests_of_files_are_those_of_xxhsum(many):
    catalogue = many.catalogue
    assert len(catalogue["shards"]) > 1
    for entry in [*catalogue["shards"], catalogue["index"], *catalogue["parity"]]:
        data = (many.path / entry["file"]).read_bytes()
        assert len(data) == entry["bytes"] and digest(data) == entry["digest"], entry["file"]
    for entry in catalogue["shards"]:
        data = (many.path / entry["file"]).read_bytes()
        head, tail = entry["head"], entry["tail"]
        assert digest(data[: head["bytes"]]) == head["digest"]
        assert digest(data[len(data) - tail["bytes"] :]) == tail["digest"]
    text = (many.path / "dataset.json").read_bytes()
    own = f'\n  "digest" : "{catalogue["digest"]}"'.encode()
    assert text.count(own) == 1
    assert digest(text.replace(own, b'\n  "digest" : "0000000000000000"')) == catalogue["digest"]
    assert (many.path / "parity/dataset.json").read_bytes() == text


def test_the_catalogue_names_every_file_and_no_other(many):
    catalogue = many.catalogue
    named = {entry["file"] for entry in [*catalogue["shards"], catalogue["index"], *catalogue["parity"]]}
    found = {str(path.relative_to(many.path)) for path in many.path.rglob("*") if path.is_file()}
    assert found == named | {"dataset.json", "parity/dataset.json"}


def test_inputs_are_known_by_size_and_digest(many):
    for entry, path in zip(many.catalogue["provenance"]["inputs"], many.inputs, strict=True):
        data = path.read_bytes()
        assert entry["bytes"] == len(data)
        assert entry["headTailDigest"] == digest(data[: 1 << 16] + data[-(1 << 16) :])


def parts(message, metadata_bytes):
    """The parts of a message by docs/format.md, section 3, from the `Buffer` structs of its FlatBuffer."""

    def number(kind, place):
        return struct.unpack_from("<" + kind, message, place)[0]

    def follow(table, slot):
        vtable = table - number("i", table)
        place = table + number("H", vtable + 4 + 2 * slot)
        return place + number("I", place)

    header = follow(8 + number("I", 8), 2)
    vector = follow(header, 2)
    buffers = struct.iter_unpack("<qq", message[vector + 4 :][: 16 * number("I", vector)])
    starts = sorted({metadata_bytes + offset for offset, length in buffers if length})
    if len(message) > metadata_bytes:
        starts[:1] = [metadata_bytes]
    ends = [*starts, len(message)]
    return [message[start:end] for start, end in zip([0, *starts], ends, strict=True)]


def test_the_index_finds_every_record_batch(many):
    catalogue = many.catalogue
    index = read(many.path / "index.arrow").to_pylist()
    contents = xxhash.xxh3_64()
    first_row, row = 0, 0
    for number, (shard, entry) in enumerate(zip(many.shards, catalogue["shards"], strict=True)):
        data = shard.read_bytes()
        file = pa.ipc.open_file(data)
        assert file.num_record_batches == entry["batches"]
        for position in range(file.num_record_batches):
            batch, custom = file.get_batch_with_custom_metadata(position)
            record = index[row]
            assert (record["shard"], record["first_row"], record["rows"]) == (number, first_row, batch.num_rows)
            message = data[record["offset"] :][: record["metadata_bytes"] + record["body_bytes"]]
            assert record["offset"] % 64 == 0 and xxhash.xxh3_64_intdigest(message) == record["digest"]
            digests = [xxhash.xxh3_64_intdigest(part) for part in parts(message, record["metadata_bytes"])]
            assert digests == record["parts"] and len(digests) > 20
            # The message stands on its own: offset and length are all one needs to read it.
            alone = pa.ipc.read_record_batch(pa.ipc.read_message(message), file.schema)
            assert alone.equals(batch)
            table = pa.Table.from_batches([batch])
            counts, fields = decode.table_fields(table)
            assert record["constituents"] == counts.sum()
            originals = {"count": counts.astype("<u4")} | fields
            order = ["count"] + [field["name"] for field in decode.encoding(table)["fields"]]
            digests = {name: digest(originals[name].tobytes()) for name in order}
            assert json.loads(custom[b"pando.xxh3"]) == digests
            content = xxhash.xxh3_64_intdigest(b"".join(int(digests[name], 16).to_bytes(8, "little") for name in order))
            assert record["content"] == content
            contents.update(content.to_bytes(8, "little"))
            for key in catalogue["keys"]:
                values = batch.column(key).to_numpy()
                assert (record[key + "_min"], record[key + "_max"]) == (values.min(), values.max())
            first_row += batch.num_rows
            row += 1
    assert row == len(index) and first_row == catalogue["rows"]
    assert contents.hexdigest() == catalogue["fingerprint"]


def test_columns_are_described_as_they_are(many):
    catalogue, table = many.catalogue, whole(many)
    assert [column["name"] for column in catalogue["columns"]] == table.column_names
    for column in catalogue["columns"]:
        field = table.schema.field(column["name"])
        metadata = {key.decode(): value.decode() for key, value in field.metadata.items()}
        for key in ("unit", "scale", "description", "source", "codec"):
            assert metadata.get(key) == column.get(key), (column["name"], key)
        name = {"halffloat": "float16", "float": "float32", "double": "float64"}
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        kind = name.get(str(kind), str(kind))
        assert column["type"] == (f"list<{kind}>" if pa.types.is_list(field.type) else kind)
    counts, fields = decode.table_fields(table)
    assert catalogue["constituents"] == counts.sum() and catalogue["fullJets"] == (counts >= 150).sum()
    assert catalogue["emptyJets"] == (counts == 0).sum()
    for column in catalogue["columns"]:
        if column["codec"] in ("exact", "narrow"):
            values, found = fields[column["name"]].astype(np.float64), column["statistics"]
            assert (found["count"], found["minimum"], found["maximum"]) == (len(values), values.min(), values.max())
            assert found["sum"] == pytest.approx(values.sum(), rel=1e-9, abs=1e-6)


def test_derived_columns_are_sums_of_the_constituents(many):
    table = whole(many)
    counts, fields = decode.table_fields(table)
    assert (table["n_constituents"].to_numpy() == counts).all()
    starts = np.cumsum(counts) - counts
    px, py, pz, energy = (np.add.reduceat(fields[name].astype(np.float64), starts) for name in ("px", "py", "pz", "E"))
    pt = np.hypot(px, py)
    for name, values in (("sum_pt", pt), ("sum_eta", np.arcsinh(pz / pt)), ("sum_phi", np.arctan2(py, px))):
        assert np.allclose(table[name].to_numpy(), values, rtol=1e-6, atol=1e-7), name
    mass = np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0))
    assert np.allclose(table["sum_mass"].to_numpy(), mass, rtol=1e-5, atol=1e-3)


def test_splits_follow_the_documented_hash(many):
    table, splits = whole(many), many.catalogue["splits"]
    numbers = np.stack([table[name].to_numpy() for name in splits["columns"]], axis=1).astype("<i8")
    share = np.array([(xxhash.xxh3_64_intdigest(row.tobytes()) >> 11) * 2.0**-53 for row in numbers])
    ends = [0.0] + [part["below"] for part in splits["parts"]]
    rows = [int(((share >= low) & (share < high)).sum()) for low, high in zip(ends, ends[1:])]
    assert rows == [part["rows"] for part in splits["parts"]] and sum(rows) == table.num_rows
    # The index has them by record batch.
    first = 0
    for record in read(many.path / "index.arrow").to_pylist():
        part = share[first : first + record["rows"]]
        for name, low, high in zip([part["name"] for part in splits["parts"]], ends[:-1], ends[1:], strict=True):
            assert record["rows_" + name] == np.count_nonzero((low <= part) & (part < high))
        first += record["rows"]


def test_merged_parts_are_one_dataset(tmp_path):
    from conftest import has_command

    if not has_command("index"):
        pytest.skip("this build has no 'pando index'")
    parts = [convert(tmp_path / f"{task}.pando", [SAMPLE], "--task", f"{task}/2") for task in range(2)]
    run("index", *(part.path for part in parts), "--into", tmp_path / "all.pando")
    run("verify", "--lossless", tmp_path / "all.pando")
    catalogue = json.loads((tmp_path / "all.pando/dataset.json").read_text())
    validate(catalogue)
    assert catalogue["rows"] == 1727
