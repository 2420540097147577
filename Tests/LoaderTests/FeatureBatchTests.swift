import Foundation
import Kernels
import Loader
import TestSupport
import Testing

/// Bits; the sign of a NaN is nobody's promise.
private func bits(_ values: [Float]) -> [UInt32] { values.map { $0.isNaN ? 1 : $0.bitPattern } }

/// A number that changes when any bit does (FNV-1a).
private func digest(_ values: [Float]) -> UInt64 {
    bits(values).reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}

/// Jets whose numbers no mathematics library has touched.
private func plainJets(_ seed: UInt64) -> SampleJets {
    var random = Seeded(seed), jets = SampleJets()
    for number in 0..<60 {
        let count = [0, 1, 7, 8, 9, 50, 127, 128, 129, 150, 600].randomElement(using: &random) ?? 0
        jets.append((0..<4).map { _ in (0..<count).map { _ in .random(in: -90...90, using: &random) } })
        let axis = JetAxis(
            pt: .random(in: 1...900, using: &random), eta: .random(in: -2...2, using: &random),
            phi: .random(in: -3...3, using: &random), energy: .random(in: 1...900, using: &random))
        jets.axes.append(axis)
        for _ in 0..<count {
            jets.pt.append(number % 7 == 0 ? 0 : .random(in: 0...90, using: &random))
            jets.eta.append(Float(axis.eta) + .random(in: -0.9...0.9, using: &random))
            jets.phi.append(Float(axis.phi) + .random(in: -0.9...0.9, using: &random) * (number % 9 == 0 ? 20 : 1))
        }
    }
    return jets
}

@Suite(.serialized) struct FeatureBatchTests {
    @Test(arguments: JetAxisDefinition.allCases, [false, true])
    func `batches of pt, eta and phi are what the definitions say`(axis: JetAxisDefinition, given: Bool) throws {
        for seed in 0..<UInt64(Package.number("PANDO_FEATURE_ROUNDS", default: 30)) {
            var random = Seeded(seed + 1000)
            var jets = randomAngularJets(
                &random, strange: seed % 2 == 0 && (given || axis == .stored), momenta: seed % 3 == 0)
            if !given { jets.axes = [] }
            let configuration = try randomConfiguration(&random, axis: axis)
            let assembler = try FeatureAssembler(configuration, storedFields: ["pdgId"])
            let padded = try jets.batch(assembler)
            let jagged = try jets.jaggedBatch(assembler, kept: padded.mask.count { $0 == 1 })
            try compare(jets, assembler, padded, jagged, "seed \(seed)")
        }
    }

    @Test func `jets in slots and from spans have the same bits, with all instructions`() throws {
        defer { pando_limit_instructions(2) }
        for seed in 0..<UInt64(20) {
            var random = Seeded(seed + 2000)
            let jets = randomAngularJets(&random, strange: true, momenta: seed % 3 == 0)
            let assembler = try FeatureAssembler(
                seed == 0 ? .released : randomConfiguration(&random), storedFields: ["pdgId"])
            let slots = (0..<Int32(jets.spans.count)).shuffled(using: &random)
            let length = assembler.configuration.padLength, width = length * assembler.configuration.features.count
            pando_limit_instructions(2)
            let expected = try jets.padded(assembler)
            for level in Int32(0)...2 {
                pando_limit_instructions(level)
                let batch = try jets.batch(assembler), scattered = try jets.batch(assembler, slots: slots)
                #expect(bits(batch.values) == bits(expected.values) && batch.mask == expected.mask, "seed \(seed)")
                for (jet, slot) in slots.map(Int.init).enumerated() {
                    let values = scattered.values[slot * width..<(slot + 1) * width]
                    #expect(bits(Array(values)) == bits(Array(expected.values[jet * width..<(jet + 1) * width])))
                    let mask = scattered.mask[slot * length..<(slot + 1) * length]
                    #expect(mask == expected.mask[jet * length..<(jet + 1) * length])
                }
            }
        }
    }

    @Test func `the numbers are what they were`() throws {
        defer { pando_limit_instructions(2) }
        let wide = try FeatureConfiguration(
            FeatureAssembler.knownNames.filter { !["part_px", "part_py", "part_pz"].contains($0) }.map {
                Feature($0, function: $0.hasSuffix("rel") ? .identity : .log, multiplyBy: 0.7)
            }, padLength: 140)
        let short = try FeatureConfiguration(["part_pt", "part_etarel", "part_phirel"].map { Feature($0) })
        for (configuration, expected) in [
            (FeatureConfiguration.released, [2898496058140433214, 10698103832136627324] as [UInt64]),
            (short, [16609316568846585125, 8002362200282674285]), (wide, [13847409908233409423, 3494415550227698030]),
        ] {
            let assembler = try FeatureAssembler(configuration, storedFields: ["pdgId"])
            for level in Int32(0)...2 {
                pando_limit_instructions(level)
                var jets = plainJets(5)
                var found = [digest(try jets.batch(assembler).values)]
                (jets.pt, jets.eta, jets.phi) = ([], [], [])
                found.append(digest(try jets.batch(assembler).values))
                #expect(found == expected)
            }
        }
    }

