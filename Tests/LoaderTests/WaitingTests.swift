import Loader
import TestSupport
import Testing

@Suite struct LoaderWaitingTests {
    @Test func `batches that are waited for a while at a time are the same`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let loader = try Loader(dataset: path, columns: ["jet_pt"], options: smallOptions { $0.dropLast = false })
        var expected: [[Int]] = []
        let all = try loader.batches()
        while let batch = try all.next() { expected.append(Array(batch.jets)) }

        let batches = try loader.batches()
        var found: [[Int]] = [], empty = 0
        loop: while true {
            switch try batches.next(within: found.count % 2 == 0 ? 0 : 0.001) {
            case .batch(let batch):
                found.append(Array(batch.jets))
                #expect(batches.state.step == found.count)
            case .notYet:
                empty += 1
                #expect(batches.state.step == found.count)
            case .end: break loop
            }
        }
        #expect(found == expected)
        // On a busy machine all may have been made before they were asked for: then nothing was waited for.
        #expect(empty > 0 || batches.counters.stalled < 1)
        guard case .end = try batches.next(within: 0) else {
            Issue.record("an epoch that has ended has batches")
            return
        }
    }
}
