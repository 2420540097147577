import Foundation
import Loader
import Torch

/// How well a tokenizer gives constituents back, and how it uses its codes.
public struct TokenizerEvaluation: Codable, Sendable {
    /// The differences of reconstructed and original values of a feature, in the feature's own units.
    public struct Resolution: Codable, Sendable {
        /// The feature.
        public var feature: String
        /// Mean difference.
        public var bias: Double
        /// Root mean square of differences.
        public var rms: Double
        /// Half of the differences are smaller than this.
        public var median: Double
    }

    /// Jets, without those that have no constituents behind the cuts.
    public var jets: Int
    /// Jets without constituents behind the cuts.
    public var empty: Int
    /// Constituents.
    public var constituents: Int
    /// By feature; of features with a logarithm relative to the original value.
    public var resolutions: [Resolution]
    /// Codes of the codebook.
    public var codes: Int
    /// Codes that came.
    public var used: Int
    /// exp(-Σ p ln p) over the codes' shares.
    public var perplexity: Double
    /// Effective codes that are equal to another one.
    public var duplicates: Int

    /// Encodes and decodes jets of a loader with jagged features.
    public init(of tokenizer: Tokenizer, features: FeatureConfiguration, loader: Loader) throws {
        var differences = features.features.map { _ in [Float]() }
        var histogram = [Int](repeating: 0, count: tokenizer.configuration.codes)
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
            for code in try codes.integers() { histogram[Int(code)] += 1 }
            let ours = try tokenizer.features(ofCodes: codes, jagged).floats()
            for (number, feature) in features.features.enumerated() {
                for row in 0..<jagged.rows {
                    let place = row * width + number
                    differences[number].append(Self.difference(feature, ours[place], batch.features[place]))
                }
            }
        }
        resolutions = zip(features.features, differences).map { feature, values in
            let count = Double(max(1, values.count))
            let mean = values.reduce(0) { $0 + Double($1) } / count
            let square = values.reduce(0) { $0 + Double($1) * Double($1) } / count
            let sorted = values.map(abs).sorted()
            return Resolution(
                feature: feature.name.description, bias: mean, rms: square.squareRoot(),
                median: sorted.isEmpty ? 0 : Double(sorted[sorted.count / 2]))
        }
        codes = histogram.count
        used = histogram.count { $0 > 0 }
        let all = Double(max(1, constituents))
        perplexity = Foundation.exp(
            -histogram.filter { $0 > 0 }.reduce(0) { $0 + Double($1) / all * log(Double($1) / all) })
        let effective = try tokenizer.codebook.effective().detached().floats(), latent = tokenizer.configuration.latent
        let distinct = Set((0..<histogram.count).map { code in Array(effective[code * latent..<(code + 1) * latent]) })
        duplicates = histogram.count - distinct.count
    }

    /// In the feature's own units; relative for those with a logarithm.
    private static func difference(_ feature: Feature, _ found: Float, _ original: Float) -> Float {
        let step = Double(found - original) / feature.multiplyBy
        return Float(feature.function == .log ? Foundation.exp(step) - 1 : step)
    }
}
