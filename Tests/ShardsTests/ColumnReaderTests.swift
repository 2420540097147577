import ArrowIPC
import Foundation
import Shards
import Support
import TestSupport
import Testing

/// Reading few columns, beside reading whole record batches.
@Suite struct ColumnReaderTests {
    /// A jet's column, two lists that may share their offsets, and a list of exceptions.
    private static let names = ["pt", "jet_pt", "dphi", "x_bits"]

    private func numbers(_ dataset: Dataset, _ names: [String] = names) throws -> [Int] {
        try names.map { try #require(dataset.schema.index(of: $0), "\($0)") }
    }

    /// Values and offsets of a column as a whole record batch has them.
    private func expected(_ batch: RecordBatch, _ column: Int) throws -> (values: [UInt8], offsets: [Int32]?) {
        let view = try batch.column(column), decoder = BodyDecoder()
        var values = [UInt8](repeating: 0, count: view.values.byteCount)
        try values.withUnsafeMutableBytes { try batch.decode(view.values, into: $0, using: decoder) }
        return (values, try view.childLength.map { _ in try batch.offsets(ofColumn: column, using: decoder) })
    }

    private func found(_ reader: ColumnReader, _ slot: Int) throws -> (values: [UInt8], offsets: [Int32]?) {
        var values = [UInt8](repeating: 0, count: try reader.valueBytes(slot))
        try values.withUnsafeMutableBytes { try reader.decodeValues(slot, into: $0) }
        guard try reader.childLength(slot) != nil else { return (values, nil) }
        var offsets = [Int32](repeating: -1, count: reader.rowCount + 1)
        try offsets.withUnsafeMutableBufferPointer { try reader.decodeOffsets(slot, into: $0) }
        return (values, offsets)
    }

    @Test(arguments: Datasets.compressions, [true, false])
    func `a few columns are those of the whole batch`(
        compression: BodyCompression, sharesOffsets: Bool
    ) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        try Datasets.convert(directory.file("d"), compression) { $0.sharesOffsets = sharesOffsets }
        let dataset = try Dataset(directory: directory.file("d"))
        let columns = try numbers(dataset)
        let few = try ColumnReader(dataset: dataset, columns: columns)
        let all = try ColumnReader(dataset: dataset, columns: Array(dataset.schema.fields.indices))
        let whole = dataset.makeReader()
        var bytes = 0
        for number in (0..<dataset.batchCount).reversed() {
            let batch = try whole.read(number)
            bytes += dataset.record(ofBatch: number).bytes
            for (reader, columns) in [(few, columns), (all, Array(dataset.schema.fields.indices))] {
                try reader.read(number)
                #expect(reader.rowCount == batch.rowCount)
                for (slot, column) in columns.enumerated() {
                    let (values, offsets) = try found(reader, slot), other = try expected(batch, column)
                    #expect(values == other.values && offsets == other.offsets)
                    let view = try batch.column(column)
                    #expect(try reader.childLength(slot) == view.childLength)
                    #expect(try reader.valueCount(slot) == view.childLength ?? view.length)
                    let stored = try reader.storedValues(slot)
                    #expect((stored == nil) == view.values.isCompressed)
                    if let stored {
                        #expect(Array(stored) == values)
                        #expect(values.isEmpty || Int(bitPattern: stored.baseAddress) % 64 == 0)
                    }
                }
            }
            #expect(try few.sharesOffsets(0, 2) == sharesOffsets)
        }
        #expect(few.bytesRead < bytes)
        #expect(all.bytesRead <= bytes)
    }

