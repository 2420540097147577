import ArrowIPC
import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

@Suite struct UncompressedLoaderTests {
    @Test func `datasets of any codec give the same batches, bit for bit, and take each other's states`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let codecs: [(String, BodyCompression)] = [("zstd", .zstd(level: 3)), ("lz4", .lz4), ("none", .none)]
        let paths = try codecs.map { name, codec in
            try makeDataset([Package.sample], directory.file(name)) { $0.compression = codec }
        }
        let columns = ["px", "E", "d0", "charge", "pdgId", "jet_eta", "run", "sum_mass", "n_constituents"]
        let changes: [(inout LoaderOptions) -> Void] = [
            { _ in }, { $0.exact = true }, { $0.shuffle = false }, { ($0.split, $0.threads) = ("train", 3) },
            { ($0.limit, $0.dropLast) = (500, false) }, { $0.checksDigests = false },
        ]
        for (number, change) in changes.enumerated() {
            var contents = LoaderContents(columns: columns, features: .released)
            contents.isJagged = number % 2 == 1
            contents.angles = number == 2 ? .momenta : .stored
            let loaders = try paths.map {
                try Loader(dataset: $0, contents: contents, options: smallOptions(change))
            }
            #expect(Set(loaders.map { $0.dataset.catalogue.fingerprint }).count == 1)
            let first = try loaders[0].epoch(1)
            try #require(first.count > 5 && first[0].first?.columns.count == columns.count)
            for loader in loaders.dropFirst() { #expect(try loader.epoch(1) == first) }
            // Begun with one, ended with another.
            let begun = try loaders[0].batches(epoch: 1)
            for _ in 0..<4 { _ = try begun.next() }
            let rest = try loaders[2].batches(from: begun.state)
            for step in 4..<first.count { #expect(loaders[2].rows(of: try #require(try rest.next())) == first[step]) }
        }
    }

    @Test func `columns that are not compressed are used where they lie`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        var decoded: [Int] = []
        for codec in [BodyCompression.none, .zstd(level: 3)] {
            let path = try makeDataset([Package.sample], directory.file("d\(codec)")) { $0.compression = codec }
            let loader = try Loader(dataset: path, columns: ["px", "event"], options: smallOptions())
            let batches = try loader.batches()
            while try batches.next() != nil {}
            #expect(batches.counters.recordBatches == loader.dataset.batchCount)
            decoded.append(batches.counters.decodedBytes)
        }
        #expect(decoded[0] == 0 && decoded[1] > 100_000)
    }

    @Test func `damage in a mapped shard is an error in the place of its batch`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d")) { $0.compression = .none }
        let loader = try Loader(dataset: path, columns: ["px", "d0"], options: smallOptions())
        let record = loader.dataset.record(ofBatch: 20), shard = loader.dataset.shard(ofBatch: 20)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(shard.file)"))
        for index in record.offset + record.metadataBytes..<record.offset + record.bytes { bytes[index] ^= 1 }
        try bytes.write(to: URL(fileURLWithPath: "\(path)/\(shard.file)"))
        let batches = try loader.batches()
        var steps = 0
        let error = #expect(throws: DatasetError.self) { while try batches.next() != nil { steps += 1 } }
        #expect(steps < loader.stepsPerEpoch && error?.description.contains(shard.file) == true)
    }
}
