"""A second reader of the format: numpy and pyarrow, from docs/format.md alone.

`table_fields` gives the original columns of a shard, bit for bit; `h5_fields` gives the same columns from the HDF5 file. Both return
(number of constituents of each jet, {name of the field: numpy array}).
"""
import json
import math

import h5py
import numpy as np
import pyarrow as pa

ETA_STEP = 6.0 / 32767.0
PHI_STEP = 3.2 / 32767.0
PHI_LARGEST = 32169  # lattice points of phi reach from minus this to this
PHI_PERIOD = 2 * PHI_LARGEST + 1
MANTISSA_BITS = 12
DROPPED_BITS = 23 - MANTISSA_BITS

FACTORIAL = [1.0 / math.factorial(n) for n in range(18)]


def polynomial(z, *coefficients):
    """c0 + z*(c1 + z*(c2 + ...)): each product and sum rounded on its own."""
    value = np.full_like(z, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * z
        value = value + coefficient
    return value


def sine_cosine(x):
    n = np.rint(x * float.fromhex("0x1.45f306dc9c883p-1"))
    r = (x - n * float.fromhex("0x1.921fb544p+0")) - n * float.fromhex("0x1.0b4611a626331p-34")
    z = r * r
    f = FACTORIAL
    s = r + (r * z) * polynomial(z, -f[3], f[5], -f[7], f[9], -f[11], f[13], -f[15], f[17])
    h = 0.5 * z
    w = 1.0 - h
    c = w + (((1.0 - w) - h) + (z * z) * polynomial(z, f[4], -f[6], f[8], -f[10], f[12], -f[14], f[16]))
    quarter = n.astype(np.int64) % 4
    return np.choose(quarter, [s, c, -s, -c]), np.choose(quarter, [c, -s, -c, s])


def hyperbolic(x):
    k = np.rint(x * float.fromhex("0x1.71547652b82fep+0"))
    r = (x - k * float.fromhex("0x1.62e42fefap-1")) - k * float.fromhex("0x1.cf79abc9e3b3ap-40")
    z = r * r
    f = FACTORIAL
    s = r + (r * z) * polynomial(z, f[3], f[5], f[7], f[9], f[11], f[13])
    d = z * polynomial(z, f[2], f[4], f[6], f[8], f[10], f[12])
    up, down = np.exp2(k - 1), np.exp2(-k - 1)
    a, b = up + down, up - down
    return b + (a * s + b * d), a + (b * s + a * d)


def bits(x):
    return np.ascontiguousarray(x, np.float32).view(np.uint32)


def grid_point(x):
    """Number of the grid point that float32 `x` is rounded to, as CMS does: half up, the two largest mantissas never raised."""
    b = bits(x)
    mantissa = (b & 0x7FFFFF) >> DROPPED_BITS
    raised = ((b >> (DROPPED_BITS - 1)) & 1) & (mantissa < 2**MANTISSA_BITS - 2)
    magnitude = ((b & 0x7FFFFFFF) >> DROPPED_BITS).astype(np.int64) + raised
    return np.where(b >> 31 == 1, -magnitude, magnitude)


def grid_value(number):
    magnitude = np.abs(number).astype(np.uint32) << DROPPED_BITS
    return np.where(number < 0, magnitude | np.uint32(1 << 31), magnitude).view(np.float32)


def axis_point(angle, step, largest):
    with np.errstate(invalid="ignore"):  # signalling NaN
        angle = angle.astype(np.float64)
    usable = np.where(np.abs(angle) <= largest, angle, 0)
    return np.rint(usable / step).astype(np.int64)


def wrapped(k):
    k = np.where(k > PHI_LARGEST, k - PHI_PERIOD, k)
    return np.where(k < -PHI_LARGEST, k + PHI_PERIOD, k)


def momenta(columns, jet_eta, jet_phi, counts, masses):
    """px, py, pz and predicted E of all constituents."""
    pt = columns["pt"].astype(np.float64)
    ke = np.repeat(axis_point(jet_eta, ETA_STEP, 6.0), counts)
    kp = np.repeat(axis_point(jet_phi, PHI_STEP, 3.1416015625), counts)
    eta = grid_value(grid_point(((ke + columns["deta"]) * ETA_STEP).astype(np.float32)) + columns["fix_eta"])
    with np.errstate(divide="ignore"):
        size = np.where(pt < 1.0, 0.1 * pt, 0.1 / pt)
    shift = np.where(np.trunc(pt * 10.0).astype(np.int64) % 2 == 1, -size, size)
    k = wrapped(kp + columns["dphi"])
    phi = grid_value(grid_point((k * PHI_STEP + shift * PHI_STEP).astype(np.float32)) + columns["fix_phi"])
    sine, cosine = sine_cosine(phi.astype(np.float64))
    sinh, cosh = hyperbolic(eta.astype(np.float64))
    mass = np.zeros_like(pt)
    for entry in masses:
        mass[np.abs(columns["pdgId"].astype(np.int64)) == entry["pdgId"]] = entry["mass"]
    total = pt * cosh
    with np.errstate(over="ignore"):
        values = pt * cosine, pt * sine, pt * sinh, np.sqrt(total * total + mass * mass)
        return [value.astype(np.float32) for value in values]


def ordered(number_bits):
    """Bits of float32 as integers in the order of the numbers, -0.0 just below +0.0; the same function leads back."""
    signed = np.ascontiguousarray(number_bits, np.uint32).view(np.int32)
    return np.where(signed < 0, signed ^ 0x7FFFFFFF, signed)


def corrected(predicted, ulp):
    """A prediction in double, rounded to float32 and moved by so many units of the last place."""
    with np.errstate(over="ignore", invalid="ignore"):
        b = bits(predicted.astype(np.float32))
    finite = np.where(b & 0x7F800000 == 0x7F800000, 0, b)
    moved = (ordered(finite) + ulp.astype(np.int32)).astype(np.int32)
    return np.where(moved < 0, moved ^ 0x7FFFFFFF, moved).astype(np.int32).view(np.float32)


def within(angle, largest):
    return np.where(np.abs(angle) <= largest, angle, 0.0)


def forward_momenta(stored, forward, counts):
    """px, py, pz before exceptions."""
    with np.errstate(invalid="ignore", over="ignore"):  # signalling NaN, infinities
        pt = stored["pt"].astype(np.float64)
        deta, dphi = (stored[name].astype(np.float64) for name in forward["angles"])
        jet_eta, jet_phi = (np.repeat(stored[name].astype(np.float64), counts) for name in forward["axis"])
        sine, cosine = sine_cosine(within(dphi + jet_phi, 1000.0))
        sinh, _ = hyperbolic(within(np.where(jet_eta > 0, deta, -deta) + jet_eta, 20.0))
        predicted = pt * cosine, pt * sine, pt * sinh
    names = "px_ulp", "py_ulp", "pz_ulp"
    return [corrected(value, stored[name]) for value, name in zip(predicted, names)]


def forward_energy(stored, momenta, masses):
    """Energies of exact momenta, before exceptions."""
    mass = np.zeros(len(stored["pid"]))
    for entry in masses:
        mass[stored["pid"] == entry["pid"]] = entry["mass"]
    with np.errstate(invalid="ignore", over="ignore"):
        x, y, z = (p.astype(np.float64) for p in momenta)
        return corrected(np.sqrt(((x * x + y * y) + z * z) + mass * mass), stored["energy_ulp"])


def flat(table, name):
    """The values of a column, those of lists one after the other."""
    parts = [chunk.flatten() if pa.types.is_list(chunk.type) else chunk for chunk in table[name].chunks]
    if not parts:
        kind = table.schema.field(name).type
        return np.empty(0, (kind.value_type if pa.types.is_list(kind) else kind).to_pandas_dtype())
    return np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts])


