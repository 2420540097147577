"""Damage never changes a number unnoticed.

Stock readers notice it inside the compressed buffers, because every frame carries a checksum; verify notices it everywhere.
"""
import random
import shutil

import polars as pl
import pyarrow as pa
import pytest

from conftest import SAMPLE, convert, run
from test_readers import read

ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
FLIPS = 200


def frames(data, index):
    """Byte ranges of the ZSTD frames in a shard: what lies behind the 8 bytes of length in front of each buffer.

    Buffers start at multiples of 64 in the body; the magic number there marks one, since padding is zero. Where a frame ends
    (before the padding) its checksum ends too.
    """
    for record in index:
        start = record["offset"] + record["metadata_bytes"]
        end = start + record["body_bytes"]
        places = [place for place in range(start, end, 64) if data[place + 8 : place + 12] == ZSTD_FRAME]
        for place, following in zip(places, places[1:] + [end]):
            length = len(data[place:following].rstrip(b"\0"))
            yield place + 8, place + length


def pyarrow_reads(data):
    table = pa.ipc.open_file(data).read_all()
    table.validate(full=True)
    return table


def refused(error):
    """Whether a reader refused the bytes; polars has one kind of error that is no Exception."""
    return isinstance(error, (OSError, pa.ArrowException, pl.exceptions.PolarsError)) or "Panic" in type(error).__name__


@pytest.mark.parametrize("read_bytes", [pyarrow_reads, pl.read_ipc], ids=["pyarrow", "polars"])
@pytest.mark.parametrize("options", [(), ("--offsets", "separate", "--level", "1", "--batch-rows", "256")], ids=" ".join)
def test_no_reader_sees_another_number_for_a_flipped_bit_inside_a_frame(tmp_path, read_bytes, options):
    dataset = convert(tmp_path / "out.pando", [SAMPLE], *options)
    (shard,) = dataset.shards
    data = bytearray(shard.read_bytes())
    original = read_bytes(bytes(data))
    ranges = list(frames(data, read(dataset.path / "index.arrow").to_pylist()))
    assert sum(end - start for start, end in ranges) > 0.9 * len(data)
    chance = random.Random(7)
    unnoticed = 0
    for _ in range(FLIPS):
        # By range first: small buffers get their share of the flips.
        start, end = chance.choice(ranges)
        place, bit = chance.randrange(start, end), chance.randrange(8)
        data[place] ^= 1 << bit
        try:
            # A frame's header has one bit that decoders must ignore.
            assert read_bytes(bytes(data)).equals(original), f"bit {bit} of byte {place}, in the frame {start}..<{end}"
            unnoticed += 1  # a frame's header has bits that change no value, such as the one that says "with checksum"
        except AssertionError:
            raise
        except BaseException as error:
            assert refused(error), error
        data[place] ^= 1 << bit
    assert unnoticed <= FLIPS // 20


def test_verify_finds_a_flipped_bit_anywhere(tmp_path, sample):
    path = tmp_path / "copy.pando"
    shutil.copytree(sample.path, path)
    chance = random.Random(11)
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        whole = file.read_bytes()
        for place in [0, len(whole) - 1] + [chance.randrange(len(whole)) for _ in range(6)]:
            damaged = bytearray(whole)
            damaged[place] ^= 1 << chance.randrange(8)
            file.write_bytes(damaged)
            run("verify", path, status=1)
        file.write_bytes(whole[:-1])
        run("verify", path, status=1)
        file.unlink()
        run("verify", path, status=1)
        file.write_bytes(whole)
    assert "sound" in run("verify", "--lossless", path)


def test_repair_mends_a_flipped_bit_in_any_file(tmp_path, sample):
    from conftest import has_command

    if not has_command("repair"):
        pytest.skip("this build has no 'pando repair'")
    path = tmp_path / "copy.pando"
    shutil.copytree(sample.path, path)
    chance = random.Random(13)
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        whole = file.read_bytes()
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        run("repair", path)
        assert file.read_bytes() == whole, file.name
        assert "sound" in run("verify", "--lossless", path)
