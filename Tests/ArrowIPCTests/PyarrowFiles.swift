import Foundation

/// Files written by pyarrow, with what pyarrow reads in them.
struct PyarrowFiles {
    let name: String
    let bytes: [UInt8]
    let batches: [[ForeignColumn]]

    private struct Description: Decodable {
        let name: String
        let batches: [[ForeignColumn]]
    }

    /// Writes the files of the script into a directory and reads them.
    static func make(script: String = pyarrowScript) throws -> [PyarrowFiles] {
        try withTemporaryDirectory { directory in
            let printed = try Python.run(describeScript + script, [directory])
            return try JSONDecoder().decode([Description].self, from: printed).map { description in
                let data = try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(description.name)"))
                return PyarrowFiles(name: description.name, bytes: Array(data), batches: description.batches)
            }
        }
    }
}

/// Prints the columns of record batches in the form of `ForeignColumn`.
let describeScript = """
    import json, sys
    import numpy as np
    import pyarrow as pa
    from pyarrow import ipc

    def primitive(type):
        return pa.types.is_integer(type) or pa.types.is_floating(type) or pa.types.is_boolean(type)

    def bits(array):
        return [bool(v) for v in array.is_valid().to_pylist()]

    def numbers(array):
        dtype = np.dtype(bool) if pa.types.is_boolean(array.type) else np.dtype(array.type.to_pandas_dtype())
        return np.array([0 if v is None else v for v in array.to_pylist()], dtype).tobytes().hex()

    def describe(name, array):
        out = dict(name=name, type=str(array.type), valid=bits(array))
        type = array.type
        if primitive(type):
            out['values'] = numbers(array)
        elif pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type):
            texts = [(v or '').encode() for v in array.to_pylist()]
            out['values'] = b''.join(texts).hex()
            out['lengths'] = [len(t) for t in texts]
        elif (pa.types.is_list(type) or pa.types.is_large_list(type)) and primitive(type.value_type):
            flat = array.flatten()
            out['values'] = numbers(flat)
            out['childValid'] = bits(flat)
            out['lengths'] = [v or 0 for v in array.value_lengths().to_pylist()]
        return out

    def batch(batch):
        return [describe(f.name, c) for f, c in zip(batch.schema, batch.columns)]

    """

