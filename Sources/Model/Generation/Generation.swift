import Support
import Torch

/// How jets are drawn from a model.
public struct GenerationOptions: Codable, Sendable, Equatable {
    /// Below 1 likely tokens become likelier; 0 takes the likeliest each time.
    public var temperature = 1.0
    /// Only so many of the likeliest tokens; nil: all.
    public var topK: Int?
    /// Only the likeliest tokens that reach this probability together.
    public var topP = 1.0
    /// Decides all draws: each jet has its own, whatever jets are drawn beside it.
    public var seed: UInt64 = 1
    /// Jets at once.
    public var batch = 256

    /// Plain sampling, as in the OmniJet-alpha paper.
    public init() {}

    /// - Throws: `ModelError` with code `configuration`.
    public func check() throws {
        guard temperature >= 0, temperature.isFinite, topP > 0, topP <= 1, topK.map({ $0 > 0 }) ?? true, batch > 0
        else {
            throw ModelError(
                .configuration, place: "generation",
                message:
                    "temperature \(temperature), top-p \(topP), top-k \(topK.map(String.init) ?? "none") or batch \(batch) is out of range"
            )
        }
    }
}

/// Jets that were drawn.
public struct GeneratedTokens: Sendable {
    /// The tokens of each jet, without start and stop: codes + 1.
    public var tokens: [[Int64]] = []
    /// The logarithm of the model's probability of each of these, and of the stop if it came.
    public var logProbabilities: [[Double]] = []
}

extension GenerativeModel {
    /// Draws jets.
    ///
    /// A jet ends with the stop token, or at the backbone's length. Keys and values of earlier tokens are kept, and nothing is computed for
    /// jets that have ended. The start token is never drawn.
    /// - Parameters:
    ///   - jets: Their numbers, which choose their random numbers.
    ///   - uniform: Where the random number of a jet and step comes from; nil: the options' seed.
    ///   - progress: Is told jets that are done.
    public func generate(
        jets: Range<Int>, options: GenerationOptions = .init(), uniform: ((_ jet: Int, _ step: Int) -> Double)? = nil,
        progress: (Int) -> Void = { _ in }
    ) throws -> GeneratedTokens {
        try options.check()
        let draw = uniform ?? { Self.uniform(seed: options.seed, jet: $0, step: $1) }
        var result = GeneratedTokens()
        var first = jets.lowerBound
        while first < jets.upperBound {
            let part = first..<min(jets.upperBound, first + options.batch)
            let made = try Torch.withoutGradients { try generateBatch(part, options, draw) }
            result.tokens += made.tokens
            result.logProbabilities += made.logProbabilities
            first = part.upperBound
            progress(first - jets.lowerBound)
        }
        return result
    }

    private func generateBatch(
        _ jets: Range<Int>, _ options: GenerationOptions, _ draw: (Int, Int) -> Double
    ) throws -> GeneratedTokens {
        let length = configuration.length, shape = [jets.count, length, configuration.width]
        let device = parameters.device
        let caches = try backbone.blocks.map { _ in
            (keys: try Tensor.zeros(shape, on: device), values: try Tensor.zeros(shape, on: device))
        }
        var result = GeneratedTokens()
        result.tokens = jets.map { _ in [] }
        result.logProbabilities = jets.map { _ in [] }
        var active = Array(0..<jets.count), last = [Int64](repeating: 0, count: jets.count)
        for step in 0..<length where !active.isEmpty {
            var x = try backbone.embedding.rows(Tensor.of(last, on: device))
            for (block, cache) in zip(backbone.blocks, caches) {
                let attended = try block.query(x).cachedAttention(
                    key: block.key(x), value: block.value(x), caches: cache, rows: active, at: step,
                    heads: configuration.heads)
                x = try block.finish(x, attended)
            }
            let found = try head(x).sample(
                uniform: active.map { draw(jets.lowerBound + $0, step) }, temperature: options.temperature,
                topK: options.topK, topP: options.topP)
            var going: [Int] = [], next: [Int64] = []
            for (place, jet) in active.enumerated() {
                result.logProbabilities[jet].append(found.logProbabilities[place])
                guard found.tokens[place] != Int64(configuration.stop) else { continue }
                result.tokens[jet].append(found.tokens[place])
                going.append(jet)
                next.append(found.tokens[place])
            }
            (active, last) = (going, next)
        }
        return result
    }

    /// A number in 0..<1 for each jet and step: the three numbers, mixed one after the other.
    package static func uniform(seed: UInt64, jet: Int, step: Int) -> Double {
        let ofJet = SplitMix64.mixed(SplitMix64.mixed(seed) ^ UInt64(truncatingIfNeeded: jet))
        var source = SplitMix64(state: ofJet ^ UInt64(truncatingIfNeeded: step))
        return source.uniform()
    }
}
