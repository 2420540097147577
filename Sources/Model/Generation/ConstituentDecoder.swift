import Foundation
import Loader
import Shards
import Torch

/// Decodes codes to the columns of the schema `generated`.
struct ConstituentDecoder {
    /// What the tokenizer's features are.
    let features: FeatureConfiguration
    private let tokenizer: Tokenizer
    private let assembler: FeatureAssembler
    /// Places of pt, etarel and phirel among the features.
    private let pt, eta, phi: Int

    init(_ tokenizer: Tokenizer, _ features: FeatureConfiguration) throws {
        self.tokenizer = tokenizer
        self.features = features
        let names = features.features.map(\.name)
        guard names.count == tokenizer.configuration.inputs else {
            throw ModelError(
                .configuration, place: "features",
                message: "are \(names.count), but the tokenizer gives \(tokenizer.configuration.inputs)")
        }
        func place(_ known: [String]) throws -> Int {
            guard let place = names.firstIndex(where: known.contains) else {
                throw ModelError(
                    .configuration, place: "features",
                    message: "are \(names.joined(separator: ", ")), without \(known[0])",
                    advice: "jets can be made of pt, etarel and phirel")
            }
            return place
        }
        pt = try place(["part_pt", "pt"])
        eta = try place(["part_etarel", "etarel", "eta_rel"])
        phi = try place(["part_phirel", "phirel", "phi_rel"])
        assembler = try FeatureAssembler(
            features, storedFields: names, jetFields: features.jetFeatures.map(\.name))
    }

    /// pt, etarel and phirel of constituents, one after the other; undone is all that has an inverse: no cut, bin or clip.
    func kinematics(_ jets: [[Int64]]) throws -> [(pt: Double, eta: Double, phi: Double)] {
        // Jets without constituents have no rows, so those of the others lie together.
        let jagged = Jagged(lengths: jets.filter { !$0.isEmpty }.map(\.count))
        guard jagged.rows > 0 else { return [] }
        return try kinematics(
            ofFeatures: tokenizer.features(ofCodes: Tensor.of(jets.flatMap { $0 }), jagged).floats(), rows: jagged.rows)
    }

    /// The same of features [rows, inputs] as a tokenizer sees and gives them.
    func kinematics(
        ofFeatures features: [Float], rows: Int
    ) throws -> [(pt: Double, eta: Double, phi: Double)] {
        var values = features
        let width = self.features.features.count
        try values.withUnsafeMutableBufferPointer { values in
            guard let base = values.baseAddress, values.count == rows * width else {
                throw ModelError(.input, message: "\(rows) constituents have \(values.count) features")
            }
            assembler.inverse(UnsafePointer(base), rows: rows, into: base)
        }
        return (0..<rows).map { row in
            (
                Double(values[row * width + pt]), Double(values[row * width + eta]), Double(values[row * width + phi])
            )
        }
    }

    /// Decodes jets to `columns`.
    /// - Parameter first: The number of the first jet.
    /// - Throws: `ModelError` with code `input` for codes that do not exist and momenta that float32 does not hold.
    func decode(_ jets: [[Int64]], first: Int, into columns: JetColumns) throws {
        let found = try kinematics(jets)
        columns.resize(rows: jets.count, constituents: found.count)
        func integers(_ field: Int) -> UnsafeMutableBufferPointer<Int64> {
            columns.fields[field].elements(Int64.self, count: jets.count)
        }
        func floats(_ field: Int, _ count: Int) -> UnsafeMutableBufferPointer<Float> {
            columns.fields[field].elements(Float.self, count: count)
        }
        // The order of the schema: constituents, event, jet.
        let p = (0..<4).map { floats($0, found.count) }, offsets = columns.offsetNumbers
        let (run, lumi, event) = (integers(4), integers(5), integers(6)), sums = (7..<11).map { floats($0, jets.count) }
        offsets[0] = 0
        var row = 0
        for (jet, codes) in jets.enumerated() {
            var sum = SIMD4<Double>()
            for _ in codes {
                let (pt, eta, phi) = found[row]
                let momentum = SIMD4(
                    Float(pt * cos(phi)), Float(pt * sin(phi)), Float(pt * sinh(eta)), Float(pt * cosh(eta)))
                for part in 0..<4 {
                    guard momentum[part].isFinite else {
                        throw ModelError(
                            .input, place: "jet \(first + jet)",
                            message: "a constituent decodes to pt \(pt), eta \(eta), phi \(phi)",
                            advice: "was the tokenizer trained?")
                    }
                    p[part][row] = momentum[part]
                }
                sum += SIMD4<Double>(momentum)
                row += 1
            }
            offsets[jet + 1] = Int32(truncatingIfNeeded: row)
            (run[jet], lumi[jet], event[jet]) = (0, 0, Int64(first + jet))
            // As the columns sum_pt, sum_eta, sum_phi and sum_mass.
            let (x, y, z, energy) = (sum[0], sum[1], sum[2], sum[3])
            let pt = (x * x + y * y).squareRoot(), mass2 = energy * energy - (x * x + y * y + z * z)
            sums[0][jet] = Float(pt)
            sums[1][jet] = pt > 0 ? Float(asinh(z / pt)) : 0
            sums[2][jet] = Float(atan2(y, x))
            sums[3][jet] = Float(mass2 > 0 ? mass2.squareRoot() : 0)
        }
    }
}
