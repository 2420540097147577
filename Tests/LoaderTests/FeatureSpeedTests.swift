import Foundation
import Loader
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: Package.number("PANDO_SPEED", default: 0) == 1)) struct FeatureSpeedTests {
    private func best(_ body: () throws -> Void) rethrows -> Duration {
        var best = Duration.seconds(1)
        for _ in 0..<200 { best = min(best, try ContinuousClock().measure(body)) }
        return best
    }

    private func jets(_ count: Int) -> SampleJets {
        var random = Seeded(3), jets = SampleJets()
        for _ in 0..<count {
            let n = Int.random(in: 20...90, using: &random)
            let eta = Float.random(in: -2...2, using: &random), phi = Float.random(in: -3.1...3.1, using: &random)
            var columns = [[Float]](repeating: [], count: 4)
            for _ in 0..<n {
                let pt = Float.random(in: 0.1...50, using: &random)
                let a = phi + .random(in: -0.6...0.6, using: &random), b = eta + .random(in: -0.6...0.6, using: &random)
                for (k, v) in [pt * cos(a), pt * sin(a), pt * sinh(b), pt * cosh(b)].enumerated() {
                    columns[k].append(v)
                }
                jets.pt.append(pt)
                jets.eta.append(b)
                jets.phi.append(Float(remainder(Double(a), 2 * .pi)))
            }
            jets.append(columns)
            jets.axes.append(JetAxis(pt: 500, eta: Double(eta), phi: Double(phi), energy: 900))
        }
        return jets
    }

    @Test func `time a constituent`() throws {
        var jets = jets(256)
        let short = try FeatureConfiguration(["part_pt", "part_etarel", "part_phirel"].map { Feature($0) })
        let slots = jets.spans.count * 128, offsets = jets.offsets
        var values = [Float](repeating: 0, count: slots * 3), mask = [UInt8](repeating: 0, count: slots)
        var other = values, otherMask = mask
        let copy = best {
            other.withUnsafeMutableBytes { to in values.withUnsafeBytes { to.copyMemory(from: $0) } }
            otherMask.withUnsafeMutableBytes { to in mask.withUnsafeBytes { to.copyMemory(from: $0) } }
        }
        let unit = Duration.nanoseconds(jets.spans.reduce(0) { $0 + $1.count })
        print("copying the output: \(copy / unit) ns a constituent")
        for given in [true, false] {
            if !given { (jets.pt, jets.eta, jets.phi, jets.axes) = ([], [], [], []) }
            for (name, configuration) in [("short", short), ("released", .released)] {
                let assembler = try FeatureAssembler(configuration)
                try jets.withInput { input in
                    let padded = try best {
                        try assembler.assemble(
                            input, rows: jets.spans.count, offsets: offsets, values: &values, mask: &mask)
                    }
                    let jagged = try best {
                        var ends = [Int32](repeating: 0, count: jets.spans.count + 1)
                        try assembler.assembleJagged(
                            input, rows: jets.spans.count, offsets: offsets, values: &values, outputOffsets: &ends)
                    }
                    print(
                        "\(name) from \(given ? "angles and axes" : "momenta"): padded \(padded / unit) ns, jagged "
                            + "\(jagged / unit) ns a constituent; \(Double(jets.spans.count) * 1e-6 / (padded / .seconds(1)))"
                            + " million jets/s")
                }
            }
        }
    }

    @Test func `time a jet of tokens`() throws {
        let rows = 256
        var random = Seeded(5), offsets: [Int32] = [0]
        for _ in 0..<rows { offsets.append(offsets[offsets.count - 1] + .random(in: 20...80, using: &random)) }
        let codes = (0..<Int(offsets[rows])).map { _ in Int16.random(in: 0..<8192, using: &random) }
        let pairs = try TokenPairs(codebookSize: 8192)
        var input = [Int32](repeating: 0, count: rows * 128), target = input
        var wideInput = [Int64](repeating: 0, count: rows * 128), wideTarget = wideInput
        var mask = [UInt8](repeating: 0, count: rows * 128)
        try codes.withUnsafeBufferPointer { codes in
            let column = TokenColumn.int16(try #require(codes.baseAddress))
            let narrow = try best {
                try pairs.assemble(
                    column, rows: rows, offsets: offsets, input: &input, target: &target, mask: &mask)
            }
            let wide = try best {
                try pairs.assemble(
                    column, rows: rows, offsets: offsets, input: &wideInput, target: &wideTarget, mask: &mask)
            }
            print("\(narrow / .nanoseconds(rows)) ns a jet of tokens as int32, \(wide / .nanoseconds(rows)) as int64")
        }
    }
}