def lengths(table, name):
    parts = [chunk.value_lengths().to_numpy(zero_copy_only=False) for chunk in table[name].chunks]
    return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, np.int64)


def encoding(table):
    return json.loads(table.schema.metadata[b"pando.encoding"])


def table_fields(table):
    """The original columns of a shard's table."""
    described = encoding(table)
    constituents = [field for field in described["fields"] if field["role"] == "constituent"]
    stored = {name: flat(table, name) for name in table.column_names}
    counts = lengths(table, counted_by(described, constituents))
    fields = {}
    for field in described["fields"]:
        if field["storage"] in ("lattice", "forward", "flags"):
            continue
        kind = np.dtype(field["type"])
        fields[field["name"]] = stored[field["name"]].astype(kind)
    lattice = described.get("lattice")
    if lattice:
        eta, phi = (fields[name] for name in lattice["axis"])
        columns = stored | {"pdgId": stored[lattice["pdgId"]]}
        values = momenta(columns, eta, phi, counts, lattice["masses"])
        for name, value in zip(lattice["momentum"], values[: 4 if lattice["predictsEnergy"] else 3]):
            fields[name] = value
        if lattice["predictsEnergy"]:
            energy = bits(values[3]).astype(np.int64) + stored["energy_ulp"]
            fields[lattice["momentum"][3]] = energy.astype(np.uint32).view(np.float32)
    for code, name in enumerate(described.get("flags", [])):
        fields[name] = (stored["pid"] == code).astype(np.int32)
    forward = described.get("forward")
    if forward:
        fields |= zip(forward["momentum"], forward_momenta(stored, forward, counts))
    apply_exceptions(stored, table, counts, constituents, fields)
    if forward and forward["predictsEnergy"]:
        # Of the exact momenta, so its own exceptions come last.
        *vector, energy = forward["momentum"]
        fields[energy] = forward_energy(stored, [fields[name] for name in vector], forward["masses"])
        apply_exceptions(stored, table, counts, constituents, fields)
    return counts, {field["name"]: fields[field["name"]] for field in described["fields"]}


