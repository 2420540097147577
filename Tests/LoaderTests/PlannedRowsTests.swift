import Foundation
import Loader
import Shards
import TestSupport
import Testing

@Suite struct PlannedRowsTests {
    private func numbers(_ rows: [PlannedRow], _ loader: Loader) -> [[Int]] {
        rows.map { [$0.dataset, loader.datasets[$0.dataset].firstRows[$0.place.batch] + $0.place.row] }
    }

    /// From a state on: what the plan says, and what batches bring.
    private func check(_ loader: Loader, from step: Int, epoch: Int) throws {
        var state = loader.state(epoch: epoch)
        state.step = step
        let batches = try loader.batches(from: state), plan = try loader.plannedRows(from: state)
        var steps = 0
        while let batch = try batches.next() {
            let rows = try #require(plan.next())
            #expect(
                numbers(rows, loader)
                    == (0..<batch.rows).map { [batch.datasets.isEmpty ? 0 : Int(batch.datasets[$0]), batch.jets[$0]] })
            #expect(plan.state == batches.state)
            steps += 1
        }
        #expect(plan.next() == nil && steps > 0)
    }

    enum Mode: CaseIterable, Sendable { case windowed, long, exact, inOrder }

    @Test(arguments: Mode.allCases)
    func `planned rows are those of the batches that are made, on each rank, from any state`(mode: Mode) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        for (world, rank) in [(1, 0), (2, 1), (4, 0), (12, 11)] {
            let options = smallOptions {
                ($0.worldSize, $0.rank, $0.dropLast, $0.seed) = (world, rank, world == 2, 7)
                $0.exact = mode == .exact
                $0.shuffle = mode != .inOrder
                if mode == .long { $0.window = 30 }
            }
            let loader = try Loader(dataset: path, columns: ["jet_pt"], options: options)
            for step in [0, 1, loader.stepsPerEpoch / 2, loader.stepsPerEpoch - 1] {
                try check(loader, from: step, epoch: 3)
            }
        }
    }

    @Test func `planned rows of a mixture are those of its batches`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let one = try makeDataset([Package.sample], directory.file("one"))
        let two = try makeDataset([Package.sample], directory.file("two")) { $0.limit = 600 }
        for length in [MixturePlan.Length.shortest, .longest] {
            let options = smallOptions { ($0.worldSize, $0.rank, $0.mixtureLength) = (2, 1, length) }
            let loader = try Loader(
                mixture: [LoaderSource(one, weight: 2), LoaderSource(two, weight: 1)],
                contents: LoaderContents(columns: ["jet_pt"]), options: options)
            for step in [0, 5] { try check(loader, from: step, epoch: 1) }
        }
    }

    @Test func `plans of other ranks and states are refused as batches are`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = try makeDataset([Package.sample], directory.file("d"))
        let loader = try Loader(dataset: path, columns: ["jet_pt"], options: smallOptions { $0.worldSize = 2 })
        let state = loader.state(epoch: 0)
        #expect(throws: LoaderError.self) { try loader.plannedRows(from: state, rank: 2) }
        var other = state
        other.options["seed"] = "99"
        let failure = #expect(throws: LoaderError.self) { try loader.plannedRows(from: other) }
        #expect(failure?.message.contains("seed 99, now 0") == true)
    }
}
