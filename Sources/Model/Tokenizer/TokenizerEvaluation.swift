import Foundation
import Loader
import Torch

/// How well a tokenizer gives constituents and jets back, and how it uses its codes.
///
/// Originals are what the tokenizer sees: behind the cuts, at most so many as its length, massless. Jets are sums of these.
public struct TokenizerEvaluation: Encodable, Sendable {
    /// The differences of reconstructed and original values.
    public struct Resolution: Encodable, Sendable {
        /// What is compared: a feature, or `jet_pt`, `jet_eta`, `jet_phi`, `jet_mass`.
        public var feature: String
        /// The unit of differences: `relative` to the original value, `1`, `rad`, `GeV`, or `feature` for the feature's own.
        public var unit: String
        /// Mean difference.
        public var bias: Double
        /// Root mean square of differences.
        public var rms: Double
        /// Half of the differences are smaller than this.
        public var median: Double
        /// The differences themselves; not part of the JSON.
        public var differences: [Float]

        private enum CodingKeys: String, CodingKey { case feature, unit, bias, rms, median }

        init(_ feature: String, unit: String, _ differences: [Float]) {
            (self.feature, self.unit, self.differences) = (feature, unit, differences)
            let count = Double(max(1, differences.count))
            bias = differences.reduce(0) { $0 + Double($1) } / count
            rms = (differences.reduce(0) { $0 + Double($1) * Double($1) } / count).squareRoot()
            let sorted = differences.map(abs).sorted()
            median = sorted.isEmpty ? 0 : Double(sorted[sorted.count / 2])
        }
    }

    /// Jets, without those that have no constituents behind the cuts.
    public var jets: Int
    /// Jets without constituents behind the cuts.
    public var empty: Int
    /// Constituents.
    public var constituents: Int
    /// Of constituents by feature; of features with a logarithm relative to the original value.
    public var resolutions: [Resolution]
    /// Of jets; none if the features do not make momenta.
    public var jetResolutions: [Resolution]
    /// Codes of the codebook.
    public var codes: Int
    /// Codes that came.
    public var used: Int
    /// exp(-Σ p ln p) over the codes' shares.
    public var perplexity: Double
    /// Effective codes that are equal to another one.
    public var duplicates: Int
    /// How often each code came; not part of the JSON.
    public var uses: [Int]

    private enum CodingKeys: String, CodingKey {
        case jets, empty, constituents, resolutions, jetResolutions, codes, used, perplexity, duplicates
    }

    /// Encodes and decodes jets of a loader with jagged features.
    public init(of tokenizer: Tokenizer, features: FeatureConfiguration, loader: Loader) throws {
        var differences = features.features.map { _ in [Float]() }, ofJets = Self.jetQuantities.map { _ in [Float]() }
        // Features that do not make momenta make no jets.
        let decoder = try? ConstituentDecoder(tokenizer, features)
        uses = [Int](repeating: 0, count: tokenizer.configuration.codes)
        (jets, empty, constituents) = (0, 0, 0)
        let batches = try loader.batches(epoch: 0)
        while let batch = try batches.next() {
            let lengths = zip(batch.featureOffsets, batch.featureOffsets.dropFirst()).map { Int($1 - $0) }
            let jagged = Jagged(lengths: lengths.filter { $0 > 0 }), width = features.features.count
            empty += lengths.count - jagged.jets
            guard jagged.rows > 0 else { continue }
            jets += jagged.jets
            constituents += jagged.rows
            let x = try Tensor.copy(UnsafeRawBufferPointer(batch.features), [jagged.rows, width], .float32)
            let codes = try tokenizer.codes(of: x, jagged)
            for code in try codes.integers() { uses[Int(code)] += 1 }
            let ours = try tokenizer.features(ofCodes: codes, jagged).floats()
            for (number, feature) in features.features.enumerated() {
                for row in 0..<jagged.rows {
                    let place = row * width + number
                    differences[number].append(Self.difference(feature, ours[place], batch.features[place]))
                }
            }
            guard let decoder else { continue }
            let found = Self.sums(try decoder.kinematics(ofFeatures: ours, rows: jagged.rows), jagged)
            let expected = Self.sums(
                try decoder.kinematics(ofFeatures: Array(batch.features), rows: jagged.rows), jagged)
            for (jet, original) in zip(found, expected) {
                ofJets[0].append(Float(jet.pt / original.pt - 1))
                ofJets[1].append(Float(jet.eta - original.eta))
                ofJets[2].append(Float(jet.phi - original.phi))
                ofJets[3].append(Float(jet.mass - original.mass))
            }
        }
        resolutions = zip(features.features, differences).map { feature, values in
            Resolution(
                feature.name.description, unit: feature.function == .log ? "relative" : "feature", values)
        }
        jetResolutions =
            decoder == nil
            ? [] : zip(Self.jetQuantities, ofJets).map { Resolution($0.name, unit: $0.unit, $1) }
        codes = uses.count
        used = uses.count { $0 > 0 }
        let all = Double(max(1, constituents))
        perplexity = Foundation.exp(
            -uses.filter { $0 > 0 }.reduce(0) { $0 + Double($1) / all * log(Double($1) / all) })
        let effective = try tokenizer.codebook.effective().detached().floats(), latent = tokenizer.configuration.latent
        let distinct = Set((0..<uses.count).map { code in Array(effective[code * latent..<(code + 1) * latent]) })
        duplicates = uses.count - distinct.count
    }

    private static let jetQuantities: [(name: String, unit: String)] = [
        ("jet_pt", "relative"), ("jet_eta", "1"), ("jet_phi", "rad"), ("jet_mass", "GeV"),
    ]

    /// Sums of massless constituents, jet by jet; angles are relative to the axis.
    private static func sums(
        _ constituents: [(pt: Double, eta: Double, phi: Double)], _ jagged: Jagged
    ) -> [(pt: Double, eta: Double, phi: Double, mass: Double)] {
        (0..<jagged.jets).map { jet in
            var sum = SIMD4<Double>()
            for (pt, eta, phi) in constituents[jagged.offsets[jet]..<jagged.offsets[jet + 1]] {
                sum += SIMD4(pt * cos(phi), pt * sin(phi), pt * sinh(eta), pt * cosh(eta))
            }
            let (x, y, z, energy) = (sum[0], sum[1], sum[2], sum[3]), pt = (x * x + y * y).squareRoot()
            let mass2 = energy * energy - (x * x + y * y + z * z)
            return (pt, pt > 0 ? asinh(z / pt) : 0, atan2(y, x), mass2 > 0 ? mass2.squareRoot() : 0)
        }
    }

    /// In the feature's own units; relative for those with a logarithm.
    private static func difference(_ feature: Feature, _ found: Float, _ original: Float) -> Float {
        let step = Double(found - original) / feature.multiplyBy
        return Float(feature.function == .log ? Foundation.exp(step) - 1 : step)
    }
}
