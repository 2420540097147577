import Convert
import Foundation
import Loader
import Shards
import Support
import TestSupport
import Testing

@Suite struct LoaderTests {
    private static let columns = ["px", "py", "pz", "E", "d0", "jet_pt", "event"]

    /// The sample in many small record batches and shards.
    private func dataset(_ directory: TemporaryDirectory) throws -> String {
        var options = ConversionOptions()
        options.threads = 2
        options.batchRows = 50
        options.shardBytes = 200_000
        let output = directory.file("d")
        let converter = Converter(
            inputs: [Package.sample], output: output, schema: try SourceSchema(named: "aspen-open-jets"),
            options: options)
        _ = try converter.run()
        return output
    }

    private func options(_ change: (inout LoaderOptions) -> Void = { _ in }) -> LoaderOptions {
        var options = LoaderOptions()
        options.batchSize = 48
        options.streams = 12
        options.threads = 2
        change(&options)
        return options
    }

    /// What a batch holds, in comparable form.
    private struct Content: Equatable {
        var jets: [Int]
        var bytes: [Data]

        init(_ batch: Batch) {
            jets = Array(batch.jets)
            bytes = LoaderTests.columns.map {
                Data(batch.bytes(of: $0) ?? UnsafeRawBufferPointer(start: nil, count: 0))
            }
            bytes.append(
                Data(UnsafeRawBufferPointer(batch.offsets)))
        }
    }

    private func contents(_ path: String, _ options: LoaderOptions, epoch: Int = 0) throws -> [Content] {
        let batches = try Loader(dataset: path, columns: Self.columns, options: options).batches(epoch: epoch)
        var found: [Content] = []
        while let batch = try batches.next() { found.append(Content(batch)) }
        return found
    }