private let pyarrowScript = #"""
    rng = np.random.default_rng(5)
    PRIMITIVES = [pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(),
                  pa.uint64(), pa.float16(), pa.float32(), pa.float64()]

    def values(type, n, nulls):
        raw = rng.integers(0, 100, n)
        mask = rng.random(n) < 0.3 if nulls else np.zeros(n, bool)
        if pa.types.is_boolean(type):
            raw = raw % 2 == 1
        else:
            raw = raw.astype(type.to_pandas_dtype())
        return pa.array(raw, type, mask=mask)

    def lists(type, n, nulls):
        lengths = rng.integers(0, 6, n)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        mask = pa.array(rng.random(n) < 0.3) if nulls else None
        return pa.ListArray.from_arrays(pa.array(offsets), values(type, int(offsets[-1]), nulls), mask=mask)

    def texts(n, nulls):
        words = ['', 'jet', 'η', 'a longer text', '🌳']
        picked = [words[i] for i in rng.integers(0, 5, n)]
        return pa.array([None if nulls and rng.random() < 0.3 else w for w in picked])

    def table(n, nulls=False):
        columns = {str(t): values(t, n, nulls) for t in PRIMITIVES}
        columns['text'] = texts(n, nulls)
        columns |= {f'list<{t}>': lists(t, n, nulls) for t in PRIMITIVES}
        return pa.table(columns).replace_schema_metadata({'who': 'pyarrow', 'bytes': b'\xff\x00'})

    def foreign(n):
        ints = lambda: pa.array(rng.integers(0, 100, n), pa.int32())
        union_types = pa.array([i % 2 for i in range(n)], pa.int8())
        some = [None if i % 5 == 4 else i for i in range(n)]
        odd = {
            'dictionary': pa.array(['a', 'b'] * (n // 2)).dictionary_encode(),
            'timestamp': pa.array(some, pa.timestamp('us', 'UTC')), 'date': pa.array(some, pa.date32()),
            'time': pa.array(some, pa.time64('ns')), 'duration': pa.array(some, pa.duration('s')),
            'decimal': pa.array(some, pa.decimal128(20, 3)), 'null': pa.nulls(n),
            'binary': pa.array([b'x'] * n), 'large_binary': pa.array([b'x'] * n, pa.large_binary()),
            'large_utf8': pa.array(['long'] * n, pa.large_utf8()),
            'large_list<int64>': pa.array([[1, 2]] * n, pa.large_list(pa.int64())),
            'list<utf8>': pa.array([['a', None]] * n), 'list<list<int8>>': pa.array([[[1], []]] * n,
                pa.list_(pa.list_(pa.int8()))),
            'struct': pa.array([{'a': 1, 'b': 'x'}] * n),
            'fixed_size_list<float>': pa.array([[1.5, 2]] * n, pa.list_(pa.float32(), 2)),
            'fixed_size_binary': pa.array([b'abc'] * n, pa.binary(3)),
            'map': pa.array([[('k', 1)]] * n, pa.map_(pa.string(), pa.int8())),
            'union sparse': pa.UnionArray.from_sparse(union_types, [ints(), ints()]),
            'union dense': pa.UnionArray.from_dense(union_types, pa.array(range(n), pa.int32()), [ints(), ints()]),
            'utf8_view': pa.array(['a text too long for the view itself'] * n, pa.string_view()),
            'binary_view': pa.array([b'short'] * n, pa.binary_view()),
            'list_view': pa.array([[1, 2]] * n, pa.list_view(pa.int16())),
            'run_end_encoded': pa.RunEndEncodedArray.from_arrays(pa.array([n], pa.int32()), pa.array([1.5])),
            'interval': pa.array([(1, 2, 3)] * n, pa.month_day_nano_interval()),
            'list<dictionary>': pa.array([['a', 'b']] * n, pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        }
        columns = {}
        for index, (name, array) in enumerate(odd.items()):
            columns[name] = array
            columns[f'int{index}'] = ints()
            if index % 4 == 0:
                columns[f'list{index}'] = lists(pa.float16(), n, True)
        return pa.table(columns)

    described = []

    def write(name, table, chunk=None, custom=False, **options):
        with ipc.new_file(f'{sys.argv[1]}/{name}', table.schema, options=ipc.IpcWriteOptions(**options)) as writer:
            for i, b in enumerate(table.to_batches(max_chunksize=chunk)):
                if custom:
                    writer.write_batch(b, custom_metadata={'n': str(i)})
                else:
                    writer.write_batch(b)
        reader = ipc.open_file(f'{sys.argv[1]}/{name}')
        described.append(dict(name=name, batches=[batch(reader.get_batch(i)) for i in range(reader.num_record_batches)]))

    for codec in [None, 'lz4', 'zstd']:
        write(f'plain-{codec}', table(40), compression=codec)
        write(f'nulls-{codec}', table(40, nulls=True), compression=codec)
        write(f'sliced-{codec}', table(60, nulls=True).slice(13, 31), compression=codec)
        write(f'chunks-{codec}', table(50), chunk=17, custom=True, compression=codec)
        write(f'foreign-{codec}', foreign(10), compression=codec)
    write('empty', table(0))
    write('empty-zstd', table(0), compression='zstd')
    write('no-columns', pa.table({}))
    write('version4', table(20, nulls=True), metadata_version=pa.MetadataVersion.V4)
    write('legacy', table(20, nulls=True), metadata_version=pa.MetadataVersion.V4, use_legacy_format=True)
    print(json.dumps(described))
    """#
