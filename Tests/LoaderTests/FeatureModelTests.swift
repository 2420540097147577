import Foundation
import Kernels
import Loader
import TestSupport
import Testing

@Suite(.serialized) struct FeatureModelTests {
    @Test(arguments: [false, true])
    func `padded and jagged batches are what the definitions say`(strange: Bool) throws {
        for seed in 0..<UInt64(Package.number("PANDO_FEATURE_ROUNDS", default: 60)) {
            var random = Seeded(seed)
            let jets = randomJets(&random, strange: strange)
            let configuration = seed == 0 ? .released : try randomConfiguration(&random)
            let assembler = try FeatureAssembler(configuration, storedFields: ["pdgId"])
            try compare(jets, assembler, try jets.padded(assembler), try jets.jagged(assembler), "seed \(seed)")
        }
    }

    @Test func `the numbers have the same bits with all instructions`() throws {
        defer { pando_limit_instructions(2) }
        for seed in 100..<UInt64(120) {
            var random = Seeded(seed)
            let jets = randomJets(&random, strange: true)
            let assembler = try FeatureAssembler(
                seed == 100 ? .released : randomConfiguration(&random), storedFields: ["pdgId"])
            let bits = try (Int32(0)...2).map { level in
                pando_limit_instructions(level)
                // The sign of a NaN is nobody's promise.
                return try jets.padded(assembler).values.map { $0.isNaN ? 1 : $0.bitPattern }
            }
            #expect(bits[0] == bits[1] && bits[1] == bits[2], "seed \(seed)")
        }
    }

    @Test func `the only constituent of a jet lies on its axis`() throws {
        var jets = SampleJets(), random = Seeded(7)
        for _ in 0..<1000 {
            jets.append((0..<4).map { _ in [Float.random(in: -100...100, using: &random)] })
        }
        let names = ["part_etarel", "part_phirel", "part_deltaR"]
        let batch = try jets.padded(FeatureAssembler(FeatureConfiguration(names.map { Feature($0) }, padLength: 1)))
        #expect(batch.values.allSatisfy { $0 == 0 } && batch.mask.allSatisfy { $0 == 1 })
    }

    @Test func `half a turn from the axis is -pi`() throws {
        let assembler = try FeatureAssembler(FeatureConfiguration([Feature("part_phirel")], padLength: 2))
        for sign in [Float(1), -1] {
            for zero in [Float(0), -0.0] {
                var jets = SampleJets()
                jets.append([[3 * sign, -sign], [0, zero], [0, 0], [3, 1]])
                #expect(try jets.padded(assembler).values == [0, Float(-Double.pi)])
            }
        }
    }

    @Test func `logarithm, pseudorapidity and azimuth are within units of the last place of libm`() {
        var random = Seeded(1)
        var x: [Double] = [], y: [Double] = []
        for _ in 0..<200_000 {
            x.append(exp(.random(in: -80...80, using: &random)))
            y.append(
                x[x.count - 1] * exp(.random(in: -20...20, using: &random)) * (Bool.random(using: &random) ? 1 : -1))
        }
        x += [.infinity, -.infinity, -.infinity, .nan, 2, 0, .infinity, .nan, .leastNonzeroMagnitude, 1, 0, -0.0, 0]
        y += [.infinity, .infinity, .nan, .infinity, .infinity, 1, 1, 1, -1, 0, 0, 0, -0.0]
        let count = x.count
        var out = [Double](repeating: 0, count: count)
        func worst(_ expected: (Int) -> Double) -> Double {
            (0..<count).map { i in
                let e = expected(i)
                return e == out[i] || (e.isNaN && out[i].isNaN) ? 0 : abs(e - out[i]) / e.ulp
            }.max() ?? 0
        }
        pando_log(count, x, &out)
        #expect(worst { log(x[$0]) } <= 2)
        pando_pseudorapidity(count, y, x, &out)
        #expect(worst { y[$0] == 0 && x[$0] == 0 ? 0 : asinh(y[$0] / x[$0]) } <= 4)
        pando_azimuth(count, y, x, &out)
        #expect(worst { atan2(y[$0], x[$0]) } <= 4)
    }
}
