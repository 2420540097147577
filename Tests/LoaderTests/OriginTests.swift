import Convert
import Foundation
import HDF5File
import Loader
import Shards
import TestSupport
import Testing

@Suite struct OriginTests {
    private static let contents = LoaderContents(columns: ["run", "lumi", "event", "source", "source_row"])

    /// Event numbers of all rows of a file in the layout of AspenOpenJets.
    private func events(_ path: String) throws -> [[Int64]] {
        let file = try HDF5File(path: path), dataset = try file.dataset("event_info")
        let numbers = try dataset.bytes(rows: 0..<dataset.info.shape[0]).withUnsafeBytes {
            Array($0.bindMemory(to: Int64.self))
        }
        return stride(from: 0, to: numbers.count, by: 3).map { Array(numbers[$0..<$0 + 3]) }
    }

    /// Compares the origins of all batches of all ranks with what the batches hold and with the files.
    private func check(
        _ sources: [LoaderSource], _ files: [String: [[Int64]]], epoch: Int, world: Int,
        _ change: (inout LoaderOptions) -> Void
    ) throws {
        var counts = 0
        for rank in 0..<world {
            let options = smallOptions {
                ($0.worldSize, $0.rank) = (world, rank)
                change(&$0)
            }
            let loader = try Loader(mixture: sources, contents: Self.contents, options: options)
            // Anybody can ask for the jets of any rank.
            let other = try Loader(mixture: sources, contents: Self.contents, options: smallOptions(change))
            let asking = world == 1 ? other : loader
            let batches = try loader.batches(epoch: epoch)
            while let batch = try batches.next() {
                let origins = try asking.jets(inStep: batch.step, rank: rank, epoch: epoch)
                try #require(origins.map(\.jet) == Array(batch.jets), "step \(batch.step) of rank \(rank)")
                #expect(origins.map { Int32($0.dataset) } == Array(batch.datasets))
                #expect(origins.map { Int64($0.row) } == Array(try #require(batch.integers("source_row"))))
                let numbers = try ["run", "lumi", "event"].map { try #require(batch.integers($0)) }
                for (row, origin) in origins.enumerated() {
                    let event = numbers.map { $0[row] }
                    #expect([origin.event["run"], origin.event["lumi"], origin.event["event"]] == event)
                    #expect(try #require(files[origin.input])[origin.row] == event)
                    counts += 1
                }
            }
        }
        #expect(counts > 100)
    }

    @Test(arguments: [false, true])
    func `origins are the jets of the batches, with the events and rows of the files`(exact: Bool) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let raw = directory.file("raw.h5")
        try MadeJets.writeRaw(raw, rows: 200, seed: 3)
        // Rows of two files lie between each other.
        let both = try makeDataset([Package.sample, raw], directory.file("both"))
        let alone = try makeDataset([raw], directory.file("alone"))
        let files = [Package.sample: try events(Package.sample), raw: try events(raw)]
        let choices: [(inout LoaderOptions) -> Void] = [
            { $0.dropLast = false }, { $0.split = "train" }, { $0.limit = 300 },
            { ($0.split, $0.limit, $0.limitSeed) = ("train", 200, 4) },
        ]
        for (number, choice) in choices.enumerated() {
            func change(_ options: inout LoaderOptions) {
                options.exact = exact
                choice(&options)
            }
            try check([LoaderSource(both)], files, epoch: number, world: number + 1, change)
            try check(
                [LoaderSource(both, weight: 0.8), LoaderSource(alone, weight: 0.2)], files, epoch: number,
                world: 4 - number
            ) {
                change(&$0)
                $0.mixtureLength = number % 2 == 0 ? .longest : .shortest
            }
        }
    }

    @Test func `events of other integers are named too`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let made = try MadeJets.writeTagged(directory.file("t.h5"), rows: 120, codebook: 10, seed: 8)
        let schema = try MadeJets.taggedSchema(directory.file("s.json"))
        let path = try makeDataset([directory.file("t.h5")], directory.file("t"), schema: schema)
        let loader = try Loader(dataset: path, columns: ["weight"], options: smallOptions())
        let origins = try loader.jets(inStep: 1, rank: 0, epoch: 0)
        #expect(origins.count == 48)
        for origin in origins {
            let event = ["run", "lumi", "event"].map { origin.event[$0] }
            #expect(event == made.events[origin.row].map { Int64($0) })
        }
    }
}
