import Foundation
import Kernels
import TestSupport
import Testing

@Suite(.serialized) struct SoftmaxTests {
    private static func brain(_ x: Float) -> Float { Float(bitPattern: x.bitPattern & 0xffff_0000) }

    /// In double, as the definition has it.
    private static func expected(_ x: [Double], _ target: Int, _ weight: Double) -> (loss: Double, gradient: [Double]) {
        let top = x.max() ?? 0, sum = x.reduce(0) { $0 + exp($1 - top) }
        let gradient = x.indices.map { weight * (exp(x[$0] - top) / sum - ($0 == target ? 1 : 0)) }
        return (weight * (log(sum) + top - x[target]), gradient)
    }

    @Test(arguments: [1, 2, 31, 32, 33, 100, 8194], [0, 1, 2])
    func `loss and gradient are those of the definition, with all instructions`(_ count: Int, _ level: Int32) {
        pando_limit_instructions(level)
        defer { pando_limit_instructions(2) }
        var random = Seeded(UInt64(count))
        for spread in [0, 1, 20, 200] as [Float] {
            let bias = (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
            let logits = (0..<count).map { _ in Self.brain(Float.random(in: -1...1, using: &random) * spread) }
            let target = Int.random(in: 0..<count, using: &random)
            let (loss, gradient) = Self.expected(zip(logits, bias).map { Double($0 + $1) }, target, 0.25)
            var scratch = [Float](repeating: 0, count: count), found = scratch
            let ours = pando_softmax_gradient(logits, 0, bias, count, target, 0.25, &scratch, &found)
            #expect(abs(ours - loss) <= 2e-6 * max(1, abs(loss)), "\(spread)")
            for (a, b) in zip(found, gradient) { #expect(abs(Double(a) - b) < 2e-6) }
            let halves = logits.map { UInt16($0.bitPattern >> 16) }
            var rounded = [UInt16](repeating: 0, count: count)
            #expect(
                abs(pando_softmax_gradient(halves, 1, bias, count, target, 0.25, &scratch, &rounded) - loss)
                    <= 2e-6 * max(1, abs(loss)))
            for (a, b) in zip(rounded, gradient) {
                #expect(abs(Double(Float(bitPattern: UInt32(a) << 16)) - b) <= abs(b) / 256 + 1e-6)
            }
        }
    }

    @Test func `what is no number makes the loss none`() {
        for wrong in [Float.nan, .infinity] {
            var logits = [Float](repeating: 0, count: 70)
            logits[40] = wrong
            var scratch = logits
            #expect(pando_softmax_gradient(logits, 0, scratch.map { _ in 0 }, 70, 3, 1, &scratch, nil).isNaN)
        }
    }

    @Test func `columns are added up`() {
        let rows = (0..<12).map { Float($0) }
        var sums: [Float] = [1, 1, 1, 1]
        pando_add_columns(rows, 0, 3, 4, 1, 3, &sums)
        let expected: [Float] = [1, 16, 19, 1]
        #expect(sums == expected)
    }
}
