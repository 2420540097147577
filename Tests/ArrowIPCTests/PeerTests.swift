import ArrowIPC
import Foundation
import Testing

@Suite struct PeerTests {
    @Test(
        "pyarrow and polars read what we write", .enabled(if: Python.hasPyarrow, "pyarrow is not there"),
        arguments: [BodyCompression.none, .lz4, .zstd(level: 3)])
    func peersRead(compression: BodyCompression) throws {
        for (rows, shares) in [(50, true), (50, false), (0, true), (1, true)] {
            let table = SampleTable(rows: rows, seed: UInt64(rows))
            let metadata = [KeyValue(key: "pando.rows", value: "fünf")]
            let batch = try table.encode(compression, sharesOffsets: shares, metadata: metadata)
            try withTemporaryDirectory { directory in
                let path = "\(directory)/ours.arrow"
                let file = ArrowFileLayout.file(schema: table.schema, batches: [batch, batch], metadata: metadata)
                try Data(file).write(to: URL(fileURLWithPath: path))
                let script = describeScript + (Python.hasPolars ? readScript + polarsScript : readScript)
                let printed = try Python.run(script + "print(json.dumps(found))", [path])
                let found = try JSONDecoder().decode([[ForeignColumn]].self, from: printed)
                #expect(found.count == (Python.hasPolars ? 4 : 3))
                for columns in found {
                    #expect(columns.count == table.columns.count)
                    for (column, ours) in zip(columns, table.columns) {
                        #expect(column.name == ours.field.name)
                        #expect(column.values == hex(ours.values), "\(column.name)")
                        #expect(column.lengths == ours.offsets.map(lengths), "\(column.name)")
                    }
                }
            }
        }
    }

    @Test("We read what pyarrow writes", .enabled(if: Python.hasPyarrow, "pyarrow is not there"))
    func readPyarrow() throws {
        for file in try PyarrowFiles.make() { try compare(file) }
    }

    @Test("We read what polars writes", .enabled(if: Python.hasPolars, "polars is not there"))
    func readPolars() throws {
        for file in try PyarrowFiles.make(script: polarsWriteScript) { try compare(file) }
    }

    private func compare(_ peer: PyarrowFiles) throws {
        let file = try ArrowFile(bytes: peer.bytes, name: peer.name)
        #expect(file.recordBatchCount == peer.batches.count, "\(peer.name)")
        let decoder = BodyDecoder()
        for (number, columns) in peer.batches.enumerated() {
            let batch = try file.recordBatch(number)
            #expect(batch.schema.fields.map(\.name) == columns.map(\.name))
            if peer.name.hasPrefix("chunks") {
                #expect(batch.customMetadata == [KeyValue(key: "n", value: "\(number)")])
            }
            for (index, column) in columns.enumerated() {
                try compare(batch, index, column, "\(peer.name), \(column.name)", decoder)
            }
        }
    }

    private func compare(
        _ batch: RecordBatch, _ index: Int, _ peer: ForeignColumn, _ label: String, _ decoder: BodyDecoder
    ) throws {
        if case .unsupported(let type) = batch.schema.fields[index].type {
            let error = #expect(throws: ArrowError.self) { try batch.column(index) }
            #expect(error?.code == .unsupported)
            #expect(error?.message.contains(type.name) == true)
            if label.hasPrefix("foreign") {
                let expected = peer.name.split(separator: " ").first.map(String.init) ?? ""
                #expect(type.name.hasPrefix(expected.prefix { $0 != "<" }), "\(type.name), \(label)")
            }
            return
        }
        var column = try readColumn(batch, index, using: decoder)
        let validity = try batch.validity(ofColumn: index, using: decoder)
        #expect(validity ?? Array(repeating: true, count: batch.rowCount) == peer.valid, "\(label)")
        let view = try batch.column(index)
        #expect(validity?.filter { !$0 }.count ?? 0 == view.nullCount)
        let offsets = column.offsets
        if let offsets, let first = offsets.first, let last = offsets.last {
            // The peer gives only what the offsets span, and nothing where the list is missing.
            let width = view.childLength.map { $0 == 0 ? 0 : column.values.count / $0 } ?? 1
            var child = try batch.childValidity(ofColumn: index, using: decoder)
            if view.childLength != nil {
                var values: [UInt8] = []
                var valid: [Bool] = []
                for row in 0..<batch.rowCount where validity?[row] ?? true {
                    for place in Int(offsets[row])..<Int(offsets[row + 1]) {
                        let isThere = child?[place] ?? true
                        let value = column.values[place * width..<(place + 1) * width]
                        values += isThere ? Array(value) : Array(repeating: 0, count: width)
                        valid.append(isThere)
                    }
                }
                column.values = values
                child = valid
                #expect(child == peer.childValid, "\(label)")
            }
            #expect(first >= 0 && last >= first)
            let found = lengths(offsets).enumerated().map { validity?[$0.offset] ?? true ? $0.element : 0 }
            #expect(found == peer.lengths, "\(label)")
        } else if let validity, let count = validity.isEmpty ? nil : column.values.count / validity.count {
            for (row, isThere) in validity.enumerated() where !isThere {
                for place in row * count..<(row + 1) * count { column.values[place] = 0 }
            }
        }
        #expect(hex(column.values) == peer.values, "\(label)")
    }