    @Test(arguments: [0, 1, 7, 8, 9, 63, 127, 128, 129, 150, 255, 256, 257, 520])
    func `cuts take whichever constituents they should from jets of any size`(count: Int) throws {
        defer { pando_limit_instructions(2) }
        let goes: [(Int) -> Bool] = [
            { _ in false }, { $0 == 0 }, { $0 == count - 1 }, { _ in true }, { $0 % 2 == 0 }, { $0 != count - 1 },
        ]
        var jets = SampleJets()
        var expected: [[Float]] = []
        for (number, cut) in goes.enumerated() {
            jets.spans.append(JetSpan(start: number * count, count: count, axis: number))
            jets.axes.append(JetAxis(pt: 1, eta: 1, phi: -3, energy: 1))
            jets.pt += (0..<count).map { Float($0 + 1) }
            jets.eta += (0..<count).map { cut($0) ? 2 : 1.5 }
            jets.phi += (0..<count).map { _ in 3 }
            jets.energy += (0..<count).map { _ in 1 }
            expected.append((0..<count).filter { !cut($0) }.prefix(128).map { Float($0 + 1) })
        }
        let assembler = try FeatureAssembler(
            FeatureConfiguration([Feature("pt"), Feature("eta_rel", smallerThan: 0.8), Feature("phi_rel")]))
        for level in Int32(0)...2 {
            pando_limit_instructions(level)
            let batch = try jets.batch(assembler)
            for (jet, kept) in expected.enumerated() {
                let rows = (jet * 128..<jet * 128 + 128)
                #expect(rows.map { batch.values[$0 * 3] } == kept + [Float](repeating: 0, count: 128 - kept.count))
                #expect(batch.mask[rows].count { $0 == 1 } == kept.count)
                #expect(rows.prefix(kept.count).allSatisfy { batch.values[$0 * 3 + 1] == 0.5 })
                #expect(rows.prefix(kept.count).allSatisfy { abs(batch.values[$0 * 3 + 2] + 0.283185) < 1e-6 })
            }
        }
    }

    @Test func `weights of one give the axis of all constituents`() throws {
        var random = Seeded(9)
        var jets = randomJets(&random, strange: false)
        let features = ["pt_rel", "e_rel", "eta_rel", "phi_rel"].map { Feature($0) }
        let plain = try jets.batch(FeatureAssembler(FeatureConfiguration(features)))
        jets.weight = jets.px.map { _ in 1 }
        let puppi = try FeatureAssembler(FeatureConfiguration(features, axis: .puppi))
        #expect(try jets.batch(puppi).values == plain.values)
        jets.weight = jets.px.map { _ in 0.5 }
        let halves = try jets.batch(puppi).values
        #expect(halves != plain.values)
        // Half of all momenta: the same direction, twice the fraction.
        for row in 0..<halves.count / 4 {
            #expect(halves[row * 4] == 2 * plain.values[row * 4] && halves[row * 4 + 2] == plain.values[row * 4 + 2])
        }
    }

    @Test func `energies follow from masses where none are given`() throws {
        let pt: [Float] = [3], eta: [Float] = [0.5], phi: [Float] = [1], mass: [Float] = [0.14]
        let assembler = try FeatureAssembler(
            FeatureConfiguration(["part_energy", "part_px", "part_py", "part_pz"].map { Feature($0) }, padLength: 1))
        var values = [Float](repeating: 0, count: 4), flag: [UInt8] = [0]
        try pt.withUnsafeBufferPointer { pt in
            try eta.withUnsafeBufferPointer { eta in
                try phi.withUnsafeBufferPointer { phi in
                    try mass.withUnsafeBufferPointer { mass in
                        var input = FeatureInput()
                        (input.pt, input.eta, input.phi) = (pt.baseAddress, eta.baseAddress, phi.baseAddress)
                        input.mass = mass.baseAddress
                        try assembler.assemble(input, rows: 1, offsets: [0, 1], values: &values, mask: &flag)
                    }
                }
            }
        }
        let p = 3 * cosh(0.5),
            expected = [(p * p + 0.14 * 0.14).squareRoot(), 3 * cos(1.0), 3 * sin(1.0), 3 * sinh(0.5)]
        for (value, number) in zip(values, expected) { #expect(abs(Double(value) - number) < 1e-6) }
    }
}
