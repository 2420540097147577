import ArrowIPC
import Foundation
import Glibc
import Loader
import Shards
import Support
import TestSupport
import Testing

@Suite(.serialized) struct BatchMemoryTests {
    private static let columns = ["px", "jet_pt", "event"]

    /// Where everything lies that a batch holds.
    private func places(_ batch: Batch) -> [UnsafeRawPointer] {
        let columns = Self.columns.map { batch.bytes(of: $0)?.baseAddress }
        let rest: [UnsafeRawPointer?] = [
            UnsafeRawPointer(batch.features.baseAddress), UnsafeRawPointer(batch.mask.baseAddress),
            UnsafeRawPointer(batch.jets.baseAddress), UnsafeRawPointer(batch.offsets.baseAddress),
            UnsafeRawPointer(batch.datasets.baseAddress), UnsafeRawPointer(batch.jetFeatures.baseAddress),
        ]
        return (columns + rest).compactMap { $0 }
    }

    @Test func `batches that are held stay as they are, those that are let go are used again, all at multiples of 64`()
        throws
    {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let features = try FeatureConfiguration(
            FeatureConfiguration.released.features, padLength: 50, jetFeatures: [Feature("jet_pt")])
        let loader = try Loader(
            dataset: path, contents: LoaderContents(columns: Self.columns, features: features), options: smallOptions())
        let batches = try loader.batches()
        var held: [(batch: Batch, rows: [JetRow])] = []
        while let batch = try batches.next() {
            held.append((batch, loader.rows(of: batch)))
            let places = places(batch)
            #expect(places.count == 9 && places.allSatisfy { Int(bitPattern: $0) % 64 == 0 })
        }
        // More than the pool has.
        #expect(held.count == 35)
        for (batch, rows) in held { #expect(loader.rows(of: batch) == rows) }
        #expect(Set(held.map { places($0.batch)[0] }).count == 35)
        held = []
        var seen: Set<UnsafeRawPointer> = []
        let again = try loader.batches(epoch: 1)
        while let batch = try again.next() { seen.insert(places(batch)[0]) }
        #expect(seen.count <= loader.options.prefetch + loader.options.threads + 2)
    }

    @Test func `threads rest when nobody takes batches`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d")) { $0.batchRows = 10 }
        let options = smallOptions {
            ($0.batchSize, $0.streams, $0.window, $0.threads, $0.prefetch) = (16, 2, 2, 3, 2)
        }
        let batches = try Loader(dataset: path, columns: ["px"], options: options).batches()
        _ = try batches.next()
        var last = -1, rounds = 0
        while last != batches.counters.recordBatches, rounds < 100 {
            last = batches.counters.recordBatches
            rounds += 1
            usleep(100_000)
        }
        // Of 173: a window a stream and one a thread, of at most three record batches, and what batches are ready took.
        #expect(last <= 3 * (2 + 3) + 6, "\(last) record batches")
        while try batches.next() != nil {}
        #expect(batches.counters.recordBatches >= 173)
    }

    /// The share of a dataset's shards that lies in the page cache.
    private func resident(_ dataset: Dataset) throws -> Double {
        var (all, inside) = (0, 0)
        for shard in dataset.catalogue.shards {
            let map = try InputFile(path: "\(dataset.directory)/\(shard.file)").map(), page = Int(getpagesize())
            var pages = [UInt8](repeating: 0, count: (map.bytes.count + page - 1) / page)
            guard let base = map.bytes.baseAddress else { continue }
            mincore(UnsafeMutableRawPointer(mutating: base), map.bytes.count, &pages)
            all += pages.count
            inside += pages.count { $0 & 1 == 1 }
        }
        return Double(inside) / Double(max(1, all))
    }

    @Test(arguments: [BodyCompression.zstd(level: 3), .none])
    func `what was used is let go of behind the loop, where it could not stay`(codec: BodyCompression) throws {
        let directory = try TemporaryDirectory()
        let path = try makeDataset([Package.sample], directory.file("d")) {
            ($0.batchRows, $0.compression, $0.shardBytes) = (100, codec, 1 << 20)
        }
        guard !directory.isInMemory else { return }
        sync()
        var shares: [Double] = []
        for releases in [false, true] {
            let options = smallOptions {
                ($0.batchSize, $0.streams, $0.window, $0.threads, $0.releasesPages) = (16, 1, 1, 1, releases)
            }
            let loader = try Loader(dataset: path, options: options), batches = try loader.batches()
            while try batches.next() != nil {}
            shares.append(try resident(loader.dataset))
        }
        #expect(shares[0] > 0.9 && shares[1] < 0.5, "\(shares)")
    }
}