def counted_by(described, constituents):
    """A column with one value for each constituent."""
    if "lattice" in described or "forward" in described:
        return "pt"
    return "pid" if "flags" in described else constituents[0]["name"]


def apply_exceptions(stored, table, counts, constituents, fields):
    if "x_pos" not in stored:
        return
    jet = np.repeat(np.arange(len(counts)), lengths(table, "x_pos"))
    place = (np.cumsum(counts) - counts)[jet] + stored["x_pos"]
    assert (stored["x_pos"] < counts[jet]).all(), "an exception names a constituent that is not there"
    for number, field in enumerate(constituents):
        mine = stored["x_field"] == number
        if mine.any() and field["name"] in fields:
            fields[field["name"]].view(np.uint32)[place[mine]] = stored["x_bits"][mine]


def h5_fields(path, described, rows=None):
    """The same columns from the HDF5 file: `described` is the list of fields in a shard's metadata."""
    with h5py.File(path, "r") as file:
        data = {name: file[name][()] for name in {field["dataset"] for field in described}}
    if rows is not None:
        data = {name: values[rows] for name, values in data.items()}
    padded = {field["dataset"] for field in described if field["role"] == "constituent"}
    used = np.any([np.ascontiguousarray(data[name]).view(np.uint32).any(2) for name in padded], axis=0)
    counts = np.where(used.any(1), used.shape[1] - np.argmax(used[:, ::-1], axis=1), 0)
    real = np.arange(used.shape[1]) < counts[:, None]
    fields = {}
    for field in described:
        values = data[field["dataset"]][..., field["column"]]
        fields[field["name"]] = values[real] if field["role"] == "constituent" else values
    return counts, fields


def assert_same_bits(found, expected):
    """Compares two results of `table_fields` or `h5_fields`."""
    assert np.array_equal(found[0], expected[0]), "numbers of constituents differ"
    assert found[1].keys() == expected[1].keys()
    for name, values in expected[1].items():
        ours = found[1][name]
        assert ours.dtype == values.dtype and ours.shape == values.shape, name
        unsigned = f"u{values.dtype.itemsize}"
        different = np.ascontiguousarray(ours).view(unsigned) != np.ascontiguousarray(values).view(unsigned)
        assert not different.any(), f"{name}: {different.sum()} of {different.size} values differ, first at {different.argmax()}"
