import Convert
import Foundation
import Glibc
import Loader
import Shards
import TestSupport
import Testing

/// What happens to a loop when its data go wrong.
@Suite(.serialized) struct LoaderFaultTests {
    private func dataset(_ directory: TemporaryDirectory) throws -> String {
        var options = ConversionOptions()
        options.batchRows = 50
        options.shardBytes = 200_000
        let path = directory.file("d")
        _ = try Converter(
            inputs: [Package.sample], output: path, schema: try SourceSchema(named: "aspen-open-jets"),
            options: options
        ).run()
        return path
    }

    private var options: LoaderOptions {
        var options = LoaderOptions()
        options.batchSize = 32
        options.window = 2
        options.streams = 8
        options.threads = 3
        return options
    }

    /// Flips a bit in the middle of the stored values of a column.
    private func damage(_ dataset: Dataset, batch: Int, column name: String) throws {
        let column = try #require(dataset.schema.fields.firstIndex { $0.name == name })
        let stored = try dataset.makeReader().read(batch).column(column).values.storedRange
        let path = "\(dataset.directory)/\(dataset.shard(ofBatch: batch).file)"
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        let place = UInt64(dataset.record(ofBatch: batch).offset + (stored.lowerBound + stored.upperBound) / 2)
        try file.seek(toOffset: place)
        let byte = try #require(try file.read(upToCount: 1)?.first)
        try file.seek(toOffset: place)
        try file.write(contentsOf: [byte ^ 4])
        try file.close()
    }

    @Test func `damage at any place of an epoch comes in the place of its batch, with shard, record batch and column`()
        throws
    {
        for share in [0.0, 0.5, 0.99] {
            let directory = try TemporaryDirectory(inMemory: true)
            let path = try dataset(directory)
            let loader = try Loader(dataset: path, columns: ["px", "jet_pt"], options: options)
            // The record batch that is needed first by this step.
            let wanted = Int(share * Double(loader.stepsPerEpoch))
            var first: [Int: Int] = [:]
            for (step, places) in loader.plan(epoch: 0).walk(batchSize: 32, dropLast: true).enumerated() {
                for place in places where first[place.batch] == nil { first[place.batch] = step }
            }
            let latest = try #require(first.filter { $0.value <= wanted }.max { $0.value < $1.value })
            try damage(loader.dataset, batch: latest.key, column: "dphi")

            let anew = try Loader(dataset: path, columns: ["px", "jet_pt"], options: options)
            let batches = try anew.batches()
            var steps = 0, failure: DatasetError?
            let begun = Date()
            do {
                while try batches.next() != nil { steps += 1 }
            } catch let error as DatasetError {
                failure = error
            }
            let error = try #require(failure, "no error after \(steps) steps")
            // A window is read whole: its damage comes with its first row.
            #expect(steps <= latest.value)
            #expect(error.file.contains("shards/") && error.place.contains("record batch"))
            #expect(error.place.contains("dphi") && error.advice?.contains("repair") == true, "\(error)")
            // Asked again, the same.
            #expect(throws: DatasetError.self) { try batches.next() }
            #expect(batches.state.step == steps && batches.counters.batches == steps)
            #expect(Date().timeIntervalSince(begun) < 20)
            // Who does not need the column is not bothered.
            let others = try Loader(dataset: path, columns: ["jet_pt", "d0"], options: options).batches()
            var count = 0
            while try others.next() != nil { count += 1 }
            #expect(count == anew.stepsPerEpoch)
        }
    }

    @Test func `shards that are removed, cut short or replaced are errors, never shorter epochs`() throws {
        let changes: [(String, (String) throws -> Void)] = [
            ("removed", { try FileManager.default.removeItem(atPath: $0) }),
            ("cut short", { #expect(truncate($0, 100_000) == 0) }),
            (
                "replaced",
                { path in
                    let other = try Data(contentsOf: URL(fileURLWithPath: path))
                    try Data(other.reversed()).write(to: URL(fileURLWithPath: path))
                }
            ),
        ]
        for (name, change) in changes {
            let directory = try TemporaryDirectory(inMemory: true)
            let path = try dataset(directory)
            let loader = try Loader(dataset: path, columns: ["px"], options: options)
            let shard = "\(path)/\(loader.dataset.catalogue.shards[1].file)"
            try change(shard)
            // After opening: at its batch.
            let batches = try loader.batches()
            let error = #expect(throws: (any Error).self, "\(name)") { while try batches.next() != nil {} }
            #expect("\(error as Any)".contains("shards/00001"), "\(name): \(error as Any)")
            // Before: at once, where the size tells.
            if name != "replaced" {
                let error = #expect(throws: LoaderError.self) { try Loader(dataset: path, columns: ["px"]) }
                #expect(error?.file == shard && error?.advice != nil)
            }
        }
    }
}
