import Foundation
import Loader
import Shards
import Support

/// How an epoch is cut.
struct RanksConfiguration: Decodable {
    var dataset: String
    var batchSize: Int
    var streams: Int
    var window: Int
    var worldSize: Int
    /// Where resuming is tried.
    var step: Int
    /// Another world size, whose ranks go on from there.
    var otherWorldSize: Int
    var seed: UInt64

    func loader(worldSize: Int, rank: Int = 0) throws -> Loader {
        var options = LoaderOptions()
        (options.batchSize, options.streams, options.window) = (batchSize, streams, window)
        (options.worldSize, options.rank, options.dropLast, options.seed) = (worldSize, rank, false, seed)
        return try Loader(dataset: dataset, contents: LoaderContents(features: .released), options: options)
    }
}

/// A bit for each row of a dataset.
private struct Seen {
    private var bits: [UInt64]
    private(set) var count = 0
    private(set) var repeated = 0

    init(rows: Int) { bits = Array(repeating: 0, count: (rows + 63) / 64) }

    mutating func see(_ row: Int) {
        let bit = UInt64(1) << UInt64(row & 63)
        if bits[row >> 6] & bit == 0 { count += 1 } else { repeated += 1 }
        bits[row >> 6] |= bit
    }
}

/// Numbers of rows, digested in the order in which they come.
private struct RowDigest: ~Copyable {
    private var digest = StreamingDigest()
    private var rows: [Int] = []

    mutating func add(_ row: Int) {
        rows.append(row)
        if rows.count == 1 << 14 { flush() }
    }

    private mutating func flush() {
        rows.withUnsafeBytes { digest.update($0) }
        rows.removeAll(keepingCapacity: true)
    }

    mutating func hex() -> String {
        flush()
        return digest.digest.hex
    }
}

private func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    try body()
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
}

/// Walks through the epoch of each rank and counts every row; then goes on in the middle, from the state as a checkpoint holds it.
func ranks(_ asked: RanksConfiguration) throws {
    var found: Loader?
    let opened = try seconds { found = try asked.loader(worldSize: asked.worldSize) }
    guard let loader = found else { return }
    let dataset = loader.dataset
    func number(_ row: PlannedRow) -> Int { dataset.firstRows[row.place.batch] + row.place.row }
    var seen = Seen(rows: dataset.catalogue.rows)
    var steps: Set<Int> = [], tails: [String] = [], batch: [Int] = []
    var first = 0.0
    let walked = try seconds {
        for rank in 0..<asked.worldSize {
            var plan: PlannedRows?
            first = max(
                first, try seconds { plan = try loader.plannedRows(from: loader.state(epoch: 1), rank: rank) })
            var step = 0, tail = RowDigest()
            while let rows = plan?.next() {
                for row in rows {
                    let number = number(row)
                    seen.see(number)
                    if step >= asked.step { tail.add(number) }
                    if step == asked.step { batch.append(number) }
                }
                step += 1
            }
            steps.insert(step)
            tails.append(tail.hex())
        }
    }
    // As a checkpoint holds it.
    var state = loader.state(epoch: 1)
    state.step = asked.step
    let text = try JSONEncoder().encode(state)
    state = try JSONDecoder().decode(LoaderState.self, from: text)
    var same = 0, slowest = 0.0
    for rank in 0..<asked.worldSize {
        var tail = RowDigest()
        let plan = try loader.plannedRows(from: state, rank: rank)
        var rows: [PlannedRow]?
        slowest = max(slowest, seconds { rows = plan.next() })
        while let some = rows {
            for row in some { tail.add(number(row)) }
            rows = plan.next()
        }
        if tail.hex() == tails[rank] { same += 1 }
    }
    // The ranks of another world make the same global batch.
    let other = try asked.loader(worldSize: asked.otherWorldSize)
    var others: [Int] = []
    for rank in 0..<asked.otherWorldSize {
        others += (try other.plannedRows(from: state, rank: rank).next() ?? []).map(number)
    }
    try report([
        "rows": dataset.catalogue.rows, "batches": dataset.batchCount, "ranks": asked.worldSize,
        "steps": steps.sorted(), "stepsPerEpoch": loader.stepsPerEpoch, "seen": seen.count, "repeated": seen.repeated,
        "openSeconds": opened, "planSeconds": first, "walkSeconds": walked, "resumed": same, "resumeSeconds": slowest,
        "stateBytes": text.count, "sameBatch": batch == others, "otherRanks": asked.otherWorldSize,
        "memoryBound": loader.memoryBound, "tail": tails,
    ])
}

/// One rank in a process of its own, as a training run goes on with: what is left behind a step.
func resume(_ asked: RanksConfiguration, rank: Int) throws {
    var found: Loader?
    let opened = try seconds { found = try asked.loader(worldSize: asked.worldSize, rank: rank) }
    guard let loader = found else { return }
    var state = loader.state(epoch: 1)
    state.step = asked.step
    var plan: PlannedRows?, rows: [PlannedRow]?
    let first = try seconds {
        plan = try loader.plannedRows(from: state)
        rows = plan?.next()
    }
    var tail = RowDigest()
    while let some = rows {
        for row in some { tail.add(loader.dataset.firstRows[row.place.batch] + row.place.row) }
        rows = plan?.next()
    }
    try report(["openSeconds": opened, "firstSeconds": first, "tail": tail.hex()])
}