    @Test(arguments: Datasets.compressions)
    func `three columns cost a fraction of the bytes`(compression: BodyCompression) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        // As large as batches are by default, so that unwanted columns are not read along to spare a call.
        try Datasets.convert(directory.file("d"), compression) { $0.batchRows = 2048 }
        let dataset = try Dataset(directory: directory.file("d"))
        let reader = try ColumnReader(dataset: dataset, columns: numbers(dataset, ["jet_pt", "dphi", "x_bits"]))
        try reader.read(0)
        let bytes = dataset.record(ofBatch: 0).bytes
        print("\(compression): \(reader.bytesRead) of \(bytes) bytes read")
        #expect(reader.bytesRead * 4 < bytes)
    }

    @Test func `an older dataset is read by whole messages, to the same values`() throws {
        let dataset = try Dataset(directory: Package.testData + "/v1/golden")
        let columns = try numbers(dataset)
        let reader = try ColumnReader(dataset: dataset, columns: columns), whole = dataset.makeReader()
        for number in 0..<dataset.batchCount {
            let batch = try whole.read(number)
            try reader.read(number)
            for (slot, column) in columns.enumerated() {
                let (values, offsets) = try found(reader, slot), other = try expected(batch, column)
                #expect(values == other.values && offsets == other.offsets)
            }
        }
        #expect(reader.bytesRead == (0..<dataset.batchCount).reduce(0) { $0 + dataset.record(ofBatch: $1).bytes })
    }

    @Test(arguments: [true, false])
    func `a flipped bit is refused where it is used, and found by verify where it is not`(isMapped: Bool) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("d")
        try Datasets.convert(path, isMapped ? .none : .zstd(level: 3)) { $0.makesParity = false }
        let dataset = try Dataset(directory: path)
        let columns = try numbers(dataset, ["dphi", "jet_pt"])
        let number = 1, record = dataset.record(ofBatch: number)
        let shard = "\(path)/\(dataset.shard(ofBatch: number).file)"
        let sound = try InputFile(path: shard).readAll()
        var parts = MessageParts()
        var ranges: [(Range<Int>, String)] = [(0..<record.metadataBytes, "metadata")]
        var unused = 0..<record.bytes
        try Datasets.message(dataset, number).withUnsafeBytes { message in
            let locator = try BufferLocator(schema: dataset.schema)
            let header = try locator.header(message)
            try parts.find(header)
            func part(_ buffer: StoredBuffer) -> Range<Int> { parts[parts.part(containing: buffer.range.lowerBound)] }
            for column in columns {
                let found = try locator.column(column, in: header),
                    name = "column \(dataset.schema.fields[column].name)"
                ranges.append((part(found.values), name))
                if let offsets = found.offsets { ranges.append((part(offsets), name)) }
            }
            unused = try part(locator.column(#require(dataset.schema.index(of: "jet_eta")), in: header).values)
        }
        let seed = UInt64.random(in: 0...9999)
        var random = Seeded(seed)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: shard))
        func write(_ byte: UInt8, _ place: Int) throws {
            try handle.seek(toOffset: UInt64(place))
            try handle.write(contentsOf: [byte])
        }
        let maps = MappedShards(dataset: dataset)
        let reader = try ColumnReader(dataset: dataset, columns: columns, maps: maps)
        var mapped = MappedColumns()
        func use() throws {
            if isMapped { #expect(try reader.map(number, into: &mapped)) } else { try reader.read(number) }
        }
        for (range, name) in ranges {
            for _ in 0..<150 {
                let place = record.offset + Int.random(in: range, using: &random)
                let bit = UInt8.random(in: 0..<8, using: &random)
                try write(sound[place] ^ (1 << bit), place)
                let error = #expect(throws: DatasetError.self, "seed \(seed)") { try use() }
                #expect(error?.code == .damaged)
                #expect(error?.file == shard)
                #expect(error?.place == "\(dataset.place(ofBatch: number)), \(name)", "seed \(seed), byte \(place)")
                #expect(
                    error?.message.contains("expected \(record.parts[parts.part(containing: place - record.offset)])")
                        == true)
                #expect(error?.advice == "run 'pando repair \(path)'")
                // Nothing of the refused batch is handed out.
                #expect(throws: DatasetError.self) { try reader.valueBytes(0) }
                try write(sound[place], place)
                try use()
            }
        }
        for _ in 0..<20 {
            let place = record.offset + Int.random(in: unused, using: &random)
            try write(sound[place] ^ 1, place)
            try use()
            #expect(throws: DatasetError.self) { try dataset.makeReader().read(number) }
            let damage = try DatasetVerifier(directory: path).run().damage
            #expect(damage.map(\.place) == [dataset.place(ofBatch: number)])
            try write(sound[place], place)
        }
    }

    @Test func `without digests a damaged column is read, a damaged frame still refused`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("d")
        try Datasets.convert(path)
        let dataset = try Dataset(directory: path)
        let column = try #require(dataset.schema.index(of: "jet_pt"))
        let stored = try Datasets.message(dataset, 0).withUnsafeBytes { message in
            let locator = try BufferLocator(schema: dataset.schema)
            return try locator.column(column, in: locator.header(message)).values.range
        }
        let offset = dataset.record(ofBatch: 0).offset
        try Datasets.flip(path + "/shards/00000.arrow", byte: offset + stored.upperBound - 1, bit: 3)
        let reader = try ColumnReader(dataset: dataset, columns: [column], checksDigests: false)
        try reader.read(0)
        let error = #expect(throws: ArrowError.self) { try found(reader, 0) }
        #expect(error?.code == .codec)
        #expect(error?.place == "record batch 0, column jet_pt")
        #expect(error?.file == path + "/shards/00000.arrow")
    }

    @Test func `mapped columns are those that are read, and outlive reader and map`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        try Datasets.convert(directory.file("d"), .none)
        let dataset = try Dataset(directory: directory.file("d"))
        #expect(dataset.catalogue.shards.count > 2)
        let columns = try numbers(dataset)
        var kept: [MappedColumns] = []
        do {
            let maps = MappedShards(dataset: dataset, limit: 2)
            let reader = try ColumnReader(dataset: dataset, columns: columns, maps: maps)
            for number in 0..<dataset.batchCount {
                var mapped = MappedColumns()
                #expect(try reader.map(number, into: &mapped))
                #expect(maps.count <= 2)
                kept.append(mapped)
            }
            #expect(reader.bytesRead == 0)
        }
        let reader = try ColumnReader(dataset: dataset, columns: columns)
        var unmapped = MappedColumns()
        #expect(try !reader.map(0, into: &unmapped))
        for (number, mapped) in kept.enumerated() {
            try reader.read(number)
            #expect(mapped.rowCount == reader.rowCount)
            #expect(mapped.count == columns.count)
            for slot in columns.indices {
                let (values, offsets) = try found(reader, slot)
                #expect(Array(mapped.values(slot)) == values)
                #expect(mapped.offsets(slot).map(Array.init) == offsets)
                #expect(try mapped.childLength(slot) == reader.childLength(slot))
            }
        }
    }

    @Test func `a compressed batch is not mapped`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        try Datasets.convert(directory.file("d"))
        let dataset = try Dataset(directory: directory.file("d"))
        let reader = try ColumnReader(
            dataset: dataset, columns: numbers(dataset), maps: MappedShards(dataset: dataset))
        var mapped = MappedColumns()
        #expect(try !reader.map(0, into: &mapped))
        #expect(mapped.count == 0)
    }

    @Test func `a shard that is cut short under its map is an error, not a signal`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("d")
        try Datasets.convert(path, .none)
        let dataset = try Dataset(directory: path)
        let maps = MappedShards(dataset: dataset)
        let reader = try ColumnReader(dataset: dataset, columns: numbers(dataset), maps: maps)
        var mapped = MappedColumns()
        #expect(try reader.map(0, into: &mapped))
        mapped = MappedColumns()
        // The metadata stays.
        let record = dataset.record(ofBatch: 0)
        let end = (record.offset + record.metadataBytes + 4095) / 4096 * 4096
        #expect(end + 8192 < record.offset + record.bytes)
        #expect(truncate(path + "/shards/00000.arrow", end) == 0)
        let error = #expect(throws: SystemError.self) { try reader.map(0, into: &mapped) }
        #expect(error?.file == path + "/shards/00000.arrow")
        // A new map sees the size.
        let other = try ColumnReader(dataset: dataset, columns: [0], maps: MappedShards(dataset: dataset))
        #expect(throws: DatasetError.self) { try other.map(0, into: &mapped) }
        #expect(throws: DatasetError.self) { try other.read(0) }
    }

    @Test func `offsets that do not rise from 0 to the number of values are refused`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("d")
        try Datasets.convert(path, .none)
        let dataset = try Dataset(directory: path)
        let column = try #require(dataset.schema.index(of: "dphi"))
        let record = dataset.record(ofBatch: 0)
        let offsets = try Datasets.message(dataset, 0).withUnsafeBytes { message in
            let locator = try BufferLocator(schema: dataset.schema)
            return try #require(try locator.column(column, in: locator.header(message)).offsets?.range)
        }
        let maps = MappedShards(dataset: dataset)
        let reader = try ColumnReader(dataset: dataset, columns: [column], checksDigests: false, maps: maps)
        for place in [offsets.lowerBound, offsets.lowerBound + 403, offsets.lowerBound + 4 * record.rows] {
            try Datasets.flip(path + "/shards/00000.arrow", byte: record.offset + place, bit: 6)
            try reader.read(0)
            #expect(throws: ArrowError.self) { try found(reader, 0) }
            var mapped = MappedColumns()
            #expect(throws: ArrowError.self) { try reader.map(0, into: &mapped) }
            try Datasets.flip(path + "/shards/00000.arrow", byte: record.offset + place, bit: 6)
        }
        try reader.read(0)
        _ = try found(reader, 0)
    }

    @Test func `what was released leaves the page cache`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("d")
        try Datasets.convert(path) { $0.shardBytes = 1 << 30 }
        let dataset = try Dataset(directory: path)
        let reader = try ColumnReader(dataset: dataset, columns: numbers(dataset))
        let record = dataset.record(ofBatch: 1)
        let map = try InputFile(path: path + "/shards/00000.arrow").map()
        func resident() -> Int {
            let page = Int(getpagesize()), first = record.offset / page * page
            var pages = [UInt8](repeating: 0, count: (record.bytes + page) / page)
            guard let base = map.bytes.baseAddress else { return 0 }
            let end = min(first + pages.count * page, map.bytes.count)
            mincore(UnsafeMutableRawPointer(mutating: base + first), end - first, &pages)
            return pages.count { $0 & 1 == 1 }
        }
        reader.advise(1)
        _ = try dataset.makeReader().read(1)
        let before = resident()
        reader.release(1)
        // File systems in memory keep what they have.
        if try InputFile(path: path + "/dataset.json").isLocal, !directory.isInMemory { #expect(resident() < before) }
        try reader.read(1)
        _ = try found(reader, 0)
        // Advice on what is not there is no error.
        reader.advise(-1)
        reader.release(dataset.batchCount)
    }

    @Test func `columns and batches that are not there are refused`() throws {
        let dataset = try Dataset(directory: Package.testData + "/v1/golden")
        for columns in [[-1], [0, dataset.schema.fields.count]] {
            let error = #expect(throws: DatasetError.self) { try ColumnReader(dataset: dataset, columns: columns) }
            #expect(error?.code == .usage)
        }
        let reader = try ColumnReader(dataset: dataset, columns: [0])
        #expect(throws: DatasetError.self) { try reader.valueBytes(0) }
        for batch in [-1, dataset.batchCount] {
            #expect(throws: DatasetError.self) { try reader.read(batch) }
        }
        try reader.read(0)
        #expect(throws: DatasetError.self) { try reader.valueBytes(1) }
        var memory: [UInt8] = [0]
        #expect(throws: ArrowError.self) {
            try memory.withUnsafeMutableBytes { try reader.decodeValues(0, into: $0) }
        }
    }
}
