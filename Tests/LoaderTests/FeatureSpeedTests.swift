import Loader
import TestSupport
import Testing

@Suite struct FeatureSpeedTests {
    @Test(.enabled(if: Package.number("PANDO_SPEED", default: 0) == 1))
    func `time a constituent of the released configuration`() throws {
        var random = Seeded(3), jets = SampleJets()
        for _ in 0..<4000 {
            let count = Int.random(in: 20...90, using: &random)
            let x = Float.random(in: -1...1, using: &random), y = Float.random(in: -1...1, using: &random)
            var columns = [[Float]](repeating: [], count: 4)
            for _ in 0..<count {
                let a = x + .random(in: -0.4...0.4, using: &random), b = y + .random(in: -0.4...0.4, using: &random)
                let c = Float.random(in: -1...1, using: &random)
                for (k, v) in [a, b, c, (a * a + b * b + c * c).squareRoot()].enumerated() { columns[k].append(v) }
            }
            jets.append(columns)
        }
        let assembler = try FeatureAssembler(.released)
        let length = 128, slots = jets.spans.count * length
        var values = [Float](repeating: 0, count: slots * 3), mask = [UInt8](repeating: 0, count: slots)
        var offsets = [Int32](repeating: 0, count: jets.spans.count + 1)
        var padded = Duration.seconds(1), jagged = padded
        try jets.withInput { input in
            for _ in 0..<20 {
                let clock = ContinuousClock()
                padded = min(
                    padded,
                    try clock.measure {
                        try assembler.assemble(input, jets: jets.spans, values: &values, mask: &mask)
                    })
                jagged = min(
                    jagged,
                    try clock.measure {
                        try assembler.assembleJagged(input, jets: jets.spans, values: &values, offsets: &offsets)
                    })
            }
        }
        let unit = Duration.nanoseconds(jets.px.count)
        print("padded \(padded / unit) ns, jagged \(jagged / unit) ns a constituent; \(jets.px.count) constituents")
    }
}
