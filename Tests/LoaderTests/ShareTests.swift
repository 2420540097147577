import Foundation
import Loader
import Shards
import Support
import TestSupport
import Testing

/// Processes that deal out whole batches among them.
@Suite struct ShareTests {
    private struct Content: Equatable {
        var step: Int
        var jets: [Int]
        var values: [Float]
    }

    private func contents(_ batches: BatchIterator) throws -> [Content] {
        var found: [Content] = []
        while let batch = try batches.next() {
            let values = batch.floats("px").map { Array($0) } ?? []
            found.append(Content(step: batch.step, jets: Array(batch.jets), values: values))
        }
        return found
    }

    enum Mode: CaseIterable, Sendable { case windowed, tight, exact, mixture }

    @Test(arguments: Mode.allCases)
    func `each gets every so many batches of the same sequence, from any place`(mode: Mode) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let options = smallOptions {
            ($0.threads, $0.prefetch, $0.dropLast, $0.exact) = (3, 2, false, mode == .exact)
            // Windows of one record batch: strides leave whole ones out.
            if mode == .tight { ($0.window, $0.streams) = (1, 1) }
        }
        let sources = [LoaderSource(path, weight: 2)] + (mode == .mixture ? [LoaderSource(path, weight: 1)] : [])
        let loader = try Loader(
            mixture: sources, contents: LoaderContents(columns: ["px"]), options: options)
        for first in [0, 3] {
            var state = loader.state(epoch: 2)
            state.step = first
            let whole = try contents(loader.batches(from: state))
            for shares in [1, 2, 3, 7, whole.count + 3] {
                for share in 0..<shares {
                    let own = try contents(loader.batches(from: state, share: share, of: shares))
                    #expect(own == whole.filter { ($0.step - first) % shares == share }, "\(share) of \(shares)")
                }
            }
        }
    }

    @Test func `a share leaves out what only others need`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d")) { $0.batchRows = 16 }
        let options = smallOptions { ($0.window, $0.streams, $0.batchSize, $0.prefetch) = (2, 1, 16, 1) }
        let loader = try Loader(dataset: path, contents: LoaderContents(columns: ["px"]), options: options)
        let all = try loader.batches(), some = try loader.batches(from: loader.state(epoch: 0), share: 5, of: 20)
        _ = (try contents(all), try contents(some))
        #expect(some.counters.recordBatches * 4 < all.counters.recordBatches)
    }

    @Test(arguments: [(2, 2), (-1, 2), (0, 0), (0, Int.max), (Int.max, 1)])
    func `shares that cannot be are refused`(share: Int, shares: Int) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let loader = try Loader(dataset: path, columns: ["jet_pt"], options: smallOptions { _ in })
        let error = #expect(throws: LoaderError.self) {
            try loader.batches(from: loader.state(epoch: 0), share: share, of: shares)
        }
        #expect(error?.code == .options && error?.message == "there is no share \(share) of \(shares)")
    }
}
