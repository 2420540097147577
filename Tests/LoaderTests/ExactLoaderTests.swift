import Convert
import Foundation
import Loader
import Shards
import TestSupport
import Testing

@Suite struct ExactLoaderTests {
    private static let contents = LoaderContents(
        columns: ["px", "puppiWeight", "jet_pt", "event"], features: .released)

    private func exact(_ change: (inout LoaderOptions) -> Void = { _ in }) -> LoaderOptions {
        smallOptions {
            $0.exact = true
            change(&$0)
        }
    }

    @Test(arguments: [true, false])
    func `batches in exact order are the places of the plan, each jet once, with its values`(plain: Bool) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d")) { if plain { $0.compression = .none } }
        let expected = try plainRows(path, Self.contents)
        let loader = try Loader(
            dataset: path, contents: Self.contents, options: exact { ($0.dropLast, $0.seed) = (false, 5) })
        let dataset = loader.dataset
        for epoch in 0..<2 {
            let plan = ExactPlan(
                rows: (0..<dataset.batchCount).map { dataset.record(ofBatch: $0).rows }, batchSize: 48, streams: 12,
                seed: 5, epoch: epoch)
            let batches = try loader.epoch(epoch)
            #expect(batches.count == 36 && loader.stepsPerEpoch == 36)
            for (step, rows) in batches.enumerated() {
                // A global batch is so many places in a row, the last one those that are left.
                let places = try (step * 48..<min(1727, step * 48 + 48)).map { try #require(plan.place(at: $0)) }
                #expect(rows.map(\.jet) == places.map { dataset.firstRows[$0.batch] + $0.row })
                for row in rows { #expect(row == expected[row.jet]) }
            }
            #expect(batches.joined().map(\.jet).sorted() == Array(0..<1727))
            #expect(batches.joined().map(\.jet) != Array(0..<1727))
        }
    }

    @Test func `without shuffling, exact order is the order of the dataset`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let loader = try Loader(
            dataset: path, columns: ["event"], options: exact { ($0.dropLast, $0.shuffle) = (false, false) })
        #expect(try loader.epoch().joined().map(\.jet) == Array(0..<1727))
    }

    @Test(arguments: [true, false])
    func `in exact order ranks make parts of the same global batches, with splits and subsets too`(dropLast: Bool)
        throws
    {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let choices: [(inout LoaderOptions) -> Void] = [
            { _ in }, { $0.split = "train" }, { ($0.split, $0.limit) = ("train", 700) }, { $0.limit = 333 },
        ]
        for choice in choices {
            func epoch(_ world: Int, _ rank: Int) throws -> [[JetRow]] {
                let options = exact {
                    ($0.worldSize, $0.rank, $0.dropLast, $0.threads) = (world, rank, dropLast, world)
                    choice(&$0)
                }
                return try Loader(dataset: path, contents: Self.contents, options: options).epoch(1)
            }
            let whole = try epoch(1, 0)
            for world in [2, 4] {
                let parts = try (0..<world).map { try epoch(world, $0) }
                #expect(parts.allSatisfy { $0.count == whole.count })
                for step in whole.indices { #expect(parts.flatMap { $0[step] } == whole[step]) }
            }
            // Windows deliver the same jets.
            var options = smallOptions { $0.dropLast = false }
            choice(&options)
            let all = try Loader(dataset: path, columns: ["event"], options: options).epoch().joined().map(\.jet)
            let jets = whole.joined().map(\.jet)
            #expect(Set(jets).count == jets.count && Set(jets).isSubset(of: all))
            #expect(jets.count == (dropLast ? all.count / 48 * 48 : all.count))
        }
    }

    @Test func `in exact order a state goes on with the next batch, with other threads and ranks`() throws {
        let seed = UInt64.random(in: 0...99_999)
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        try checkResuming(rounds: 12, epoch: 1, seed: seed) { threads, world, rank in
            try Loader(
                dataset: path, contents: Self.contents,
                options: exact { ($0.threads, $0.worldSize, $0.rank, $0.seed) = (threads, world, rank, seed) })
        }
    }

    @Test func `exact order that does not fit into its memory is refused with the numbers`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let dataset = try Dataset(directory: path)
        // jet_pt and the smallest column of constituents, for offsets; and two offsets a row.
        let bytes = (0..<dataset.batchCount).reduce(0) { sum, batch in
            let record = dataset.record(ofBatch: batch)
            return sum + 4 * record.rows + record.constituents + 8 * (record.rows + 1)
        }
        func open(_ path: String, _ limit: Int, _ change: (inout LoaderOptions) -> Void = { _ in }) throws -> Loader {
            var options = exact { $0.exactLimit = limit }
            change(&options)
            return try Loader(dataset: path, columns: ["jet_pt"], options: options)
        }
        #expect(try open(path, bytes).epoch().count == 35)
        let error = try #require(throws: LoaderError.self) { try open(path, bytes - 1) }
        #expect(error.code == .options && error.file == path && error.place == "exact order")
        #expect(
            error.message == "keeps the decompressed columns of \(dataset.batchCount) record batches in memory, "
                + "\(bytes) bytes, but may have \(bytes - 1)")
        #expect(error.advice?.contains("--codec none") == true && error.advice?.contains("exactLimit") == true)
        #expect(throws: LoaderError.self) { try Loader(dataset: path, options: exact { $0.exactLimit = bytes }) }
        // In windows no such limit counts.
        #expect(try open(path, 0) { $0.exact = false }.epoch().count == 35)

        // Columns of uncompressed shards stay where they are; of a mixture, only those of the other dataset count.
        let plain = try makeDataset([Package.sample], directory.file("plain")) { $0.compression = .none }
        #expect(try open(plain, 0).epoch().count == 35)
        func mixture(_ limit: Int) throws -> Loader {
            try Loader(
                mixture: [LoaderSource(plain), LoaderSource(path)], contents: LoaderContents(columns: ["jet_pt"]),
                options: exact { $0.exactLimit = limit })
        }
        #expect(try mixture(bytes).epoch().isEmpty == false)
        let other = try #require(throws: LoaderError.self) { try mixture(bytes - 1) }
        #expect(other.message == error.message)
    }

    @Test func `damage in exact order is an error in the place of its batch`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let loader = try Loader(dataset: path, columns: ["px"], options: exact { $0.threads = 3 })
        let record = loader.dataset.record(ofBatch: 20), shard = loader.dataset.shard(ofBatch: 20)
        // The first batch with a row of that record batch.
        let jets = try (0..<loader.stepsPerEpoch).map { try loader.jets(inStep: $0, rank: 0, epoch: 0).map(\.jet) }
        let damaged = loader.dataset.firstRows[20]..<loader.dataset.firstRows[21]
        let place = try #require(jets.firstIndex { $0.contains { damaged.contains($0) } })
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(shard.file)"))
        for index in record.offset + record.metadataBytes..<record.offset + record.bytes { bytes[index] ^= 1 }
        try bytes.write(to: URL(fileURLWithPath: "\(path)/\(shard.file)"))
        let batches = try loader.batches()
        for step in 0..<place { #expect(try batches.next().map { Array($0.jets) } == jets[step]) }
        for _ in 0..<2 {
            let error = try #require(throws: DatasetError.self) { try batches.next() }
            #expect(error.description.contains(shard.file) && error.description.contains("record batch"))
        }
        #expect(batches.state.step == place)
    }
}
