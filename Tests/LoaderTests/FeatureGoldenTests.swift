import Foundation
import Loader
import TestSupport
import Testing

/// The arrays of `golden/features`: 50 simulated jets through the original preprocessing.
private struct Golden {
    let file: SafeTensorsFile
    let configurations: [String: FeatureConfiguration]
    static var directory: String? { Package.data.map { $0 + "/golden/features" } }

    init() throws {
        let directory = try #require(Self.directory)
        file = try SafeTensorsFile(directory + "/features.safetensors")
        configurations = try FeatureConfiguration.named(
            json: String(contentsOfFile: directory + "/configs.json", encoding: .utf8))
    }

    func array<Element>(_ name: String, _ type: Element.Type) throws -> [Element] { try file.array(name, type) }

    /// The jets without their padding.
    func jets() throws -> SampleJets {
        var jets = SampleJets()
        let columns = try ["px", "py", "pz", "energy"].map { try array($0, Float.self) }
        for (jet, count) in try array("n", Int32.self).enumerated() {
            jets.append(columns.map { Array($0[jet * 60..<jet * 60 + Int(count)]) })
        }
        return jets
    }
}

@Suite(.enabled(if: Golden.directory != nil)) struct FeatureGoldenTests {
    @Test(arguments: ["A", "B", "C"])
    func `values, masks and inverses are those of the original`(name: String) throws {
        let golden = try Golden(), jets = try golden.jets()
        let configuration = try #require(golden.configurations[name])
        let assembler = try FeatureAssembler(configuration)
        let batch = try jets.padded(assembler)
        let mask = try golden.array("\(name)_mask_f64", UInt8.self)
        #expect(batch.mask == mask)
        let values = try golden.array("\(name)_values_f64", Float.self)
        #expect(values.count == batch.values.count)
        #expect(zip(values, batch.values).map { abs($0 - $1) }.max() ?? 1 <= 5e-7)

        var inverse = [Float](repeating: -1, count: batch.values.count)
        assembler.inverse(batch.values, mask: batch.mask, rows: mask.count, into: &inverse)
        let expected = try golden.array("\(name)_inverse_f64", Float.self)
        #expect(zip(expected, inverse).map { abs($0 - $1) / max(1, abs($0)) }.max() ?? 1 <= 1e-6)
    }

    @Test(arguments: ["A", "B", "C"])
    func `as many constituents survive the cuts as in the original`(name: String) throws {
        let golden = try Golden(), jets = try golden.jets()
        let configuration = try FeatureConfiguration(#require(golden.configurations[name]).features, padLength: 1000)
        let offsets = try jets.jagged(FeatureAssembler(configuration)).offsets
        #expect(zip(offsets.dropFirst(), offsets).map { $0 - $1 } == (try golden.array("\(name)_ncut_f64", Int32.self)))
    }

    @Test func `raw features are those of the original before any cut`() throws {
        let golden = try Golden(), jets = try golden.jets()
        let names = [
            "part_pt", "part_eta", "part_phi", "part_ptrel", "part_erel", "part_etarel", "part_phirel", "part_deltaR",
            "part_energy",
        ]
        let raw = try golden.array("raw_f64", Double.self)
        // float32 leaves 24 of the 53 bits; what is left of x after subtracting its float32 value has the others.
        for (column, name) in names.enumerated() {
            var largest = 0.0, worst = 0.0
            for (number, jet) in jets.spans.enumerated() {
                for i in 0..<jet.count {
                    let expected = raw[(number * 60 + i) * 9 + column]
                    let assembler = try FeatureAssembler(
                        FeatureConfiguration(
                            [Feature(name, subtractBy: Double(Float(expected)), multiplyBy: 0x1p20)], padLength: 60))
                    var values = [Float](repeating: 0, count: 60), mask = [UInt8](repeating: 0, count: 60)
                    try jets.withInput { try assembler.assemble($0, jets: [jet], values: &values, mask: &mask) }
                    largest = max(largest, abs(expected))
                    worst = max(worst, abs(Double(Float(expected)) + Double(values[i]) * 0x1p-20 - expected))
                }
            }
            #expect(worst <= 1e-12 * max(1, largest), "\(name): \(worst)")
        }
    }

    @Test(arguments: ["A", "B", "C"])
    func `values from pt, eta and phi with given axes are those of the original`(name: String) throws {
        let golden = try Golden()
        var jets = try golden.jets()
        for span in jets.spans {
            var sum = [0.0, 0.0, 0.0, 0.0]
            for i in span.start..<span.start + span.count {
                let (x, y, z) = (Double(jets.px[i]), Double(jets.py[i]), Double(jets.pz[i]))
                jets.pt.append(Float(hypot(x, y)))
                jets.eta.append(Float(asinh(z / hypot(x, y))))
                jets.phi.append(Float(atan2(y, x)))
                for (k, v) in [x, y, z, Double(jets.energy[i])].enumerated() { sum[k] += v }
            }
            let pt = hypot(sum[0], sum[1])
            jets.axes.append(JetAxis(pt: pt, eta: asinh(sum[2] / pt), phi: atan2(sum[1], sum[0]), energy: sum[3]))
        }
        (jets.px, jets.py, jets.pz) = ([], [], [])
        let assembler = try FeatureAssembler(#require(golden.configurations[name]))
        let batch = try jets.batch(assembler)
        #expect(batch.mask == (try golden.array("\(name)_mask_f64", UInt8.self)))
        // Angles rounded to float32 before the subtraction, times 3: three halves of a unit in the last place of 4.
        let values = try golden.array("\(name)_values_f64", Float.self)
        #expect(zip(values, batch.values).map { abs($0 - $1) / max(1, abs($0)) }.max() ?? 1 <= 1.5e-6)
    }
}