    private func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }

    private func lengths(_ offsets: [Int32]) -> [Int32] { zip(offsets.dropFirst(), offsets).map { $0 - $1 } }
}

private let readScript = #"""
    path = sys.argv[1]
    reader = ipc.open_file(path)
    reader.read_all().validate(full=True)
    assert reader.schema.metadata == {b'pando': b'{"version": 1}', b'empty': b''}, reader.schema.metadata
    assert reader.schema.field(0).metadata == {b'unit': 'GeV/c²'.encode()}, reader.schema.field(0).metadata
    assert not any(f.nullable for f in reader.schema)
    assert reader.metadata == {b'pando.rows': 'fünf'.encode()}, reader.metadata
    pair = reader.get_batch_with_custom_metadata(1)
    assert pair.custom_metadata == {b'pando.rows': 'fünf'.encode()}, pair.custom_metadata
    mapped = ipc.open_file(pa.memory_map(path)).get_batch(1)
    names = reader.schema.names
    some = ipc.open_file(path, options=ipc.IpcReadOptions(included_fields=list(range(len(names))))).get_batch(1)
    mapped.validate(full=True)
    found = [batch(reader.get_batch(0)), batch(mapped), batch(some)]

    """#

private let polarsScript = #"""
    import polars as pl
    frame = pl.read_ipc(path)
    half = frame.slice(0, len(frame) // 2).to_arrow().combine_chunks()
    found += [[describe(n, half[n].combine_chunks()) for n in half.column_names]]
    assert len(frame) == 2 * mapped.num_rows

    """#

private let polarsWriteScript = #"""
    import polars as pl
    rng = np.random.default_rng(5)
    described = []
    for codec in ['uncompressed', 'lz4', 'zstd']:
        for nulls in [False, True]:
            for oldest in [False, True]:
                columns = []
                for t in [pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64,
                          pl.Float16, pl.Float32, pl.Float64]:
                    raw = [int(v) for v in rng.integers(0, 100, 40)]
                    if t == pl.Boolean: raw = [v % 2 == 1 for v in raw]
                    if nulls: raw = [None if i % 3 == 0 else v for i, v in enumerate(raw)]
                    columns.append(pl.Series(str(t), raw).cast(t))
                columns.append(pl.Series('text', ['a', 'and a text too long for a view'] * 20))
                columns.append(pl.Series('list', [[1, 2], []] * 20, pl.List(pl.Int16)))
                columns.append(pl.Series('last', list(range(40)), pl.Int32))
                name = f'{codec}-{nulls}-{oldest}'
                path = f'{sys.argv[1]}/{name}'
                options = dict(compat_level=pl.CompatLevel.oldest()) if oldest else {}
                pl.DataFrame(columns).slice(3, 30).write_ipc(path, compression=codec, **options)
                reader = ipc.open_file(path)
                described.append(dict(name=name, batches=[batch(reader.get_batch(i))
                                                          for i in range(reader.num_record_batches)]))
    print(json.dumps(described))
    """#