    @Test func `every jet comes once an epoch, with the values of the source`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let loader = try Loader(dataset: path, columns: Self.columns, options: options { $0.dropLast = false })
        // All record batches decoded in order, to compare with.
        let dataset = loader.dataset, encoding = dataset.catalogue.encoding
        let reader = dataset.makeReader(), decoder = try JetDecoder(encoding: encoding, file: path)
        let columns = JetColumns(fields: encoding.fields)
        var expected: [Int: [Float]] = [:]
        let px = try #require(encoding.fields.firstIndex { $0.name == "px" })
        for batch in 0..<dataset.batchCount {
            try decoder.decode(reader.read(batch), into: columns, file: path)
            let values = columns.bytes(of: px).bindMemory(to: Float.self)
            for row in 0..<columns.rows {
                let range = Int(columns.offsetNumbers[row])..<Int(columns.offsetNumbers[row + 1])
                expected[dataset.firstRows[batch] + row] = Array(values[range])
            }
        }
        let batches = try loader.batches()
        var steps = 0, seen: [Int] = []
        while let batch = try batches.next() {
            let values = try #require(batch.floats("px"))
            for (row, jet) in batch.jets.enumerated() {
                let range = Int(batch.offsets[row])..<Int(batch.offsets[row + 1])
                #expect(Array(values[range]) == expected[jet])
            }
            seen += batch.jets
            steps += 1
        }
        #expect(steps == loader.stepsPerEpoch)
        #expect(seen.sorted() == Array(0..<1727))
    }

    @Test func `batches are the same for any number of threads and any prefetching`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let first = try contents(path, options())
        #expect(first.count == 1727 / 12 / 4)
        for threads in [1, 3, 8] {
            #expect(
                try contents(
                    path,
                    options {
                        $0.threads = threads; $0.prefetch = threads
                    }) == first)
        }
        #expect(try contents(path, options(), epoch: 1) != first)
    }

    @Test(arguments: [1, 2, 3, 4, 6, 12])
    func `ranks make the parts of the same global batches, in the same number of steps`(world: Int) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        for dropLast in [true, false] {
            let whole = try contents(path, options { $0.dropLast = dropLast })
            let parts = try (0..<world).map { rank in
                try contents(
                    path,
                    options {
                        $0.dropLast = dropLast; $0.worldSize = world; $0.rank = rank
                    })
            }
            #expect(parts.allSatisfy { $0.count == whole.count })
            for step in whole.indices { #expect(parts.flatMap { $0[step].jets } == whole[step].jets) }
        }
    }

    @Test func `a state goes on with the next batch, twice, with other threads and ranks`() throws {
        let seed = UInt64.random(in: 0...99_999)
        var random = Seeded(seed)
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let whole = try contents(path, options())
        for _ in 0..<50 {
            var state = try Loader(dataset: path, columns: Self.columns, options: options()).batches().state
            var found: [Content] = []
            while found.count < whole.count {
                let threads = Int.random(in: 1...3, using: &random)
                let loader = try Loader(dataset: path, columns: Self.columns, options: options { $0.threads = threads })
                let batches = try loader.batches(from: state)
                #expect(batches.state == state, "seed \(seed)")
                for _ in 0..<Int.random(in: 1...20, using: &random) {
                    guard let batch = try batches.next() else { break }
                    found.append(Content(batch))
                }
                // As it goes through a checkpoint.
                state = try JSONDecoder().decode(LoaderState.self, from: JSONEncoder().encode(batches.state))
            }
            #expect(found == whole, "seed \(seed)")
        }
    }

    @Test func `to go on near the end of an epoch reads one window of each stream`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        // 173 record batches, of which a window of one of the two streams has 4, the first one 2, the last one up to 6.
        let path = try makeDataset([Package.sample], directory.file("d")) { $0.batchRows = 10 }
        func open() throws -> Loader {
            try Loader(
                dataset: path, columns: ["px"],
                options: options { ($0.streams, $0.window, $0.batchSize, $0.prefetch, $0.threads) = (2, 4, 16, 1, 1) })
        }
        let whole = try open().batches()
        while try whole.next() != nil {}
        #expect(whole.counters.recordBatches >= 173)
        for share in [0.0, 0.2, 0.5, 0.8, 0.99] {
            let loader = try open()
            var state = loader.state(epoch: 0)
            state.step = Int(share * Double(loader.stepsPerEpoch))
            let batches = try loader.batches(from: state)
            #expect(try batches.next() != nil)
            // What the thread reads ahead: one window. A batch may lie across the border of two.
            usleep(50_000)
            let counters = batches.counters
            #expect(counters.recordBatches <= 5 * 6, "\(share)")
            #expect(counters.storedBytes > 0 && counters.storedBytes < whole.counters.storedBytes / 5, "\(share)")
        }
    }

    @Test func `a state of other options or of another dataset is refused with the difference`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let loader = try Loader(dataset: path, options: options())
        var state = try loader.batches().state
        let other = try Loader(dataset: path, options: options { $0.seed = 1 })
        #expect(throws: LoaderError.self) { try other.batches(from: state) }
        state.step = 9999
        #expect(throws: LoaderError.self) { try loader.batches(from: state) }
        state.fingerprint = Digest(value: 1)
        let error = #expect(throws: LoaderError.self) { try loader.batches(from: state) }
        #expect(error?.code == .state)
    }

    @Test func `splits are disjoint, and together all jets`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        var seen: [Int] = []
        for split in ["train", "val", "test"] {
            let loader = try Loader(
                dataset: path, columns: ["event"],
                options: options {
                    $0.split = split; $0.dropLast = false
                })
            let part = try #require(loader.dataset.catalogue.splits?.parts.first { $0.name == split })
            let batches = try loader.batches()
            var jets: [Int] = []
            while let batch = try batches.next() { jets += batch.jets }
            #expect(jets.count == part.rows)
            seen += jets
        }
        #expect(seen.sorted() == Array(0..<1727))
    }

    @Test func `a split without jets is refused by name`() throws {
        let directory = try TemporaryDirectory(inMemory: true), raw = directory.file("raw.h5")
        try MadeJets.writeRaw(raw, rows: 20, seed: 1)
        let path = try makeDataset([raw], directory.file("d")) { $0.splits = [("train", 0.9999), ("val", 0.0001)] }
        try #require(try Dataset(directory: path).catalogue.splits?.parts.map(\.rows) == [20, 0])
        let error = #expect(throws: LoaderError.self) {
            try Loader(dataset: path, options: options { ($0.split, $0.dropLast) = ("val", false) })
        }
        #expect(error?.code == .options && error?.place == "split val" && error?.message == "has no jets")
    }

    @Test func `subsets are nested, of the asked size, and spread over the dataset`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        func jets(_ limit: Int, split: String? = nil) throws -> Set<Int> {
            let loader = try Loader(
                dataset: path, columns: ["event"],
                options: options {
                    $0.limit = limit
                    $0.dropLast = false
                    $0.split = split
                })
            let batches = try loader.batches()
            var found: [Int] = []
            while let batch = try batches.next() { found += batch.jets }
            #expect(Set(found).count == found.count)
            return Set(found)
        }
        let small = try jets(100), large = try jets(1000)
        #expect(small.count == 100 && large.count == 1000)
        #expect(small.isSubset(of: large))
        #expect(Set(large.map { $0 / 200 }).count == 9)
        #expect(try jets(5000) == Set(0..<1727))
        #expect(try jets(50, split: "val").isSubset(of: jets(120, split: "val")))
    }

    @Test func `a damaged record batch is an error in the place of its batch, never a shorter epoch`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let loader = try Loader(dataset: path, columns: ["px"], options: options())
        let record = loader.dataset.record(ofBatch: 20), shard = loader.dataset.shard(ofBatch: 20)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(shard.file)"))
        bytes[record.offset + record.bytes / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: "\(path)/\(shard.file)"))
        let batches = try loader.batches()
        var steps = 0
        let error = #expect(throws: DatasetError.self) { while try batches.next() != nil { steps += 1 } }
        #expect(steps < loader.stepsPerEpoch)
        #expect(throws: DatasetError.self) { try batches.next() }
        #expect(error?.description.contains(shard.file) == true)
        #expect(error?.description.contains("record batch") == true)

        try FileManager.default.removeItem(atPath: "\(path)/\(shard.file)")
        #expect(throws: (any Error).self) { try Loader(dataset: path, options: options()) }
    }

    @Test func `what cannot be is an error before the first batch`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let wrong: [(words: String, change: (inout LoaderOptions) -> Void)] = [
            ("batch size: is 0", { $0.batchSize = 0 }), ("streams: are 7, which do not divide", { $0.streams = 7 }),
            ("a world of 5 does not divide the 12 streams", { $0.worldSize = 5 }),
            ("rank 1 of 1 does not exist", { $0.rank = 1 }), ("rank -1 of 1 does not exist", { $0.rank = -1 }),
            ("window: is 0", { $0.window = 0 }), ("threads, prefetch: are 0, 4", { $0.threads = 0 }),
            ("limit: is 0", { $0.limit = 0 }), ("split nothing: does not exist", { $0.split = "nothing" }),
            ("batch size: is 12000, but there are only 1727 jets", { ($0.batchSize, $0.streams) = (12_000, 12) }),
            (
                "window: holds about 49 jets of a stream, fewer than the 150",
                { ($0.batchSize, $0.streams, $0.window) = (600, 4, 1) }
            ),
        ]
        for (words, change) in wrong {
            let error = #expect(throws: LoaderError.self) { try Loader(dataset: path, options: options(change)) }
            #expect(error?.description.contains(words) == true, "\(error as Any)")
        }
        let error = #expect(throws: LoaderError.self) {
            try Loader(dataset: path, columns: ["nothing"], options: options())
        }
        #expect(error?.advice?.contains("jet_pt") == true)
    }

    @Test func `the origin of any batch of any rank is known without replay`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let loader = try Loader(
            dataset: path, columns: ["event"],
            options: options {
                $0.worldSize = 3; $0.rank = 2
            })
        let batches = try loader.batches(epoch: 4)
        _ = try batches.next()
        let batch = try #require(try batches.next())
        let origins = try loader.jets(inStep: 1, rank: 2, epoch: 4)
        #expect(origins.map(\.jet) == Array(batch.jets))
        #expect(origins.allSatisfy { $0.input == Package.sample && $0.row == $0.jet })
        for (step, rank) in [(-1, 0), (9999, 0), (0, 3), (0, -1)] {
            #expect(throws: LoaderError.self) { try loader.jets(inStep: step, rank: rank, epoch: 0) }
        }
        let error = #expect(throws: LoaderError.self) { try loader.jets(inStep: 0, rank: 0, epoch: -1) }
        #expect(error?.place == "epoch -1")

        // The last batch of an epoch that keeps it: some streams have no more rows for it.
        let keeping = try Loader(dataset: path, columns: ["event"], options: options { $0.dropLast = false })
        let all = try keeping.batches()
        var last: Batch?
        while let batch = try all.next() { last = batch }
        #expect(
            try keeping.jets(inStep: keeping.stepsPerEpoch - 1, rank: 0, epoch: 0).map(\.jet)
                == last.map { Array($0.jets) })
    }

    @Test func `for try await gives the same batches, and a cancelled task ends`() async throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let loader = try Loader(dataset: path, columns: Self.columns, options: options())
        var found: [Content] = []
        for try await batch in loader.asyncBatches() { found.append(Content(batch)) }
        #expect(try found == contents(path, options()))
        // From where a batch of either way left off.
        let first = try loader.batches()
        for _ in 0..<5 { _ = try first.next() }
        var state = first.state, rest: [Content] = []
        for try await batch in try loader.asyncBatches(from: state) {
            #expect(loader.state(after: batch).step == 6 + rest.count)
            rest.append(Content(batch))
            state = loader.state(after: batch)
            if rest.count == 7 { break }
        }
        for try await batch in try loader.asyncBatches(from: state) { rest.append(Content(batch)) }
        #expect(rest == Array(found[5...]))
        state.step = 9999
        #expect(throws: LoaderError.self) { try loader.asyncBatches(from: state) }

        let task = Task {
            var steps = 0
            for try await _ in loader.asyncBatches(epoch: 1) {
                steps += 1
                if steps == 3 { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func `an epoch can be left in its middle, many times over`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try dataset(directory)
        let loader = try Loader(dataset: path, columns: ["px"], options: options { $0.threads = 4 })
        for epoch in 0..<20 {
            let batches = try loader.batches(epoch: epoch)
            for _ in 0..<3 { _ = try batches.next() }
        }
    }
}
