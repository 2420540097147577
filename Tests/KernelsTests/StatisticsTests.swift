import Kernels
import TestSupport
import Testing

@Suite struct StatisticsTests {
    @Test(arguments: [1, 2, 31, 4095, 4096, 4097, 20_000])
    func `small codes have the statistics that a plain loop finds`(count: Int) {
        var random = Seeded(7)
        for extremes in [-128...127, -128 ... -128, 127...127, 0...4] as [ClosedRange<Int>] {
            let values = (0..<count).map { _ in Int8(Int.random(in: extremes, using: &random)) }
            var low: Int8 = 0, high: Int8 = 0, sum: Int64 = 0
            pando_statistics_int8(count, values, &low, &high, &sum)
            #expect(low == values.min() && high == values.max() && sum == values.reduce(0) { $0 + Int64($1) })
        }
    }
}
