import Convert
import TestSupport
import Testing

@Suite struct BatchPlanTests {
    @Test func `every row is in one batch, in the order of its input, and batches keep their size`() {
        let seed = UInt64.random(in: 0...99_999)
        var random = Seeded(seed)
        for _ in 0..<200 {
            let inputs = Int.random(in: 0...40, using: &random)
            let taken = (0..<inputs).map { _ in
                let first = Int.random(in: 0...50, using: &random)
                return first..<first
                    + [0, 1, Int.random(in: 0...3000, using: &random)][Int.random(in: 0...2, using: &random)]
            }
            let batchRows = Int.random(in: 1...500, using: &random)
            let plan = BatchPlan(taken: taken, batchRows: batchRows, interleave: Int.random(in: 1...20, using: &random))
            var next = taken.map(\.lowerBound)
            for batch in 0..<plan.batchCount {
                let pieces = plan.pieces(ofBatch: batch)
                #expect(pieces.reduce(0) { $0 + $1.rows.count } <= batchRows, "seed \(seed)")
                for piece in pieces {
                    #expect(piece.rows.lowerBound == next[piece.input], "seed \(seed)")
                    next[piece.input] = piece.rows.upperBound
                }
            }
            #expect(next == taken.map(\.upperBound), "seed \(seed)")
            #expect(plan.pieces(ofBatch: plan.batchCount).isEmpty)
        }
    }

    @Test func `a batch holds rows of many inputs from all over the list`() {
        let plan = BatchPlan(taken: Array(repeating: 0..<10_000, count: 64), batchRows: 2048, interleave: 16)
        for batch in 0..<plan.batchCount {
            let inputs = plan.pieces(ofBatch: batch).map(\.input)
            #expect(inputs.count == 16)
            #expect((inputs.max() ?? 0) - (inputs.min() ?? 0) >= 60)
        }
    }
}
