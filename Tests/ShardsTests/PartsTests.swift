import ArrowIPC
import Foundation
import Shards
import Support
import TestSupport
import Testing

/// The digests of the parts of each message.
@Suite struct PartsTests {
    private let golden = Package.testData + "/v1/golden"

    @Test(arguments: Datasets.compressions, [true, false])
    func `the index notes the digests of consecutive parts that cover each message`(
        compression: BodyCompression, sharesOffsets: Bool
    ) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("d")
        try Datasets.convert(path, compression) { $0.sharesOffsets = sharesOffsets }
        let dataset = try Dataset(directory: path)
        let locator = try BufferLocator(schema: dataset.schema)
        var parts = MessageParts()
        #expect(dataset.batchCount > 4)
        for batch in 0..<dataset.batchCount {
            let record = dataset.record(ofBatch: batch)
            let message = try Datasets.message(dataset, batch)
            try message.withUnsafeBytes { bytes in
                // The metadata alone has to do.
                try parts.find(locator.header(UnsafeRawBufferPointer(rebasing: bytes[..<record.metadataBytes])))
                #expect(parts[0] == 0..<record.metadataBytes)
                #expect(parts[parts.count - 1].upperBound == record.bytes)
                for part in 1..<parts.count { #expect(parts[part].lowerBound == parts[part - 1].upperBound) }
                let digests = (0..<parts.count).map { Digest(of: UnsafeRawBufferPointer(rebasing: bytes[parts[$0]])) }
                #expect(digests == record.parts)
            }
            // Each buffer is a part of its own, shared ones once.
            let read = try message.withUnsafeBytes { bytes in
                let whole = try RecordBatch(message: bytes, schema: dataset.schema)
                return try dataset.schema.fields.indices.flatMap { index in
                    let column = try whole.column(index)
                    return [column.values.storedRange, column.offsets?.storedRange ?? 0..<0]
                }
            }
            let buffers = Set(read.filter { !$0.isEmpty })
            #expect(buffers.count == parts.count - 1)
            for buffer in buffers {
                #expect(parts[parts.part(containing: buffer.lowerBound)].lowerBound == buffer.lowerBound)
            }
        }
    }

    @Test func `an older dataset has no parts and is read as before`() throws {
        let dataset = try Dataset(directory: golden)
        #expect(dataset.index.shards.joined().allSatisfy { $0.parts.isEmpty })
        #expect(try DatasetVerifier(directory: golden).run().isSound)
        // Written again, its index has the same bytes.
        #expect(try dataset.index.fileBytes() == InputFile(path: golden + "/index.arrow").readAll())
    }

    @Test func `a shard does not say whether its index notes parts`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        try Datasets.convert(directory.file("d"))
        let dataset = try Dataset(directory: directory.file("d"))
        let file = try ArrowFile(path: directory.file("d/shards/00000.arrow"))
        let footer = try #require(file.footerMetadata.first { $0.key == "pando.batches" }?.value)
        #expect(!footer.contains("parts"))
        #expect(dataset.index.shards.joined().allSatisfy { !$0.parts.isEmpty })
    }

    @Test func `an index with a wrong part is damaged, however well its digest fits`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("d")
        try Datasets.convert(path)
        #expect(try DatasetVerifier(directory: path).run().isSound)
        try Datasets.replaceIndex(of: path) { $0.shards[1][0].parts[3].value ^= 1 }
        let damage = try DatasetVerifier(directory: path).run().damage
        #expect(damage.map(\.file) == ["index.arrow"])
        #expect(damage.map(\.place) == ["record batch 0 of shards/00001.arrow"])
        #expect(damage.first?.message.contains("part 3") == true)
        try Datasets.replaceIndex(of: path) { $0.shards[1][0].parts.removeLast() }
        #expect(try DatasetVerifier(directory: path).run().damage.map(\.file) == ["index.arrow"])
    }

    @Test func `a lost index is made again byte for byte from footers and messages`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("d")
        try Datasets.convert(path) { $0.makesParity = false }
        let files = try contents(of: path)
        try FileManager.default.removeItem(atPath: path + "/index.arrow")
        let report = try DatasetRepairer(directory: path).run()
        #expect(report.mended.map(\.from) == ["footer"])
        #expect(report.lost.isEmpty)
        #expect(try contents(of: path) == files)
    }

    @Test func `merging keeps parts where there are any, and a lost index of such a mixture comes back`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        for (name, isOld) in [("old", true), ("new", false)] {
            try Datasets.convert(directory.file(name)) {
                $0.limit = 16
                $0.batchRows = 8
                $0.makesParity = false
            }
            if isOld {
                try Datasets.replaceIndex(of: directory.file(name)) { index in
                    for batch in index.shards[0].indices { index.shards[0][batch].parts = [] }
                }
            }
        }
        let old = try Dataset(directory: directory.file("old")).index.shards
        let new = try Dataset(directory: directory.file("new")).index.shards
        #expect(old.joined().allSatisfy { $0.parts.isEmpty })
        for (parts, expected) in [(["old", "new"], old + new), (["new", "new"], new + new), (["old"], old)] {
            let merged = directory.file("m-" + parts.joined())
            _ = try DatasetMerger(parts: parts.map(directory.file), into: merged).run()
            #expect(try Dataset(directory: merged).index.shards == expected)
            #expect(try DatasetVerifier(directory: merged).run().isSound)
            let files = try contents(of: merged)
            try FileManager.default.removeItem(atPath: merged + "/index.arrow")
            #expect(try DatasetRepairer(directory: merged).run().mended.map(\.from) == ["footer"])
            #expect(try contents(of: merged) == files)
        }
    }

    @Test func `the ledger of an unfinished conversion keeps parts, and an older one may have none`() throws {
        var record = try #require(Dataset(directory: golden).index.shards.first?.first)
        let bare = try JSONEncoder().encode(record)
        #expect(!String(decoding: bare, as: UTF8.self).contains("parts"))
        #expect(try JSONDecoder().decode(BatchRecord.self, from: bare) == record)
        record.parts = [Digest(value: 1), Digest(value: .max)]
        #expect(try JSONDecoder().decode(BatchRecord.self, from: JSONEncoder().encode(record)) == record)
    }
}
